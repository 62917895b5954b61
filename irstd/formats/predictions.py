"""Anyone's predictions: a folder of masks or score maps, a table of points, or COCO boxes and masks.

What is wrong with them is collected by kind, so that each kind is told once, with all its names.
"""

from __future__ import annotations

import csv
import io
import json
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float
from numpy import ndarray
from PIL import Image, UnidentifiedImageError

from irstd.data.raw import SUFFIXES
from irstd.errors import InputError

MAPS = (*SUFFIXES, ".npy")
MEND = {  # kind of problem: what it says of the names, and the mend
    "missing": ("no prediction for", "add them"),
    "extra": ("no scene of this name for", "take them out"),
    "size": ("another size than the image in", "predict at native size, or stretch them with --fit"),
    "unreadable": ("not readable:", "replace them"),
    "nan": ("NaN or infinite scores in", "mend the method"),
    "range": (
        "scores outside [0, 1] in",
        "give probabilities (grey levels of floats over 255), or logits with --logits",
    ),
}
COLUMNS = {  # of a table of points, by the names that people use
    "name": ("name", "image", "file", "filename", "file_name", "scene", "image_id", "img"),
    "row": ("row", "y", "cy", "center_y"),
    "col": ("col", "column", "x", "cx", "center_x"),
    "score": ("score", "confidence", "conf", "prob", "probability"),
}


@dataclass
class Given:
    """What was predicted. maps, points, boxes: by scene; scores of maps in [0, 1]; points are row, col, score; boxes
    are top, left, bottom, right, score. problems: kind (of `MEND`) to names. notes: what was assumed.
    """

    maps: dict[str, Float[ndarray, "_H _W"]] = field(default_factory=dict)
    points: dict[str, Float[ndarray, "_N 3"]] = field(default_factory=dict)
    boxes: dict[str, Float[ndarray, "_N 5"]] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def wrong(self, kind: str, name: str) -> None:
        """Notes a problem."""
        names = self.problems.setdefault(kind, [])
        if name not in names:
            names.append(name)

    def odd(self, numbers: Iterable[float], score: float, where: str) -> bool:
        """Whether a detection has a number that is none, or a score outside [0, 1]; both are noted."""
        finite = bool(np.isfinite(list(numbers)).all())
        if not finite:
            self.wrong("nan", where)
        elif not 0 <= score <= 1:
            self.wrong("range", where)
        return not finite or not 0 <= score <= 1

    def refuse(self, skipped: Iterable[str] = ()) -> None:
        """Raises InputError for the problems that may not be skipped, a sentence a kind."""
        sentences = []
        for kind, names in self.problems.items():
            if kind not in skipped:
                what, mend = MEND[kind]
                shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
                sentences.append(f"{what} {shown}; {mend}, or go on without them with --skip {kind}")
        if sentences:
            raise InputError("\n       ".join(sentences))


def read(path: Path, sizes: Mapping[str, tuple[int, int]], *, fit: bool = False, logits: bool = False) -> Given:
    """The predictions at `path` for the scenes of `sizes`.

    Args:
        path: a folder of PNG, TIFF, BMP, JPEG or NPY files, of any depth; a CSV of points; or a COCO JSON.
        sizes: scene to height and width, px.
        fit: whether maps of another size are stretched to the image's, bilinearly.
        logits: whether floats are logits.

    Raises:
        InputError: the file cannot be read as a whole, or two predictions are of one scene.
    """
    if path.is_dir():
        return _maps(path, sizes, fit=fit, logits=logits)
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a folder of masks, a CSV of points or a COCO JSON")
    if path.suffix.lower() == ".json":
        return _coco(path, sizes)
    if path.suffix.lower() == ".csv":
        return _points(path, sizes)
    raise InputError(f"{path.name} is neither a folder, nor .csv, nor .json; give one of these")


def scene_of(text: str, names: Iterable[str]) -> str | None:
    """The scene that a file name tells: the longest one in it that is no part of a longer word.

    >>> scene_of("Misc_11_pixels0", {"Misc_1", "Misc_11"})
    'Misc_11'
    >>> scene_of("pred-000001", {"000001", "1"})
    '000001'
    """
    known = names if isinstance(names, (set, frozenset, dict)) else set(names)
    if text in known:
        return text
    edges = [m.start() for m in re.finditer(r"(?<![A-Za-z0-9])(?=[A-Za-z0-9])", text)]
    ends = [m.start() for m in re.finditer(r"(?<=[A-Za-z0-9])(?![A-Za-z0-9])", text)]
    inside = (text[start:end] for start in edges for end in ends if end > start)
    return max((part for part in inside if part in known), key=lambda name: (len(name), name), default=None)


def _of_file(text: str, names: Iterable[str]) -> str | None:
    """The scene that a name tells, with or without the suffix of a file."""
    return scene_of(text, names) or scene_of(Path(text).stem, names)


