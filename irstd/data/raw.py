"""A dataset as it was obtained: `images/`, `masks/`, `splits.csv`, `source.json`; read, paired, verified.

Files keep their upstream bytes. Nothing here changes a pixel; that is `prepare`'s work, done in the open.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from irstd.data import catalogue
from irstd.data.prepared import PARTS, read_splits
from irstd.errors import InputError
from irstd.formats import lists
from irstd.formats.names import Names, listing, own_names, plain, shown
from irstd.formats.pixels import ANY, SUFFIXES

__all__ = [
    "PARTS",
    "SUFFIXES",
    "decode",
    "digest",
    "finish",
    "listed_splits",
    "pairs",
    "read_splits",
    "verify",
    "write_parts",
    "write_splits",
]

MODES = ("1", "L", "LA", "P", "RGB", "RGBA")  # of 8 bits a channel; 16-bit levels would be cut off, not scaled


def decode(path: Path, name: str | None = None) -> UInt8[ndarray, "H W 3"]:
    """Pixels of an image file as RGB.

    Args:
        path: the file.
        name: how a message calls it; its last three path parts if not given.

    Raises:
        InputError: the file is truncated, or no image of 8 bits.
    """
    name = name or "/".join(path.parts[-3:])
    try:
        with Image.open(path) as image:
            if image.mode not in MODES:
                raise InputError(f"{name} has pixels of mode {image.mode}, not of 8 bits; convert it to 8 bits")
            # Alpha is 255 everywhere in the field's data; dropping it changes nothing.
            return np.asarray(image.convert("RGB"))
    except UnidentifiedImageError:
        raise InputError(f"{name} is not an image; replace the file") from None
    except (OSError, SyntaxError) as error:
        raise InputError(f"{name} is damaged ({error}); replace the file") from None


def digest(pixels: UInt8[ndarray, "H W 3"]) -> str:
    """First 16 hex digits of the SHA-256 of shape and RGB pixels: the same for every lossless copy."""
    shape = repr(pixels.shape[:2]).encode()
    return hashlib.sha256(shape + np.ascontiguousarray(pixels).tobytes()).hexdigest()[:16]


def pairs(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Scene name to image and mask file, in name order.

    A mask may carry an ending, as in `Misc_1_pixels0.png`; scenes of sequences are in subfolders. Hidden files do not
    count.

    Raises:
        InputError: a folder is missing or empty, an image lacks its mask or the reverse, or a scene has two files; all
            of it is named.
    """
    images, masks = _named(folder, "images", strip=str), _named(folder, "masks")
    if not images:
        raise InputError(f"{folder.name}: images/ holds no image; accepted are {', '.join(ANY)}")
    names = Names(images)
    found: dict[str, Path] = {}
    lone = []
    for name, path in masks.items():
        scene = names.find(name, exact=True)
        if scene is None:
            lone.append(name)
        else:
            found[scene] = path
    faults = [unpaired("image", "mask", sorted(images.keys() - found))] if images.keys() - found else []
    faults += [unpaired("mask", "image", sorted(lone))] if lone else []
    if faults:
        raise InputError(f"{folder.name}: " + "\n       ".join(faults))
    return {name: (images[name], found[name]) for name in sorted(images)}


def _named(folder: Path, kind: str, strip: Callable[[str], str] = plain) -> dict[str, Path]:
    place = folder / kind
    if not place.is_dir():
        raise InputError(f"{folder.name}: the folder {kind}/ is missing; a dataset is images/ and masks/")
    # A dataset of sequences of which one is left has its name still: lists and splits say it.
    return own_names(listing(place).files, place, kind, strip, whole=True)


def unpaired(here: str, there: str, names: list[str]) -> str:
    """A sentence on files without their counterpart."""
    one = len(names) == 1
    return (
        f"the {here}{'' if one else 's'} {shown(map(repr, names))} {'has' if one else 'have'} no {there} of the same "
        f"name; add {'it' if one else 'them'} or remove the {here}{'' if one else 's'}"
    )


def verify(folder: Path, name: str, *, progress: bool = False) -> None:
    """Compares each decoded image and mask in `folder` with the manifest of the dataset `name`.

    Raises:
        InputError: a file is missing, damaged, or its pixels differ from those verified; the first is named.
    """
    rows = catalogue.manifest(name)
    files = pairs(folder)
    missing = sorted(rows.keys() - files)
    if missing:
        raise InputError(
            f"{name}: {len(missing)} of {len(rows)} scenes are missing, {missing[0]!r} first; fetch them again"
        )

    def wrong(scene: str) -> str | None:
        for kind, path in zip(("image", "mask"), files[scene], strict=True):
            expected, got = rows[scene][kind], digest(decode(path))
            if got != expected:
                return f"{kind} {scene!r} has pixels with checksum {got}, but {expected} was verified"
        return None

    with ThreadPoolExecutor() as pool:
        results = tqdm(pool.map(wrong, rows), "verify", len(rows), unit="scene", leave=False, disable=not progress)
        for message in results:
            if message:
                raise InputError(f"{name}: {message}; fetch a lossless copy")


def write_splits(path: Path, roles: Mapping[str, Mapping[str, str]]) -> None:
    """Writes `splits.csv`: scene, and its role (train, val, test or empty) in each split."""
    splits = sorted({split for row in roles.values() for split in row})
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", *splits])
        writer.writerows([name, *(row.get(split, "") for split in splits)] for name, row in sorted(roles.items()))


def write_parts(path: Path, parts: Mapping[str, str]) -> None:
    """Writes `parts.csv`: scene, and the dataset of a union that it is of."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", "part"])
        writer.writerows(sorted(parts.items()))


def listed_splits(
    folder: Path, names: Iterable[str], split: str = "lists", *, required: bool = False
) -> dict[str, dict[str, str]]:
    """Roles from the lists of a dataset, see `irstd.formats.lists`.

    Args:
        names: of the scenes there are.
        split: what to call it.
        required: whether the lists must be there.

    Raises:
        InputError: as `irstd.formats.lists.find`; or a list is missing.
    """
    names = sorted(names)
    found = lists.find(folder, names, split)
    if not found.roles and required:
        raise InputError(f"{folder.name}: the list train.txt of the published split is missing; add it")
    return found.of_scenes(names)


def finish(
    building: Path, folder: Path, roles: dict[str, dict[str, str]], origin: str, notes: Mapping[str, Any] | None = None
) -> None:
    """Writes splits and origin, and puts the finished folder in its place.

    Args:
        notes: what else `source.json` is to say.
    """
    for list_ in building.glob("*.txt"):
        list_.unlink()
    write_splits(building / "splits.csv", roles)
    said = {"origin": origin, "scenes": len(roles), **(notes or {})}
    (building / "source.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)
