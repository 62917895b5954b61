"""Truth from one form to another: masks, points, boxes (COCO, YOLO, VOC), and layouts: BasicIRSTD, PAL, Croissant."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from jaxtyping import Bool
from numpy import ndarray
from PIL import Image

from irstd.data import croissant, own, raw
from irstd.errors import InputError
from irstd.formats import annotations, coco, images, marks, masks, pixels
from irstd.formats.marks import Mark, Size
from irstd.formats.names import Names, listing, own_names, shown
from irstd.formats.pixels import PICTURES, UnreadableError
from irstd.metrics.regions import regions


@dataclass
class Truth:
    """Truth of scenes. sizes: height and width, px. masks: None where there are marks only. notes: on reading. lost:
    what of the files is in none of these.
    """

    sizes: dict[str, Size]
    marks: dict[str, list[Mark]]
    masks: dict[str, Bool[ndarray, "_H _W"]] | None = None
    notes: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def read(path: Path, pictures: Path | None = None, coco_images: Path | str | None = None) -> Truth:
    """Masks, points or boxes in any format that `irstd score --truth` takes.

    Args:
        pictures: folder of images, for files that do not say sizes. coco_images: see `irstd.formats.coco.read`.

    Raises:
        InputError: it cannot be read, or does not say the size of a scene.
    """
    if path.is_dir() and listing(path).files:
        named = own_names(listing(path).files, path, "masks")
        grey, meaning = masks.read_all(named, path.name)
        drawn = {name: one > masks.WHITE // 2 for name, one in grey.items()}
        sizes = {name: one.shape for name, one in drawn.items()}
        every = {name: of_mask(name, one) for name, one in drawn.items()}
        return Truth(sizes, every, drawn, meaning.notes, meaning.lost)
    sizes = sizes_of(pictures) if pictures else None
    found = annotations.read(path, sizes, Names(sizes) if sizes else None, coco_images)
    if found.strangers:
        raise InputError(
            f"{path.name} names {shown(found.strangers)}, which {pictures} does not hold; correct the names"
        )
    known = dict(found.sizes if sizes is None else sizes)
    by_scene = found.of_scene()
    unknown = [name for name in (*by_scene, *found.empty) if name not in known]
    if unknown:
        raise InputError(f"{path.name} does not say the size of {shown(dict.fromkeys(unknown))}; give --images FOLDER")
    found.refuse_outside(known, path.name)
    whole = bool(found.every) and all(mark.mask is not None for mark in found.every)
    drawn = {name: marks.drawn(by_scene.get(name, []), size) for name, size in known.items()} if whole else None
    notes = [*found.notes, *found.unnamed(known, path.name)]
    return Truth(known, {name: by_scene.get(name, []) for name in known}, drawn, notes)


def sizes_of(folder: Path) -> dict[str, Size]:
    """Height and width, px, of the pictures of a folder, by the names of scenes.

    Raises:
        InputError: there is none, or some cannot be read, all of which are named.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give one with pictures")
    named = own_names(listing(folder, PICTURES).files, folder, "pictures", strip=str)
    if not named:
        raise InputError(f"{folder} holds no picture; accepted are {', '.join(PICTURES)}")
    found, faults = {}, []
    for name, path in named.items():
        try:
            found[name] = pixels.size_of(path)
        except (UnreadableError, OSError) as error:
            faults.append(f"{path.name} ({error})")
    if faults:
        raise InputError(f"{folder}: pictures that cannot be read: {shown(faults)}; replace them")
    return found


def of_mask(name: str, mask: Bool[ndarray, "H W"]) -> list[Mark]:
    """The targets of a mask: 8-connected regions, in raster order."""
    found = regions(mask)
    made = []
    for number, (top, left, tall, wide) in enumerate(found.boxes.tolist()):
        box = (top - 0.5, left - 0.5, top + tall - 0.5, left + wide - 0.5)
        made.append(Mark(name, box, mask=found.labels == number + 1))
    return made