def values(path: Path) -> ndarray:
    """Pixels of an image file or an array as they are: bool, 8-bit, 16-bit or floating, (H, W).

    Raises:
        ValueError: not an image, damaged, or of several unequal channels.
    """
    if path.suffix.lower() == ".npy":
        try:
            array = np.load(path, allow_pickle=False)
        except EOFError:
            raise ValueError("empty") from None
        if not isinstance(array, ndarray):
            raise ValueError("an archive of arrays, not one")
    else:
        try:
            with Image.open(path) as image:
                flat = image.convert("RGB") if image.mode in ("LA", "RGBA") else image  # of a palette, its indices
                array = np.asarray(flat)
        except (UnidentifiedImageError, OSError, SyntaxError) as error:
            raise ValueError(str(error)) from None
    if array.ndim == 3 and 1 in (array.shape[0], array.shape[-1]):
        array = array[0] if array.shape[0] == 1 else array[..., 0]
    if array.ndim == 3 and array.shape[-1] in (3, 4) and (array[..., :1] == array[..., :3]).all():
        array = array[..., 0]
    if array.ndim != 2 or not (array.dtype == bool or array.dtype.kind in "uif"):
        raise ValueError(f"{array.dtype} of shape {array.shape} is no map")
    return array


def white(arrays: Iterable[ndarray]) -> tuple[int, list[str]]:
    """The integer that stands for the score 1 in a folder's maps, chosen once for all, and what was assumed.

    1 where all are 0 and 1; else 255, or 65535 where one of more than 8 bits is above 255.
    """
    whole = [a for a in arrays if a.dtype.kind in "ui"]
    highest = max((int(a.max(initial=0)) for a in whole), default=0)
    if highest == 1:
        return 1, ["all values are 0 and 1: taken as masks"]
    if all(a.dtype.itemsize == 1 for a in whole):
        return 255, []
    return (65535, []) if highest > 255 else (255, ["integers of 16 bits, none above 255: taken as 8 bits"])


def as_scores(array: ndarray, top: int) -> Float[ndarray, "_H _W"]:
    """Scores in [0, 1] of what `values` gives: integers over `top`, floats and masks as they are."""
    return array.astype(float) if array.dtype.kind in "bf" else array / float(top)


