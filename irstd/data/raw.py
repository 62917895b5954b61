"""A dataset as it was obtained: `images/`, `masks/`, `splits.csv`, `source.json`; read, paired, verified.

Files keep their upstream bytes. Nothing here changes a pixel; that is `prepare`'s work, done in the open.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from irstd.data import catalogue
from irstd.errors import InputError

MODES = ("1", "L", "LA", "P", "RGB", "RGBA")  # of 8 bits a channel; 16-bit levels would be cut off, not scaled
SUFFIXES = (".png", ".bmp", ".jpg", ".jpeg", ".tif", ".tiff")


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

    A mask may carry a suffix, as in `Misc_1_pixels0.png`.

    Raises:
        InputError: a folder is missing or empty, or an image lacks its mask or the reverse.
    """
    found: dict[str, dict[str, Path]] = {}
    for kind in ("images", "masks"):
        place = folder / kind
        if not place.is_dir():
            raise InputError(f"{folder.name}: the folder {kind}/ is missing; a dataset is images/ and masks/")
        listed = (p for p in sorted(place.iterdir()) if p.suffix.lower() in SUFFIXES)
        found[kind] = {p.stem.removesuffix("_pixels0"): p for p in listed}
    images, masks = found["images"], found["masks"]
    if not images:
        raise InputError(f"{folder.name}: images/ holds no image; accepted are {', '.join(SUFFIXES)}")
    for here, there, name in (("image", "mask", images.keys() - masks), ("mask", "image", masks.keys() - images)):
        if name:
            first, more = min(name), f" and {len(name) - 1} more" if len(name) > 1 else ""
            raise InputError(
                f"{folder.name}: the {here} {first!r}{more} has no {there} of the same name; "
                f"add it or remove the {here}"
            )
    return {name: (images[name], masks[name]) for name in sorted(images)}


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


def read_splits(path: Path) -> dict[str, dict[str, str]]:
    """Scene to its role in each split, as `write_splits` wrote it."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {row.pop("name"): row for row in rows}


def listed_splits(
    folder: Path, names: Iterable[str], split: str = "lists", *, required: bool = False
) -> dict[str, dict[str, str]]:
    """Roles from `train.txt`, `test.txt` and perhaps `val.txt` in `folder`; without them, four fifths train.

    With `train.txt` and `val.txt` alone, the latter is the test split, as the field's archives use it.

    Args:
        folder: may also hold the lists in `img_idx/` or `ImageSets/`.
        names: of the scenes there are.
        split: what to call it.
        required: whether the lists must be there.

    Raises:
        InputError: a list names a scene that is not there, or one scene is in two lists, or a list is missing.
    """
    names = sorted(names)
    lists = {p.stem: p for place in (folder, folder / "img_idx", folder / "ImageSets") for p in place.glob("*.txt")}
    if "train" not in lists and required:
        raise InputError(f"{folder.name}: the list train.txt of the published split is missing; add it")
    if "train" not in lists:
        # Every fifth, by a hash of the name: stable when scenes are added.
        held = {n for n in names if int(hashlib.sha256(n.encode()).hexdigest(), 16) % 5 == 0}
        return {n: {split: "test" if n in held else "train"} for n in names}
    test = "test" if "test" in lists else "val"
    if test not in lists:
        raise InputError(f"{folder.name}: train.txt is there but test.txt is not; add it, or remove train.txt")
    roles: dict[str, dict[str, str]] = {n: {} for n in names}
    used = [("train", "train"), ("test", test)]
    if test == "test" and "val" in lists:
        used.append(("val", "val"))
    for role, listed in used:
        for line in filter(None, map(str.strip, lists[listed].read_text().splitlines())):
            name = line.rsplit("/")[-1]
            name = name[: -len(Path(name).suffix)] if Path(name).suffix.lower() in SUFFIXES else name
            if name not in roles:
                raise InputError(
                    f"{folder.name}: {listed}.txt names {line!r}, which images/ does not hold; mend the list"
                )
            if roles[name]:
                before = "train" if roles[name][split] == "train" else test
                raise InputError(f"{folder.name}: {name!r} is in {before}.txt and in {listed}.txt; remove it from one")
            roles[name][split] = role
    return roles
