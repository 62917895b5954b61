"""Pictures of any size through a network: whole where they fit in memory, else in overlapping tiles.

A tile's outer margin is discarded, so that each pixel is decided by the tile in whose middle it lies. For a network
whose answer at a pixel depends on pixels at most a margin away, this equals the whole picture. The gates of networks
that take means over an image (squeeze and excitation, channel attention, standardisation) see their tile instead, and
small tiles cost: on every ninth test scene of IRSTD-1k (512 px) its U-Net has IoU 63.4 % and Fa 40.8 whole, 53.6 % and
86.4 in tiles of 384 px, 46.5 % and 129.2 in tiles of 256 px, at the same Pd of 96.7 %; point regression loses 0 and 0.5
points of F1. So pictures are taken whole as long as they fit, and tiles are larger than those scenes; but those of a
recipe that says `geometry: tiles` are as small as the crops that it trains on. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8, UInt16
from numpy import ndarray
from scipy.spatial import KDTree

from irstd.metrics.levels import encode

Geometry = Literal["crop", "tiles", "resize"]  # see `irstd.inference.predict.predict`
Window = tuple[int, int, int, int]
LEAST_PX = 32  # of a side; smaller pictures are padded
SAME_PX = 3.0  # points of two tiles that are nearer than this are of one target


@runtime_checkable
class Said(Protocol):
    """What a network says of one piece, as `irstd.inference.predict.Predicted`."""

    @property
    def score(self) -> Float[ndarray, "H W"] | None: ...

    @property
    def points(self) -> Float[ndarray, "N 3"] | None: ...


@runtime_checkable
class Network(Protocol):
    """What says where targets are, of torch or of another runtime.

    multiple: of a padded picture's sides, px. tile, margin: sides of a tile, and what is discarded of each side, px,
    multiples of it.
    """

    @property
    def multiple(self) -> int: ...

    @property
    def tile(self) -> tuple[int, int]: ...

    @property
    def margin(self) -> int: ...

    def takes(self, height: int, width: int) -> bool:
        """Whether a picture of these sides is taken whole."""
        ...

    def __call__(self, grey: UInt8[ndarray, "H W"]) -> Said: ...


@dataclass(frozen=True, slots=True)
class Whole:
    """What a method says of a picture. levels: 16-bit scores (`irstd.metrics.levels.encode`), or None of a method
    without a map. points: row, col (px) and score, or None where the map's regions are to be used. tiles: how many.
    """

    levels: UInt16[ndarray, "H W"] | None
    points: Float[ndarray, "_N 3"] | None
    tiles: int = 1


def margin(tile: int, multiple: int) -> int:
    """What is discarded of each side of the small tiles of `geometry: tiles`, px: about a sixth, so that a pixel
    in a corner of the rest still has surroundings.

    >>> margin(96, 8), margin(128, 32)
    (16, 32)
    """
    return max(1, round(tile / 6 / multiple)) * multiple


def padded(grey: UInt8[ndarray, "H W"], multiple: int) -> UInt8[ndarray, "h w"]:
    """A picture continued by its mirror image beyond its right and bottom edge, to sides that a network can halve.

    Differs from PAL's framework, which continues it with black: a network whose crops held no such edge takes it for
    targets. Of 64 scenes held out of NUAA-SIRST, GGL-Net trained on crops of 128 px finds 3,000 to 10,000 false pixels
    per million with black and 310 to 230 with the mirror image, IoU .15 and .50, .05 and .56.

    Args:
        multiple: of each side, px, which is `LEAST_PX` at least.

    >>> padded(np.zeros((20, 33), np.uint8), 16).shape
    (32, 48)
    """
    return continued(grey, [-(-max(side, LEAST_PX) // multiple) * multiple for side in grey.shape])


def continued(grey: UInt8[ndarray, "H W"], sides: Sequence[int]) -> UInt8[ndarray, "h w"]:
    """A picture continued by its mirror image beyond its right and bottom edge to at least these sides, px."""
    more = [(0, max(0, side - have)) for side, have in zip(sides, grey.shape, strict=True)]
    return np.pad(grey, more, mode="symmetric")


def within(points: Float[ndarray, "_N 3"], shape: tuple[int, ...]) -> Float[ndarray, "_M 3"]:
    """Points of a picture of a `shape`, without those in its padding.

    A target at the border is one with its mirror image, whose middle is the border: points up to a pixel beyond that
    are brought back to it, unless the target was found on this side, too.
    """
    ends = np.array(shape, points.dtype) - 0.5
    places = points[:, :2]
    kept = np.all(places < ends, axis=1)
    over = np.flatnonzero(~kept & np.all(places < ends + 1, axis=1))
    if len(over) and kept.any():
        over = over[KDTree(places[kept]).query(places[over])[0] > SAME_PX]
    kept[over] = True
    points = points[kept]
    return np.concatenate([points[:, :2].clip(-0.5, ends), points[:, 2:]], 1)


def cut(
    full: tuple[int, ...], seen: tuple[int, ...], tile: tuple[int, int], discarded: int
) -> list[tuple[Window, Window]]:
    """Rows and columns of each tile, as `windows` has them, of a picture padded from `seen` to `full`."""
    rows, cols = (
        [(start, end, first, min(last, side)) for start, end, first, last in windows(length, px, discarded)]
        for length, side, px in zip(full, seen, tile, strict=True)
    )
    return [(row, col) for row in rows for col in cols]


def windows(length: int, tile: int, margin: int) -> list[Window]:
    """Tiles along one side: start and end of each, and start and end of the part that it decides.

    >>> windows(100, 64, 8)
    [(0, 64, 0, 50), (36, 100, 50, 100)]
    """
    if length <= tile:
        return [(0, length, 0, length)]
    step = tile - 2 * margin
    count = -(-(length - 2 * margin) // step)
    starts = [min(n * step, length - tile) for n in range(count)]
    cuts = [0, *((a + tile + b) // 2 for a, b in pairwise(starts)), length]
    return [(s, s + tile, a, b) for s, (a, b) in zip(starts, pairwise(cuts), strict=True)]


def run(network: Network, grey: UInt8[ndarray, "H W"], *, progress: Callable[[int, int], None] | None = None) -> Whole:
    """What a network says of a picture.

    Args:
        progress: called with the number of tiles done and of all.
    """
    if network.takes(*grey.shape):
        found = network(grey)
        return Whole(None if found.score is None else encode(found.score), found.points)
    full = padded(grey, network.multiple)
    cuts = cut(full.shape, grey.shape, network.tile, network.margin)

    def said() -> Iterator[Said]:
        for number, (row, col) in enumerate(cuts):
            yield network(np.ascontiguousarray(full[row[0] : row[1], col[0] : col[1]]))
            if progress:
                progress(number + 1, len(cuts))

    return Whole(*joined(grey.shape, cuts, said(), encode), len(cuts))


def joined(
    shape: tuple[int, ...],
    cuts: Sequence[tuple[Window, Window]],
    said: Iterable[Said],
    stored: Callable[[ndarray], ndarray] = np.asarray,
) -> tuple[ndarray | None, ndarray | None]:
    """The map and the points of a picture of a `shape`, of what was said of each of its tiles; None where it is not.

    Args:
        stored: what is kept of a part of the map.
    """
    whole: ndarray | None = None
    points: list[ndarray] = []
    for (row, col), one in zip(cuts, said, strict=True):
        if one.score is not None:
            part = stored(one.score[inner(row, col)])
            whole = np.zeros(shape, part.dtype) if whole is None else whole
            whole[row[2] : row[3], col[2] : col[3]] = part
        if one.points is not None:
            points.append(inside(one.points, row, col, shape))
    return whole, within(merged(points), shape) if points else None


def inner(row: Window, col: Window) -> tuple[slice, slice]:
    """The part of a tile that it decides, of the tile itself."""
    return np.s_[row[2] - row[0] : row[3] - row[0], col[2] - col[0] : col[3] - col[0]]


def inside(points: ndarray, row: Window, col: Window, shape: tuple[int, ...]) -> ndarray:
    """Points in the part that a tile decides of a picture of a `shape`, with places in it; the last tiles decide what
    is beyond it, too.
    """
    moved = points + np.array([row[0], col[0], 0.0], points.dtype)
    starts = np.array([row[2], col[2]]) - 0.5
    ends = np.array([np.inf if w[3] == side else w[3] - 0.5 for w, side in zip((row, col), shape, strict=True)])
    return moved[((moved[:, :2] >= starts) & (moved[:, :2] < ends)).all(1)]


def merged(pieces: Sequence[Float[ndarray, "_N 3"]]) -> Float[ndarray, "_M 3"]:
    """Points of all tiles, without those of a target that two tiles found on either side of their seam.

    The one with the higher score stays. What one tile says of two targets near each other stays as it is.
    """
    points, of = np.concatenate(pieces), np.repeat(np.arange(len(pieces)), [len(piece) for piece in pieces])
    kept: list[int] = []
    order = np.argsort(-points[:, 2], kind="stable")
    cells: dict[tuple[int, int], list[int]] = {}
    for index in order.tolist():
        row, col = points[index, :2]
        cell = int(row // SAME_PX), int(col // SAME_PX)
        near = [k for a in (-1, 0, 1) for b in (-1, 0, 1) for k in cells.get((cell[0] + a, cell[1] + b), [])]
        others = [k for k in near if of[k] != of[index]]
        if all(np.hypot(*(points[k, :2] - points[index, :2])) >= SAME_PX for k in others):
            kept.append(index)
            cells.setdefault(cell, []).append(index)
    return points[sorted(kept)]
