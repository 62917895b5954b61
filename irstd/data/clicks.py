"""Single-point labels: what an annotator's clicks give, and nothing more.

A view of a prepared dataset without masks. Its points are the targets' centroids, moved at random as coarse
clicks are, or clicks read from a file.
"""

from __future__ import annotations

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
    """Clicks from points or boxes in any format that `irstd.formats.annotations` reads, by scene.

    A CSV has the columns name, row and col (px, whole at pixel centres); others are ignored. A scene without a row has
    no target. Of a box its centre is taken.

    Raises:
        InputError: the file or a column is missing, a scene is not in the dataset, or a click is no number or
            not in its image.
    """
    from irstd.formats import annotations  # noqa: PLC0415 - training does without OpenCV, which the readers need
    from irstd.formats.marks import outside, points  # noqa: PLC0415
    from irstd.formats.names import Names, shown  # noqa: PLC0415

    if not path.exists():
        raise InputError(f"{path} is missing; set dataset.{prepared.folder.name}.clicks to a CSV of name, row and col")
    sizes = dict(zip(prepared.names, prepared.sizes, strict=True))
    found = annotations.read(path, sizes, Names(sizes))
    if found.strangers:
        raise InputError(
            f"{path.name}: {prepared.folder.name} has no scene {shown(map(repr, found.strangers))}; correct the names"
        )
    for mark in found.every:
        if not np.isfinite(mark.centre).all() or outside(mark.box, sizes[mark.scene]):
            row, col = mark.centre
            height, width = sizes[mark.scene]
            raise InputError(
                f"{path.name}, {mark.where}: ({row:g}, {col:g}) is outside {mark.scene!r} ({height} rows, "
                f"{width} columns)"
            )
    return {name: points(marks)[:, :2] for name, marks in found.of_scene().items()}
