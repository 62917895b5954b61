"""Single-point labels: what an annotator's clicks tell, and nothing more.

A view of a prepared dataset without masks. Its points are the targets' centroids, moved at random as coarse
clicks are, or clicks read from a file.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64, UInt8
from numpy import ndarray

from irstd.data.batches import seed_of
from irstd.data.prepared import Prepared
from irstd.errors import InputError


class Clicks(Mapping[int, ndarray]):
    """The points of each scene, by number; computed when asked for.

    Args:
        prepared: the dataset.
        jitter: deviation of a click from the centroid, in halves of the target's box, along rows and along
            columns (LESPS, CVPR 2023, calls such labels coarse). Drawn once for each target and seed.
        seed: of the run: another annotator.
        given: clicks of scenes by name, instead of centroids.
    """

    def __init__(
        self, prepared: Prepared, jitter: float = 0.0, seed: int = 0, given: Mapping[str, ndarray] | None = None
    ) -> None:
        self._prepared, self._jitter, self._seed, self._given = prepared, jitter, seed, given

    def __len__(self) -> int:
        return len(self._prepared.names)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self)))

    def __getitem__(self, number: int) -> Float64[ndarray, "T 2"]:
        prepared, name = self._prepared, self._prepared.names[number]
        if self._given is not None:
            return self._given.get(name, np.zeros((0, 2)))
        points = prepared.points[number]
        if not self._jitter or not len(points):
            return points
        rng = np.random.default_rng(seed_of("clicks", self._seed, name))
        half = prepared.boxes[number] / 2
        moved = points + rng.standard_normal(points.shape) * self._jitter * half
        return moved.clip(0, np.array(prepared.sizes[number]) - 1)


class PointView:
    """A prepared dataset as a method supervised by points sees it: images and points. It has no masks to give."""

    def __init__(self, prepared: Prepared, points: Mapping[int, ndarray] | Sequence[ndarray]) -> None:
        self.points = points
        self.sizes = prepared.sizes
        self._image = prepared.image

    def image(self, number: int) -> UInt8[ndarray, "H W"]:
        """Grey levels of a scene."""
        return self._image(number)


def read_clicks(path: Path, prepared: Prepared) -> dict[str, Float64[ndarray, "T 2"]]:
    """Clicks from a CSV file with the columns name, row and col (px, whole at pixel centres); others are ignored.

    A scene without a row has no target.

    Raises:
        InputError: the file or a column is missing, a scene is not in the dataset, or a click is no number or
            not in its image.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing; set dataset.{prepared.folder.name}.clicks to a CSV of name, row and col")
    numbers = {name: n for n, name in enumerate(prepared.names)}
    found: dict[str, list[tuple[float, float]]] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        table = csv.DictReader(file)
        lacking = [c for c in ("name", "row", "col") if c not in (table.fieldnames or [])]
        if lacking:
            raise InputError(f"{path.name} lacks the column {lacking[0]!r}; it needs name, row and col")
        for line in table:
            name, place = line["name"], f"{path.name}, line {table.line_num}"
            if name not in numbers:
                raise InputError(f"{place}: {prepared.folder.name} has no scene {name!r}; mend the name")
            try:
                row, col = float(line["row"]), float(line["col"])
            except (TypeError, ValueError):
                raise InputError(f"{place}: row and col of {name!r} must be numbers (px); mend the line") from None
            height, width = prepared.sizes[numbers[name]]
            if not (-0.5 <= row < height - 0.5 and -0.5 <= col < width - 0.5):
                raise InputError(f"{place}: ({row:g}, {col:g}) is outside {name!r} ({height} rows, {width} columns)")
            found.setdefault(name, []).append((row, col))
    return {name: np.array(clicks) for name, clicks in found.items()}
