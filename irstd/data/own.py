"""A dataset of one's own, in the folders and lists that people have; every fault of it is named at once."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from irstd.data import raw, roles
from irstd.errors import InputError
from irstd.formats import annotations, images, lists, masks, pixels
from irstd.formats.marks import Mark, Marks, Size
from irstd.formats.names import Names, listing, own_names, shown
from irstd.formats.pixels import ANY, UnreadableError

IMAGES = ("images", "image", "img", "imgs", "irstd1k_img", "jpegimages", "pictures")
MASKS = (
    "masks",
    "mask",
    "irstd1k_label",
    "gt",
    "groundtruth",
    "ground_truth",
    "segmentationclass",
    "annotations",
    "labels",
)
LABELS = ("labels", "annotations", "label")
ABOUT = re.compile(r"(readme|licen[cs]e|citation|changelog|source\.json)", re.IGNORECASE)  # of a dataset, for people
MARKS = "marks.csv"  # of a raw dataset without masks
HEAD = ("name", "top", "left", "bottom", "right", "score")


@dataclass
class Own:
    """What a folder holds. images, masks: files of scenes. marks: instead of masks, or None. roles: of each scene in
    each split. report: what was taken, in sentences. used: files and folders that were read besides images and masks.
    """

    images: dict[str, Path] = field(default_factory=dict)
    masks: dict[str, Path] = field(default_factory=dict)
    marks: Marks | None = None
    roles: dict[str, dict[str, str]] = field(default_factory=dict)
    report: list[str] = field(default_factory=list)
    used: list[Path] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """What truth there is: masks, boxes or points."""
        return "masks" if self.marks is None else "points" if self.marks.points_only else "boxes"


@dataclass(frozen=True)
class _Part:
    """A folder with images and truth. role: train, test, val, or empty where lists say it."""

    folder: Path
    images: Path
    masks: Path | None
    role: str = ""


def take(folder: Path, split: str = "lists") -> Own:
    """What a folder holds, matched up.

    Images are in `images/` or a folder of another usual name, in subfolders if they are of sequences; masks beside them
    in `masks/`, of equal names or with a usual ending. Instead of masks there may be points or boxes: a CSV, a COCO
    JSON, `labels/` of YOLO or LabelMe, `Annotations/` of VOC. The split is that of lists (`irstd.formats.lists`), or of
    folders `trainval/` and `test/`; without either, a fifth of the scenes tests.

    Args:
        split: what to call it.

    Raises:
        InputError: the folder is not complete; all that is wrong with it is named.
    """
    found, faults = Own(), []
    parts = _parts(folder)
    role_of: dict[str, str] = {}
    twice = False  # then a scene may have two roles
    for part in parts:
        files = listing(part.images).files
        try:
            named = own_names(files, part.images, "images", strip=str)
        except InputError as error:
            faults.append(str(error))
            named = {path.relative_to(part.images).with_suffix("").as_posix(): path for path in files}
        for name, path in named.items():
            if name in found.images:
                twice = True
                faults.append(
                    f"{_below(found.images[name], folder)} and {_below(path, folder)} are both images of {name!r}"
                )
            found.images[name] = path
            role_of[name] = part.role
    if not found.images:
        raise InputError(f"{folder.name}: {parts[0].images.name}/ holds no image; accepted are {', '.join(ANY)}")
    names = Names(found.images)
    with_masks = [part for part in parts if part.masks is not None]
    if with_masks:
        faults += _match_masks(with_masks, found, names, folder)
    else:
        faults += _take_marks(folder, parts, found, names)
    if not twice:
        try:
            known = roles.find(folder, found.images, role_of, split, found.used)
            found.roles = known.of
            found.used += known.used
            found.report += known.notes
        except InputError as error:
            faults.append(str(error).removeprefix(f"{folder.name}: "))
    if faults:
        raise InputError(f"{folder.name}: " + "\n       ".join(faults))
    _tell(found, parts, folder)
    return found


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _folders(folder: Path) -> dict[str, Path]:
    return {p.name.lower(): p for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith(".")}


def _parts(folder: Path) -> list[_Part]:
    """Folders of images and masks: one, or one per role."""
    here = _part(folder)
    if here is not None:
        return [here]
    parts = []
    for name, inner in _folders(folder).items():
        part = _part(inner)
        if part is not None and name in roles.ROLES:
            parts.append(_Part(part.folder, part.images, part.masks, roles.ROLES[name]))
    if not parts:
        inside = [p.name + "/" * p.is_dir() for p in sorted(folder.iterdir()) if not p.name.startswith(".")]
        raise InputError(
            f"{folder.name}: the folder images/ is missing; a dataset is images/ and masks/, but here are "
            f"{shown(inside, 8) or 'no files'}"
        )
    return parts


def _part(folder: Path) -> _Part | None:
    """Images and masks directly below a folder, by their usual names."""
    there = _folders(folder)
    image = next((there[name] for name in IMAGES if name in there), None)
    mask = next((there[name] for name in MASKS if name in there and listing(there[name]).files), None)
    if mask is None and "masks" in there and not _mark_files(folder):
        mask = there["masks"]
    return None if image is None else _Part(folder, image, mask)


def _mark_files(folder: Path) -> list[Path]:
    """Files and folders of points or boxes in a dataset."""
    found = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in (*annotations.TABLES, ".json")]
    others = ("splits.csv", "source.json")
    found = [p for p in found if not p.name.startswith(".") and p.name not in others and not lists.may_be(p)]
    places = _folders(folder)
    return found + [places[name] for name in LABELS if name in places and annotations.holds(places[name])]


def _match_masks(parts: Iterable[_Part], found: Own, names: Names, folder: Path) -> list[str]:
    """Adds the mask of each image; returns what is wrong."""
    faults, lone, several = [], [], {}
    for part in parts:
        for path in listing(part.masks).files:
            try:
                scene = names.find(path.relative_to(part.masks).as_posix(), exact=True)
            except InputError as error:
                faults.append(str(error))
                continue
            if scene is None:
                lone.append(path.stem)
            else:
                several.setdefault(scene, []).append(path)
    for scene, paths in several.items():
        found.masks[scene] = paths[0]
        if len(paths) > 1:
            faults.append(
                f"{_below(paths[0], folder)} and {_below(paths[1], folder)} are both masks of {scene!r}; keep one"
            )
    without = sorted(found.images.keys() - found.masks)
    faults += [raw.unpaired("image", "mask", without)] if without else []
    faults += [raw.unpaired("mask", "image", sorted(lone))] if lone else []
    return faults


def _take_marks(folder: Path, parts: list[_Part], found: Own, names: Names) -> list[str]:
    """Adds points or boxes, of the folder or of its parts; returns what is wrong."""
    several = [_mark_files(folder)]
    if not several[0] and parts[0].folder != folder:
        several = [_mark_files(part.folder) for part in parts]
        if lacking := [part.folder.name for part, inside in zip(parts, several, strict=True) if not inside]:
            return [f"{' and '.join(lacking)} has neither masks/ nor points or boxes (a CSV, COCO JSON, labels/)"]
    if not several[0]:
        return [
            "the folder masks/ is missing; a dataset is images/ and masks/, or images/ and points or boxes (a CSV, "
            "COCO JSON, labels/ or Annotations/)"
        ]
    sizes = {}
    for name, path in found.images.items():
        try:
            sizes[name] = pixels.size_of(path)
        except (UnreadableError, OSError):
            continue  # named when images are checked
    return [fault for places in several for fault in _take_from(places, folder, found, names, sizes)]


def _take_from(places: list[Path], folder: Path, found: Own, names: Names, sizes: dict[str, Size]) -> list[str]:
    if len(places) > 1:
        return [f"points or boxes are in {' and '.join(_below(p, folder) for p in places)}; keep one"]
    where, faults = _below(places[0], folder), []
    try:
        marks = annotations.read(places[0], sizes, names)
    except InputError as error:
        return [str(error)]
    if marks.strangers:
        faults.append(f"{where} names {shown(map(repr, marks.strangers))}, which images/ does not hold")
    try:
        marks.refuse_outside(sizes, where)
    except InputError as error:
        faults.append(str(error))
    if not marks.every and not faults:
        faults.append(f"{where} holds no target; a dataset without any cannot be learnt from")
    taken = found.marks.every if found.marks else []
    found.marks = replace(marks, every=[*taken, *marks.every])
    found.used.append(places[0])
    found.report += [f"{where}: {note}" for note in marks.notes]
    found.report.append(f"{len(marks.every)} {found.kind} of {where}, no masks: for methods of points")
    return faults


def _tell(found: Own, parts: list[_Part], folder: Path) -> None:
    """Adds what was taken from where to the report."""
    places = ", ".join(
        f"{_below(p.images, folder)}/" + (f" and {_below(p.masks, folder)}/" if p.masks else "") for p in parts
    )
    found.report.insert(0, f"{len(found.images)} scenes of {places}")
    counts: dict[str, dict[str, int]] = {}
    for row in found.roles.values():
        for split, role in row.items():
            held = counts.setdefault(split, {})
            held[role or "unused"] = held.get(role or "unused", 0) + 1
    for split, held in counts.items():
        found.report.append(f"split {split}: " + ", ".join(f"{count} {role}" for role, count in sorted(held.items())))
    read = [*found.used, *(p.images for p in parts), *(p.masks for p in parts if p.masks)]
    others = [p for p in sorted(folder.iterdir()) if not any(p == one or p in one.parents for one in read)]
    others = [p for p in others if not p.name.startswith(".") and not ABOUT.match(p.name)]
    if others:
        found.report.append(f"not read: {shown(p.name + '/' * p.is_dir() for p in others)}")
    for part in parts:
        for place in (part.images, *([part.masks] if part.masks else [])):
            if note := listing(place).note():
                found.report.append(note.rstrip("."))


def broken(found: Own, levels: images.Levels | None) -> dict[str, str]:
    """Scenes whose image or mask cannot be decoded, or whose sizes differ, and why."""

    def fault(name: str) -> str | None:
        path, shapes = found.images[name], []
        try:
            shapes.append(images.read(path, levels).levels.shape)
            if name in found.masks:
                path = found.masks[name]
                shapes.append(masks.load(path).codes.shape)
        except (UnreadableError, OSError) as error:
            return f"{path.parent.name}/{path.name} ({error})"
        if max(abs(a - b) for a, b in zip(shapes[0], shapes[-1], strict=True)) > 1:
            (tall, wide), (height, width) = shapes[-1], shapes[0]
            return f"{path.parent.name}/{path.name} ({wide}×{tall} px, its image {width}×{height})"
        return None

    with ThreadPoolExecutor() as pool:
        return {name: why for name, why in zip(found.images, pool.map(fault, found.images), strict=True) if why}


def copy(
    name: str,
    source: Path,
    folder: Path,
    *,
    levels: images.Levels | None = None,
    skip_broken: bool = False,
) -> list[str]:
    """Copies a user's own dataset to `folder` as a raw one; returns what was taken, in sentences.

    Args:
        name: of the dataset in params.yaml. folder: made whole, or not at all.
        levels: that become black and white in images of more than 8 bits; each image's own if not given.
        skip_broken: go on without scenes whose files cannot be used.

    Raises:
        InputError: as `take`; or files cannot be used, all of which are named.
    """
    if not source.is_dir():
        raise InputError(
            f"params.yaml: dataset.{name}.source.folder: there is no folder {str(source)!r}; correct the path"
        )
    found = take(source)
    faults = broken(found, levels)
    if faults and not skip_broken:
        raise InputError(
            f"{source.name}: {len(faults)} files cannot be used: {shown(faults.values(), 20)}; replace them, or go "
            f"on without them with `skip_broken: true` in dataset.{name}.source"
        )
    if len(faults) == len(found.images):
        raise InputError(f"{source.name}: no file can be used; replace them")
    if faults:
        found.report.append(f"left out, broken: {shown(faults.values(), 20)}")
        found.images = {n: p for n, p in found.images.items() if n not in faults}
        found.roles = {n: r for n, r in found.roles.items() if n not in faults}
    building = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(building, ignore_errors=True)
    for kind, files in (("images", found.images), ("masks", found.masks)):
        for scene, path in files.items():
            if scene in found.images:
                target = building / kind / f"{scene}{path.suffix.lower()}"
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
    if found.marks is not None:
        write_marks(building / MARKS, [mark for mark in found.marks.every if mark.scene in found.images])
    noted = {"levels": levels, "labels": found.kind, "report": found.report}
    raw.finish(building, folder, found.roles, "a folder of the user's own", noted)
    return found.report


def write_marks(path: Path, every: Iterable[Mark]) -> None:
    """Writes points and boxes of a raw dataset: edges in px, a pixel reaching half a px to each side of its centre."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEAD)
        writer.writerows([mark.scene, *(repr(float(v)) for v in mark.box), mark.score] for mark in every)


def read_marks(path: Path) -> dict[str, list[Mark]]:
    """Points and boxes by scene, as `write_marks` wrote them."""
    found: dict[str, list[Mark]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            top, left, bottom, right = (float(row[side]) for side in HEAD[1:5])
            mark = Mark(row["name"], (top, left, bottom, right), float(row["score"]))
            found.setdefault(mark.scene, []).append(mark)
    return found


def notes(folder: Path) -> dict[str, object]:
    """What `copy` noted of a raw dataset: `levels` and `labels`; empty of others."""
    path = folder / "source.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