def flat_names(names: Mapping[str, object]) -> dict[str, str]:
    """Names of scenes without slashes, for formats that have no folders.

    Raises:
        InputError: two would be one.
    """
    made = {name: name.replace("/", "_") for name in names}
    if len(set(made.values())) < len(made):
        raise InputError("names with / and with _ would become one; rename the sequences")
    return made


def empty_folder(folder: Path) -> None:
    """Makes a folder.

    Raises:
        InputError: it holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already; name a new folder")
    folder.mkdir(parents=True, exist_ok=True)


def to_masks(truth: Truth, out: Path) -> list[str]:
    """Writes PNGs of 0 and 255; returns what is lost."""
    empty_folder(out)
    drawn = truth.masks or {n: marks.drawn(truth.marks.get(n, []), size) for n, size in truth.sizes.items()}
    for name, mask in drawn.items():
        _png(out / f"{name}.png", mask.view(np.uint8) * np.uint8(255))
    lost = marks.merged({n: m for n, m in truth.marks.items() if m}, drawn)
    words = [] if truth.masks else ["boxes are filled and points are one pixel: shapes are not the targets'"]
    words += [f"{lost} targets touch another one and become one region with it"] if lost else []
    return words + _scores_lost(truth)


def to_points(truth: Truth, out: Path) -> list[str]:
    """Writes a CSV of name, row, col (px) and score; scenes without a target have a line without numbers."""
    lines = []
    for name in truth.sizes:
        found = truth.marks.get(name, [])
        lines += [(name, *(repr(float(v)) for v in _centre(mark)), mark.score) for mark in found] or [
            (name, "", "", "")
        ]
    if out.exists():
        raise InputError(f"{out} is there already; name a new file")
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("name", "row", "col", "score"), *lines])
    return [] if all(m.point for found in truth.marks.values() for m in found) else ["sizes and shapes of targets"]


def _centre(mark: Mark) -> tuple[float, float]:
    """Centroid of a region, centre of a box."""
    if mark.mask is None:
        return mark.centre
    rows, cols = np.nonzero(mark.mask)
    return float(rows.mean()), float(cols.mean())


def to_coco(truth: Truth, out: Path) -> list[str]:
    """Writes a COCO JSON; regions have run-length codes, which lose nothing."""
    _refuse_points(truth)
    if out.exists():
        raise InputError(f"{out} is there already; name a new file")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(coco.content(truth.marks, truth.sizes)), encoding="utf-8")
    return []


def to_yolo(truth: Truth, out: Path) -> list[str]:
    """Writes a text file of class, centre and sides as shares for each scene."""
    _refuse_points(truth)
    empty_folder(out)
    scored = any(mark.score != 1 for found in truth.marks.values() for mark in found)
    for name, (height, width) in truth.sizes.items():
        lines = []
        for mark in truth.marks.get(name, []):
            top, left, bottom, right = mark.box
            row, col = ((a + b) / 2 + 0.5 for a, b in ((top, bottom), (left, right)))
            cells = [col / width, row / height, (right - left) / width, (bottom - top) / height]
            lines.append(
                " ".join(["0", *(repr(float(c)) for c in cells), *([repr(float(mark.score))] if scored else [])])
            )
        path = out / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return _shapes_lost(truth)


def to_voc(truth: Truth, out: Path) -> list[str]:
    """Writes an XML of PASCAL VOC for each scene: pixels counted from 1, the last one within the box."""
    _refuse_points(truth)
    empty_folder(out)
    rounded = 0
    for name, (height, width) in truth.sizes.items():
        objects = []
        for mark in truth.marks.get(name, []):
            top, left, bottom, right = mark.box
            exact = (left + 1.5, top + 1.5, right + 0.5, bottom + 0.5)
            whole = [round(v) for v in exact]
            rounded += any(a != b for a, b in zip(exact, whole, strict=True))
            sides = "".join(f"<{s}>{v}</{s}>" for s, v in zip(("xmin", "ymin", "xmax", "ymax"), whole, strict=True))
            objects.append(f"<object><name>target</name><bndbox>{sides}</bndbox></object>")
        size = f"<size><width>{width}</width><height>{height}</height><depth>1</depth></size>"
        path = out / f"{name}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        whole_text = f"<annotation><filename>{escape(name)}.png</filename>{size}{''.join(objects)}</annotation>\n"
        path.write_text(whole_text, encoding="utf-8")
    return [
        *_shapes_lost(truth),
        *([f"{rounded} boxes are rounded to whole pixels"] if rounded else []),
        *_scores_lost(truth),
    ]


def _refuse_points(truth: Truth) -> None:
    if any(mark.point for found in truth.marks.values() for mark in found):
        raise InputError("points have no extent, so they cannot become boxes; convert them to masks or points")


def _shapes_lost(truth: Truth) -> list[str]:
    has = any(mark.mask is not None for found in truth.marks.values() for mark in found)
    return ["shapes of targets: boxes around them stay"] if has else []


def _scores_lost(truth: Truth) -> list[str]:
    return ["scores"] if any(mark.score != 1 for found in truth.marks.values() for mark in found) else []


def to_basicirstd(dataset: Path, out: Path) -> list[str]:
    """Writes `images/`, `masks/`, `img_idx/train_NAME.txt` and `img_idx/test_NAME.txt`, NAME being the folder's."""
    found, truth, names = _dataset(dataset)
    empty_folder(out)
    lost = [*truth.lost, *_copy_images(found.images, names, out / "images")]
    lost += to_masks(_renamed(truth, names), out / "masks")
    split = next(iter(next(iter(found.roles.values()))))
    (out / "img_idx").mkdir()
    roles = {name: row.get(split, "") for name, row in found.roles.items()}
    for role, wanted in (("train", ("train", "val")), ("test", ("test",))):
        lines = [names[name] for name in sorted(found.images) if roles[name] in wanted]
        (out / "img_idx" / f"{role}_{out.name}.txt").write_text("".join(f"{n}\n" for n in lines), encoding="utf-8")
    lost += ["the validation list: its scenes are in train"] if "val" in roles.values() else []
    return lost + [f"{one} of the lists" for one in _unlisted(roles)]