def files(folder: Path) -> list[Path]:
    """Image files and arrays below a folder, but for hidden ones."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in MAPS and not p.name.startswith("."))


def _files(folder: Path, sizes: Mapping[str, tuple[int, int]], given: Given) -> dict[str, Path]:
    """Scene to file; scenes without one, and files without a scene, are noted as problems."""
    paths: dict[str, Path] = {}
    for path in files(folder):
        name = scene_of(path.stem, sizes)
        if name is None:
            given.wrong("extra", path.name)
        elif name in paths:
            raise InputError(f"{paths[name].name} and {path.name} are both predictions of {name!r}; keep one")
        else:
            paths[name] = path
    if not paths:
        wanted = ", ".join(list(sizes)[:3])
        raise InputError(f"{folder} has no prediction of any scene; name the files after the scenes: {wanted}, …")
    for name in sizes:
        if name not in paths:
            given.wrong("missing", name)
    return paths


def _maps(folder: Path, sizes: Mapping[str, tuple[int, int]], *, fit: bool, logits: bool) -> Given:
    given = Given()
    read_values: dict[str, tuple[str, ndarray]] = {}
    for name, path in _files(folder, sizes, given).items():
        try:
            read_values[name] = path.name, values(path)
        except (ValueError, OSError):
            given.wrong("unreadable", path.name)
    top, notes = white(array for _, array in read_values.values())
    given.notes += notes
    for name, (file, array) in read_values.items():
        scores = as_scores(array, top)
        if logits and array.dtype.kind == "f":
            scores = 1 / (1 + np.exp(-np.clip(scores, -700, 700)))  # nan stays nan
        if not np.isfinite(scores).all():
            given.wrong("nan", file)
        elif scores.min(initial=0) < 0 or scores.max(initial=0) > 1:
            given.wrong("range", file)
        elif scores.shape != sizes[name] and not fit:
            given.wrong("size", f"{file} ({scores.shape[1]}×{scores.shape[0]})")
        else:
            given.maps[name] = scores if scores.shape == sizes[name] else stretched(scores, sizes[name])
    return given


def stretched(scores: Float[ndarray, "_H _W"], size: tuple[int, int]) -> Float[ndarray, "_h _w"]:
    """A map at another size, height and width in px, bilinearly."""
    return cv2.resize(scores, size[::-1], interpolation=cv2.INTER_LINEAR).clip(0, 1)


def _points(path: Path, sizes: Mapping[str, tuple[int, int]]) -> Given:
    given = Given(points={name: np.zeros((0, 3)) for name in sizes})
    found: dict[str, list[tuple[float, float, float]]] = {}
    try:
        text = path.read_text(encoding="utf-8-sig")  # Excel begins with a byte order mark
    except UnicodeDecodeError:
        raise InputError(f"{path.name} is not UTF-8; save it as CSV UTF-8") from None
    first = text.split("\n", 1)[0]
    with io.StringIO(text, newline="") as file:
        reader = csv.DictReader(file, delimiter=";" if ";" in first and "," not in first else ",")
        header = {h.strip().lower(): h for h in reader.fieldnames or []}
        columns = {key: next((header[n] for n in names if n in header), None) for key, names in COLUMNS.items()}
        for key in ("name", "row", "col"):
            if columns[key] is None:
                raise InputError(
                    f"{path.name} has no column {key!r} but {', '.join(header) or 'nothing'}; it needs name, row, col "
                    "(px) and perhaps score"
                )
        for line, row in enumerate(reader, 2):
            try:
                at = tuple(float(row[columns[k]]) if columns[k] else 1.0 for k in ("row", "col", "score"))
            except (TypeError, ValueError):
                raise InputError(f"{path.name}: line {line} is not name, row, col, score; mend it") from None
            text = Path(row[columns["name"]] or "").name
            name = _of_file(text, sizes)
            if name is None:
                given.wrong("extra", text)
            elif not given.odd(at, at[2], f"line {line}"):
                found.setdefault(name, []).append(at)
    given.points |= {name: np.array(rows) for name, rows in found.items()}
    if len(found) < len(sizes):
        given.notes.append(f"{len(sizes) - len(found)} scenes have no point: taken as nothing found")
    return given


def _coco(path: Path, sizes: Mapping[str, tuple[int, int]]) -> Given:
    try:
        content = json.loads(path.read_text())
        annotations = content if isinstance(content, list) else content["annotations"]
        images = {} if isinstance(content, list) else {i["id"]: i["file_name"] for i in content.get("images", [])}
        masked = any(a.get("segmentation") for a in annotations)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path.name} is no COCO JSON ({error!r}); it needs a list of annotations") from None
    given, seen = Given(), set()
    boxes: dict[str, list[Any]] = {name: [] for name in sizes}
    if masked:
        given.maps = {name: np.zeros(size) for name, size in sizes.items()}
    for number, one in enumerate(annotations):
        text = Path(str(images.get(one.get("image_id"), one.get("image_id")))).name
        name = _of_file(text, sizes)
        if name is None:
            given.wrong("extra", text)
            continue
        seen.add(name)
        try:
            score, box, part = _annotation(one, sizes[name])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path.name}: annotation {number} cannot be used ({error}); mend it") from None
        if given.odd([score, *box], score, f"annotation {number}"):
            continue
        if masked:
            filled = _inside(box, sizes[name]) if part is None else part
            np.maximum(given.maps[name], filled * score, out=given.maps[name])
        else:
            top, left, tall, wide = box
            boxes[name].append((top, left, top + tall, left + wide, score))
    if not masked:
        given.boxes = {name: np.array(rows, float).reshape(-1, 5) for name, rows in boxes.items()}
        given.points = {
            name: np.stack([(b[:, 0] + b[:, 2]) / 2, (b[:, 1] + b[:, 3]) / 2, b[:, 4]], 1)
            for name, b in given.boxes.items()
        }
    if len(seen) < len(sizes):
        given.notes.append(f"{len(sizes) - len(seen)} scenes have no annotation: taken as nothing found")
    return given


def _annotation(one: Mapping[str, Any], size: tuple[int, int]) -> tuple[float, list[float], ndarray | None]:
    """Score, box (top, left, height, width in px; a pixel reaches half a px to each side) and, if it has a
    segmentation, the pixels of an annotation.

    Raises:
        ValueError: it has neither a box nor a segmentation, or one that is damaged.
    """
    score, segmentation, given = float(one.get("score", 1.0)), one.get("segmentation"), one.get("bbox") or ()
    left, top, wide, tall = (float(x) for x in given) if given else (0.0,) * 4
    box = [top - 0.5, left - 0.5, tall, wide]
    if not segmentation and not given:
        raise ValueError("no bbox and no segmentation")
    return score, box, _filled(segmentation, size) if segmentation else None


def _inside(box: list[float], size: tuple[int, int]) -> ndarray:
    """Ones at the pixels whose centres are in a box."""
    filled = np.zeros(size)
    rows, cols = (slice(max(0, ceil(s)), max(0, ceil(s + n))) for s, n in zip(box[:2], box[2:], strict=True))
    filled[rows, cols] = 1
    return filled


def _filled(segmentation: Any, size: tuple[int, int]) -> ndarray:
    """A COCO polygon or run-length code as a mask of zeros and ones.

    Raises:
        ValueError: it is damaged, or of another size.
    """
    from pycocotools import mask  # noqa: PLC0415 - only COCO files need it

    if isinstance(segmentation, dict):
        counts, given = segmentation["counts"], tuple(segmentation["size"])
        if given != size:
            raise ValueError(f"a mask of {given[1]}×{given[0]} px for an image of {size[1]}×{size[0]}")
        if isinstance(counts, list) and sum(counts) != size[0] * size[1]:
            raise ValueError("its runs do not add up to the image")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its arrays do not know NumPy 2's `copy` yet
        try:
            if isinstance(segmentation, list):
                code = mask.merge(mask.frPyObjects(segmentation, *size))
            else:
                packed = isinstance(segmentation["counts"], (str, bytes))
                code = segmentation if packed else mask.frPyObjects(segmentation, *size)
            return (mask.decode(code) > 0).astype(float)
        except Exception as error:  # noqa: BLE001 - what the library raises
            raise ValueError(str(error)) from None
