"""Labels in one file per scene: YOLO text, PASCAL VOC XML, LabelMe JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from irstd.errors import InputError
from irstd.formats import text
from irstd.formats.coco import filled
from irstd.formats.marks import Mark, Marks, Size, same, stated
from irstd.formats.names import Names, listing, own_names, predicted, refuse_twins, shown

NOT_LABELS = (
    "classes.txt",
    "obj.names",
    "readme.txt",
    "train.txt",
    "test.txt",
    "val.txt",
    "trainval.txt",
    "notes.json",
)
SUFFIXES = (".txt", ".xml", ".json")
BEYOND = 0.02  # of a side, by which a box may reach out of the image: rounding, and boxes that nobody has cut


def files(folder: Path) -> tuple[str, list[Path]]:
    """The suffix of a folder's labels, and the files; empty where it has none.

    Raises:
        InputError: it has labels of several kinds.
    """
    found = [p for p in listing(folder, SUFFIXES).files if p.name.lower() not in NOT_LABELS]
    kinds = sorted({path.suffix.lower() for path in found})
    if len(kinds) > 1:
        raise InputError(f"{folder} has labels of several kinds ({', '.join(kinds)}); give a folder with one")
    return (kinds[0] if kinds else "", found)


def read(folder: Path, sizes: Mapping[str, Size] | None, names: Names | None = None) -> Marks:
    """The labels of a folder: YOLO text, VOC XML or LabelMe JSON, one file per scene.

    Args:
        sizes: of scenes, px; None to take those the files give, which YOLO's do not.
        names: of scenes; None for the files' own names.

    Raises:
        InputError: a file cannot be read, or two are of one scene; all such files are named.
    """
    suffix, paths = files(folder)
    reader: Callable[[Path, str, Size | None, Marks], Iterable[Mark]] = {".txt": yolo, ".xml": voc}.get(suffix, labelme)
    if suffix == ".txt" and sizes is None:
        raise InputError(
            f"{folder} has YOLO labels, shares of the image's sides; give the pictures with --images FOLDER"
        )
    found = Marks(files=len(paths))
    scenes: dict[str, list[Path]] = {}
    if names is None:
        scenes = {name: [path] for name, path in own_names(paths, folder, "labels").items()}
    else:
        for path in paths:
            scene = names.find(path.relative_to(folder).as_posix())
            if scene is None:
                found.strangers.append(path.name)
            else:
                scenes.setdefault(scene, []).append(path)
        scenes = {scene: predicted(several) for scene, several in scenes.items()}
        refuse_twins({s: p for s, p in scenes.items() if len(p) > 1}, folder, "labels")
    faults = []
    for scene, (path, *_) in scenes.items():
        found.empty.append(scene)
        try:
            found.every += reader(path, scene, sizes.get(scene) if sizes is not None else None, found)
        except (InputError, ValueError, KeyError, TypeError, OSError) as error:
            faults.append(f"{path.name} ({error})")
    if faults:
        raise InputError(f"{folder.name}: labels that cannot be read: {shown(faults)}; correct them")
    if 2 * len(found.out) > len(found.every):
        raise InputError(
            f"{folder.name}: most boxes reach out of their image ({shown(found.out, 3)}); the order of a line is "
            "class, x and y of the centre, width, height, and perhaps score"
        )
    return found


def yolo(path: Path, scene: str, size: Size | None, found: Marks) -> list[Mark]:
    """A file of `class x y width height [score]`: centre and sides as shares of the image's.

    Raises:
        ValueError: a line is something else, or the size of the image is not known.
    """
    marks, scored = [], False
    for number, line in enumerate(text.read(path).split("\n"), 1):
        cells = line.split()
        if not cells:
            continue
        if len(cells) not in (5, 6):
            more = "a polygon, or has more numbers" if len(cells) > 6 and len(cells) % 2 else f"{len(cells)} numbers"
            raise ValueError(f"line {number} is {more}, not class x y width height and perhaps score")
        try:
            kind, x, y, wide, tall, *rest = (float(cell) for cell in cells)
        except ValueError:
            raise ValueError(f"line {number} is not `class x y width height`") from None
        if not all(math.isfinite(v) and -BEYOND <= v <= 1 + BEYOND for v in (x, y, wide, tall)):
            raise ValueError(f"line {number} has places outside 0 to 1; YOLO labels are shares of the image's sides")
        if kind % 1:
            raise ValueError(f"line {number} begins with {kind:g}, which is no class; give `class x y width height`")
        if any(a - b / 2 < -BEYOND or a + b / 2 > 1 + BEYOND for a, b in ((x, wide), (y, tall))):
            found.out.append(f"{path.name} line {number}")
        if size is None:
            raise ValueError("shares of an image whose size is not known; give the images with --images")
        height, width = size
        row, col, tall, wide = y * height - 0.5, x * width - 0.5, tall * height, wide * width
        box = (row - tall / 2, col - wide / 2, row + tall / 2, col + wide / 2)
        found.scored |= bool(rest)
        found.classes.add(f"{kind:g}")
        marks.append(Mark(scene, box, rest[0] if rest else 1.0, where=f"{path.name} line {number}"))
        if len(marks) > 1 and bool(rest) != scored:
            raise ValueError(f"line {number} is with a score and others are without, or the reverse")
        scored = bool(rest)
    return marks


def voc(path: Path, scene: str, size: Size | None, found: Marks) -> list[Mark]:
    """An XML of PASCAL VOC: pixels counted from 1, the last one within the box.

    Raises:
        ValueError: it is none.
    """
    from defusedxml import ElementTree  # noqa: PLC0415 - only VOC needs it
    from defusedxml.common import DefusedXmlException  # noqa: PLC0415

    try:
        root = ElementTree.fromstring(text.read(path).encode())
    except (ElementTree.ParseError, DefusedXmlException, LookupError, ValueError) as error:  # of unknown encodings
        raise ValueError(f"no XML: {error}") from None
    if root.tag != "annotation":
        raise ValueError(f"its root is <{root.tag}>, not <annotation> of PASCAL VOC")
    width, height = (root.findtext(f"size/{side}") for side in ("width", "height"))
    if all(side and side.strip(" 0.") for side in (width, height)):  # zeros where it was not known
        found.sizes[scene] = same(stated(height, width), size)
    marks = []
    for number, one in enumerate(root.iter("object"), 1):
        sides = [one.findtext(f"bndbox/{side}") for side in ("ymin", "xmin", "ymax", "xmax")]
        try:
            top, left, bottom, right = (float(side) for side in sides)
        except (TypeError, ValueError):
            raise ValueError(f"object {number} has no bndbox of xmin, ymin, xmax, ymax") from None
        if bottom < top or right < left:
            raise ValueError(f"object {number} has a box whose end is before its start")
        written = one.findtext("score") or one.findtext("confidence")
        score, found.scored = float(written or 1), found.scored or bool(written)
        box = (top - 1.5, left - 1.5, bottom - 0.5, right - 0.5)
        found.classes.add((one.findtext("name") or "").strip() or "no name")
        marks.append(Mark(scene, box, score, where=f"{path.name} object {number}"))
    return marks


def labelme(path: Path, scene: str, size: Size | None, found: Marks) -> list[Mark]:
    """A JSON of LabelMe: points, rectangles, circles and polygons of (x, y), px from the image's corner.

    Raises:
        ValueError: it is none, or has a shape that is not known.
    """
    try:
        content = json.loads(text.read(path))
        shapes, sides = content["shapes"], (content.get("imageHeight"), content.get("imageWidth"))
    except (KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError("no `shapes`, so not LabelMe's") from None
    if all(sides):
        found.sizes[scene] = size = same(stated(*sides), size)
    marks = []
    for number, one in enumerate(shapes, 1):
        places, kind = [(float(y) - 0.5, float(x) - 0.5) for x, y in one["points"]], one.get("shape_type", "polygon")
        rows, cols = zip(*places, strict=True)
        box, mask = (min(rows), min(cols), max(rows), max(cols)), None
        if kind == "circle":
            (row, col), edge = places[:2]
            radius = math.dist((row, col), edge)
            box = (row - radius, col - radius, row + radius, col + radius)
        elif kind == "polygon":
            if size is None:
                raise ValueError("a polygon in an image whose size is not said")
            mask = filled([[float(value) for place in one["points"] for value in place]], size)
        elif kind not in ("point", "rectangle"):
            raise ValueError(f"shape {number} is a {kind}; use point, rectangle, circle or polygon")
        found.classes.add(str(one.get("label", "no name")))
        marks.append(Mark(scene, box, mask=mask, where=f"{path.name} shape {number}"))
    return marks


def is_labelme(path: Path) -> bool:
    """Whether a JSON file is of LabelMe, by its beginning."""
    try:
        content = json.loads(text.read(path))
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and "shapes" in content