def to_pal(dataset: Path, out: Path) -> list[str]:
    """Writes `origin/img`, `origin/mask`, `origin/masks_centroid` to train with, and `val/img`, `val/mask` to test."""
    found, truth, names = _dataset(dataset)
    empty_folder(out)
    split = next(iter(next(iter(found.roles.values()))))
    roles = {name: row.get(split, "") for name, row in found.roles.items()}
    lost = [*truth.lost]
    for folder, wanted in (("origin", ("train", "val")), ("val", ("test",))):
        chosen = {name for name in found.images if roles[name] in wanted}
        part = replace(
            truth,
            sizes={n: s for n, s in truth.sizes.items() if n in chosen},
            marks={n: m for n, m in truth.marks.items() if n in chosen},
            masks=None if truth.masks is None else {n: m for n, m in truth.masks.items() if n in chosen},
        )
        lost += _copy_images({n: found.images[n] for n in sorted(chosen)}, names, out / folder / "img")
        lost += to_masks(_renamed(part, names), out / folder / "mask")
        if folder == "origin":
            for name, size in part.sizes.items():
                centres = [Mark(name, (*_centre(mark), *_centre(mark))) for mark in part.marks[name]]
                _png(
                    out / "origin/masks_centroid" / f"{names[name]}.png",
                    marks.drawn(centres, size).view(np.uint8) * np.uint8(255),
                )
    lost += ["the validation list: its scenes are in origin/"] if "val" in roles.values() else []
    return list(dict.fromkeys([*lost, *_unlisted(roles)]))


