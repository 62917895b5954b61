"""What predictions are compared with: test scenes of a prepared dataset, or anyone's masks, boxes or points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy import ndarray

from irstd.data.convert import sizes_of
from irstd.data.prepared import Prepared
from irstd.errors import InputError
from irstd.formats import annotations as labelled
from irstd.formats import marks, masks, pixels
from irstd.formats.known import ANNOTATIONS
from irstd.formats.names import Names, below, listing, own_names, shown
from irstd.formats.pixels import UnreadableError

WHITE = 255


@dataclass(frozen=True)
class Truth:
    """What predictions are compared with. title: said in the report. sizes: scene to height and width, px. mask: of a
    scene, grey levels of 255. dataset: its name, or None for a folder of the user's own. notes: what was assumed.
    loose: whether sizes are of masks, which may be one px larger or smaller than their images. parts: of a union, the
    dataset of each scene; else empty. below: the folder that all masks of one's own lie in, no part of scenes' names.
    """

    title: str
    sizes: dict[str, tuple[int, int]]
    mask: Callable[[str], ndarray]
    dataset: str | None = None
    notes: list[str] = field(default_factory=list)
    loose: bool = False
    parts: dict[str, str] = field(default_factory=dict)
    below: str = ""


def prepared_at(folder: Path) -> Prepared:
    """A dataset that a checkout's pipeline prepared.

    Raises:
        InputError: it did not yet.
    """
    if not (folder / "scenes.csv").is_file():
        raise InputError(
            f"{folder.name} is not prepared; run `dvc repro prepare@{folder.name}`, or give --truth with a folder of "
            "masks"
        )
    return Prepared(folder)


def of_dataset(folder: Path, split: str, name: str | None = None) -> Truth:
    """The test scenes of a prepared dataset.

    Args:
        name: of the dataset; the folder's if not given.

    Raises:
        InputError: it is not prepared, or has no such split.
    """
    name = name or folder.name
    prepared = prepared_at(folder)
    numbers = {prepared.names[n]: n for n in prepared.roles(split, 0.0)["test"]}
    sizes = {scene: prepared.sizes[n] for scene, n in numbers.items()}
    return Truth(
        f"{name}, test scenes of split {split}",
        sizes,
        lambda scene: prepared.mask(numbers[scene]) * np.uint8(WHITE),
        name,
        parts=prepared.parts,
    )


def of_arrays(arrays: Mapping[str, ndarray]) -> Truth:
    """Truth of one's own as arrays, (H, W); axes of length one do not matter, and values mean what they do in files.

    Raises:
        InputError: there is none, one is no mask, or as `irstd.formats.masks.Survey.decide`.
    """
    if not arrays:
        raise InputError("truth has no mask; give one for each scene")
    layers, survey = {}, masks.Survey("truth")
    for name, array in arrays.items():
        if array.dtype.kind not in "buif" or 0 in array.shape or array.ndim < 2:
            raise InputError(f"truth of {name} is of shape {array.shape} and {array.dtype}; masks are numbers, (H, W)")
        try:
            layers[name] = masks.layer(pixels.Pixels(array))
        except UnreadableError as error:
            raise InputError(f"truth of {name}: {error}; masks are numbers, (H, W)") from None
        if why := survey.add(name, layers[name]):
            raise InputError(f"truth of {name}: {why}; masks have 0 and 1, or 0 and 255")
    meaning = survey.decide()
    grey = {name: meaning.grey(one) for name, one in layers.items()}
    sizes = {name: one.shape for name, one in grey.items()}
    return Truth("the masks given", sizes, grey.__getitem__, notes=meaning.notes)


def of_folder(path: Path, images: Path | None = None, coco_images: Path | str | None = None) -> Truth:
    """Truth of one's own: a folder of masks in any format that predictions may have; or boxes or points.

    Ending words of names as in `X_mask.png` or `X_GT.png` are dropped. Boxes are filled, points become one pixel, which
    suits detection and no overlap.

    Args:
        path: folder, CSV or COCO JSON.
        images: the pictures, for boxes and points in files that do not say sizes, and for scenes without any.
        coco_images: see `irstd.formats.coco.read`.

    Raises:
        InputError: there is none, or it cannot be read, or no scene has a target.
    """
    if path.is_dir():
        listed = listing(path)
        if listed.files:
            named = own_names(listed.files, path, "truth masks")
            grey, meaning = masks.read_all(named, path.name)
            notes = [*meaning.notes]
            passed = len(listed.files) - len(named)
            if passed:
                notes.append(f"Not read in {path.name}: {passed} predictions that lie beside truth masks.")
            notes += [note] if (note := listed.note()) else []
            sizes = {name: mask.shape for name, mask in grey.items()}
            return Truth(
                f"the masks in {path.name}",
                sizes,
                grey.__getitem__,
                notes=notes,
                loose=True,
                below=below(listed.files, path),
            )
    if path.exists() and labelled.holds(path):
        return _of_marks(path, images, coco_images)
    if path.is_dir():
        raise InputError(
            f"{path} has no masks; give a folder of {', '.join(pixels.ANY)}, or of labels. {listed.note()}"
        )
    raise InputError(f"{path} is no folder; give one with truth masks, or {ANNOTATIONS}")


def _of_marks(path: Path, images: Path | None, coco_images: Path | str | None) -> Truth:
    sizes = sizes_of(images) if images else None
    found = labelled.read(path, sizes, Names(sizes) if sizes else None, coco_images)
    known = found.sizes if sizes is None else sizes
    if found.strangers:
        raise InputError(f"{path.name} names {shown(found.strangers)}, which {images} does not hold; correct the names")
    by_scene = found.of_scene()
    unknown = [name for name in by_scene if name not in known]
    if unknown:
        raise InputError(
            f"{path.name} does not say the size of {shown(unknown)}; give the pictures with --images FOLDER"
        )
    if not by_scene:
        raise InputError(f"{path.name}: no scene has a target; give truth with targets")
    found.refuse_outside(known, path.name)
    drawn = {name: marks.drawn(by_scene.get(name, []), size) for name, size in known.items()}
    lost = marks.merged(by_scene, drawn)
    kind = "points, one pixel each" if found.points_only else "boxes, filled"
    if any(mark.mask is not None for mark in found.every):
        kind = "regions"
    notes = [*found.notes, f"Truth of {len(found.every)} {kind}: overlap (IoU) is with these."]
    notes += found.unnamed(known, path.name)
    if lost:
        notes.append(f"{lost} of them touch another one and count as one target with it.")
    grey = {name: mask.view(np.uint8) * np.uint8(WHITE) for name, mask in drawn.items()}
    return Truth(f"the marks in {path.name}", dict(known), grey.__getitem__, notes=notes)


def resized(truth: Truth, maps: Mapping[str, ndarray]) -> list[str]:
    """Scenes whose mask has another size than the map that is compared with it."""
    return [name for name, scores in maps.items() if scores.shape != tuple(truth.sizes[name])]
