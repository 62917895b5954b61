"""A prepared dataset as training and scoring read it: memory-mapped grey levels and bit masks.

    images.npy    grey levels of all scenes in a row, uint8
    masks.npy     their masks, eight pixels a byte
    scenes.csv    name, height, width, group, and what was found odd
    splits.csv    the role of each scene in each split
    targets.csv   one row per target: where, how large, how bright
    parts.csv     only of a union: the dataset that each scene is of
    labels.json   only where truth is boxes or points; masks hold the filled boxes, or a pixel for each point

Only NumPy is needed to read it.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, UInt8
from numpy import ndarray

from irstd.errors import InputError, hint

PARTS = "parts.csv"
Role = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Prepared:
    """One prepared dataset."""

    folder: Path

    @cached_property
    def scenes(self) -> list[dict[str, str]]:
        """Rows of scenes.csv, in name order; a scene's number is its place here."""
        return _rows(self.folder / "scenes.csv")

    @cached_property
    def names(self) -> list[str]:
        return [row["name"] for row in self.scenes]

    @cached_property
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of each scene, px."""
        return [(int(row["height"]), int(row["width"])) for row in self.scenes]

    @cached_property
    def _offsets(self) -> tuple[ndarray, ndarray]:
        pixels = [h * w for h, w in self.sizes]
        return np.cumsum([0, *pixels]), np.cumsum([0, *(-(-n // 8) for n in pixels)])

    @cached_property
    def _stored(self) -> tuple[ndarray, ndarray]:
        return tuple(np.load(self.folder / f"{kind}.npy", mmap_mode="r") for kind in ("images", "masks"))

    def image(self, number: int) -> UInt8[ndarray, "H W"]:
        """Grey levels of a scene."""
        start, stop = self._offsets[0][number : number + 2]
        return np.array(self._stored[0][start:stop]).reshape(self.sizes[number])

    def mask(self, number: int) -> Bool[ndarray, "H W"]:
        """True on a scene's targets."""
        height, width = self.sizes[number]
        start, stop = self._offsets[1][number : number + 2]
        return np.unpackbits(self._stored[1][start:stop], count=height * width).reshape(height, width).view(bool)

    @cached_property
    def points(self) -> list[Float64[ndarray, "T 2"]]:
        """Row and column of each target's centre, px, scene by scene."""
        found: dict[str, list[tuple[float, float]]] = {}
        for row in _rows(self.folder / "targets.csv"):
            found.setdefault(row["name"], []).append((float(row["row"]), float(row["col"])))
        return [np.array(found.get(name, []), float).reshape(-1, 2) for name in self.names]

    @cached_property
    def boxes(self) -> list[Float64[ndarray, "T 2"]]:
        """Height and width of each target's box, px, scene by scene, in the order of `points`."""
        found: dict[str, list[tuple[float, float]]] = {}
        for row in _rows(self.folder / "targets.csv"):
            found.setdefault(row["name"], []).append((float(row["height"]), float(row["width"])))
        return [np.array(found.get(name, []), float).reshape(-1, 2) for name in self.names]

    @cached_property
    def labels(self) -> str:
        """What its truth is: masks, or the boxes or points that its masks stand in for."""
        path = self.folder / "labels.json"
        return json.loads(path.read_text(encoding="utf-8"))["labels"] if path.is_file() else "masks"

    @cached_property
    def splits(self) -> dict[str, dict[str, str]]:
        return read_splits(self.folder / "splits.csv")

    @cached_property
    def parts(self) -> dict[str, str]:
        """Of a union, the dataset that each scene is of; else nothing."""
        path = self.folder / PARTS
        return {row["name"]: row["part"] for row in _rows(path)} if path.is_file() else {}

    def checksum(self) -> str:
        """SHA-256 of pixels, masks, names and splits: what a result was made from."""
        total = hashlib.sha256()
        for name in ("scenes.csv", "splits.csv", "images.npy", "masks.npy"):
            with (self.folder / name).open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
        return total.hexdigest()

    def roles(self, split: str, share: float) -> dict[Role, list[int]]:
        """Numbers of the scenes to train with, to choose the epoch with, and to test with.

        Validation is the split's own where it has one, else `share` of the training scenes, whole groups of
        near-duplicates at a time, chosen by a hash of their names: the same for every method and seed, and
        stable when scenes are added.

        Raises:
            InputError: no such split, or a role of it has no scene.
        """
        known = sorted({key for row in self.splits.values() for key in row})
        if split not in known:
            raise InputError(f"{self.folder.name} has no split {split!r}; {hint(split, known)}")
        by_role: dict[str, list[int]] = {"train": [], "val": [], "test": []}
        for number, name in enumerate(self.names):
            role = self.splits[name][split]
            if role:
                by_role[role].append(number)
        train, validation = by_role["train"], by_role["val"]
        if not validation and share:
            train, validation = self._hold_out(train, share)
        roles: dict[Role, list[int]] = {"train": train, "validation": validation, "test": by_role["test"]}
        for role, numbers in roles.items():
            if not numbers and (role != "validation" or share):
                raise InputError(
                    f"{self.folder.name}: split {split!r} has no scene for {role}; choose another split or share"
                )
        return roles

    def _hold_out(self, train: list[int], share: float) -> tuple[list[int], list[int]]:
        groups: dict[str, list[int]] = {}
        for number in train:
            groups.setdefault(self.scenes[number]["group"], []).append(number)
        order = sorted(groups, key=lambda group: hashlib.sha256(group.encode()).digest())
        held: set[int] = set()
        for group in order:
            if len(held) + len(groups[group]) <= max(1, round(share * len(train))):
                held.update(groups[group])
        return [n for n in train if n not in held], sorted(held)


def spread(numbers: Sequence[int], most: int) -> list[int]:
    """At most `most` of the scenes, evenly spaced, in their order.

    >>> spread([3, 4, 5, 6, 7], 3), spread([3, 4], 3)
    ([3, 5, 7], [3, 4])
    """
    places = np.linspace(0, len(numbers) - 1, min(most, len(numbers))).round().astype(int)
    return [numbers[place] for place in places]


def read_splits(path: Path) -> dict[str, dict[str, str]]:
    """Scene to its role in each split, as `irstd.data.raw.write_splits` wrote it."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {row.pop("name"): row for row in rows}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