def to_croissant(dataset: Path, out: Path) -> list[str]:
    """Writes `images/`, `masks/`, `splits.csv` with every split, and `croissant.json`, which describes them."""
    found, truth, names = _dataset(dataset, several=True)
    empty_folder(out)
    lost = [*truth.lost, *_copy_images(found.images, names, out / "images")]
    lost += to_masks(_renamed(truth, names), out / "masks")
    raw.write_splits(out / croissant.SPLITS, {names[name]: row for name, row in found.roles.items()})
    text = json.dumps(croissant.describe(out), indent=1, ensure_ascii=False)
    (out / "croissant.json").write_text(f"{text}\n", encoding="utf-8")
    return lost


def _unlisted(roles: Mapping[str, str]) -> list[str]:
    unused = sum(not role for role in roles.values())
    return [f"{unused} scenes that no list names are left out"] if unused else []


def _dataset(folder: Path, *, several: bool = False) -> tuple[own.Own, Truth, dict[str, str]]:
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give a dataset with images/ and masks/")
    found = own.take(folder)
    if not several and len({split for row in found.roles.values() for split in row}) > 1:
        raise InputError(f"{folder.name}: lists of several splits; leave those of one in it")
    if faults := own.broken(found, None):
        raise InputError(f"{folder.name}: {shown(faults.values(), 20)} cannot be used; replace them")
    sizes = {name: pixels.size_of(path) for name, path in found.images.items()}
    if found.marks is not None:
        by_scene = found.marks.of_scene()
        return found, Truth(sizes, {n: by_scene.get(n, []) for n in sizes}), flat_names(found.images)
    grey, meaning = masks.read_all(found.masks, folder.name)
    drawn = {name: masks.cut(one, sizes[name]) > masks.WHITE // 2 for name, one in grey.items()}
    lost = list(meaning.lost)
    if other := [name for name, one in grey.items() if one.shape != sizes[name]]:
        lost.append(f"a line of pixels of the masks of {shown(other)}, one px larger or smaller than their image")
    every = {name: of_mask(name, one) for name, one in drawn.items()}
    return found, Truth(sizes, every, drawn, meaning.notes, lost), flat_names(found.images)


def _renamed(truth: Truth, names: Mapping[str, str]) -> Truth:
    return replace(
        truth,
        sizes={names[n]: s for n, s in truth.sizes.items()},
        marks={names[n]: m for n, m in truth.marks.items()},
        masks=None if truth.masks is None else {names[n]: m for n, m in truth.masks.items()},
    )


def _copy_images(found: Mapping[str, Path], names: Mapping[str, str], folder: Path) -> list[str]:
    """Images as PNG: PNG files as they are, others decoded; returns what is lost."""
    folder.mkdir(parents=True, exist_ok=True)
    stretched = coloured = 0
    for name, path in found.items():
        target = folder / f"{names[name]}.png"
        if path.suffix.lower() == ".png":
            shutil.copyfile(path, target)
            continue
        given = pixels.read(path)
        values = pixels.flat(given.values)
        if values.dtype in (np.uint8, np.uint16) and values.ndim == 2:
            _png(target, values)
        else:
            grey = images.read(path)
            stretched += grey.stretched is not None
            coloured += values.ndim == 3
            _png(target, grey.levels)
    changed = [name for name in found if names[name] != name]
    return [
        *([f"colours of {coloured} images"] if coloured else []),
        *([f"{stretched} images of floats are stretched to 8 bits, each by its own range"] if stretched else []),
        *([f"folders of {len(changed)} sequences' frames: / in names became _"] if changed else []),
    ]


def _png(path: Path, values: ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


FORMS: dict[str, Callable[[Truth, Path], list[str]]] = {
    "masks": to_masks, "points": to_points, "coco": to_coco, "yolo": to_yolo, "voc": to_voc,
}  # fmt: skip
LAYOUTS: dict[str, Callable[[Path, Path], list[str]]] = {
    "basicirstd": to_basicirstd,
    "pal": to_pal,
    "croissant": to_croissant,
}
