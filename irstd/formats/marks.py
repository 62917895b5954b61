"""Points and boxes, whatever file they come in, in one form; shared by readers of all their formats.

Places are (row, col) in px, whole at the centres of pixels; a box around one pixel reaches half a px to each side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from irstd.errors import InputError
from irstd.formats.names import shown
from irstd.formats.pixels import allowed
from irstd.metrics.compiled import label

Number = float | int
Size = tuple[int, int]  # height and width, px


@dataclass(frozen=True, slots=True)
class Mark:
    """One point, box or region of a scene, as a file has it.

    box: top, left, bottom, right in px; a point has bottom = top and right = left. score: 1 where there is none.
    mask: the region's pixels, or None. where: its place in the file, for messages.
    """

    scene: str
    box: tuple[Number, Number, Number, Number]
    score: Number = 1.0
    mask: Bool[ndarray, "_H _W"] | None = None
    where: str = ""

    @property
    def centre(self) -> tuple[Number, Number]:
        top, left, bottom, right = self.box
        return (top + bottom) / 2, (left + right) / 2

    @property
    def point(self) -> bool:
        """Whether it has no extent."""
        return self.box[0] == self.box[2] and self.box[1] == self.box[3] and self.mask is None


def stated(height: object, width: object) -> Size:
    """The size of an image that a file of labels states.

    Raises:
        ValueError: it is no size, or one of an image that is too large to be drawn.
    """
    try:
        size = int(float(height)), int(float(width))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        size = (0, 0)
    if min(size) < 1:
        raise ValueError(f"height {height!r} and width {width!r} are no size of an image; give numbers of px")
    allowed(size)
    return size


def same(size: Size, wanted: Size | None) -> Size:
    """The size of an image that a file states; or `wanted`, from which it may differ by a pixel, as masks do.

    Raises:
        ValueError: it differs by more.
    """
    if wanted is not None and max(abs(a - b) for a, b in zip(size, wanted, strict=True)) > 1:
        raise ValueError(f"it is for an image of {size[1]}×{size[0]} px, not {wanted[1]}×{wanted[0]}")
    return size if wanted is None else wanted


@dataclass
class Marks:
    """What a file, or a folder of files, says of its scenes.

    every: all marks. strangers: names that are of no scene. empty: scenes that are there and hold nothing. sizes: of
    scenes, where the file says them. notes: what was assumed. files: how many were read. scored: whether any mark has a
    score of its own. out: places of boxes that reach out of their image.
    """

    every: list[Mark] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    sizes: dict[str, Size] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    files: int = 1
    classes: set[str] = field(default_factory=set)
    scored: bool = False
    out: list[str] = field(default_factory=list)

    def of_scene(self) -> dict[str, list[Mark]]:
        """Marks by scene."""
        found: dict[str, list[Mark]] = {}
        for mark in self.every:
            found.setdefault(mark.scene, []).append(mark)
        return found

    def unnamed(self, known: Iterable[str], file: str) -> list[str]:
        """What to say where a file does not name some of the scenes; it says nothing of an empty one that it names."""
        named = {mark.scene for mark in self.every} | set(self.empty)
        silent = [name for name in known if name not in named]
        return [f"{file} does not name {shown(silent)}: taken as without a target"] if silent else []

    def again(self) -> int:
        """How many points and boxes are equal to another one."""
        plain = [(mark.scene, mark.box, mark.score) for mark in self.every if mark.mask is None]
        return len(plain) - len(set(plain))

    def refuse_outside(self, sizes: Mapping[str, Size], where: str) -> None:
        """Raises InputError that names marks whose centre is in no pixel of their scene."""
        if beyond := [m for m in self.every if m.scene in sizes and outside(m.box, sizes[m.scene])]:
            raise InputError(
                f"{where}: {shown(f'{m.where} ({m.scene})' for m in beyond)} outside the image; correct them"
            )

    @property
    def points_only(self) -> bool:
        return bool(self.every) and all(mark.point for mark in self.every)


def boxes(marks: Sequence[Mark]) -> Float[ndarray, "_N 5"]:
    """Top, left, bottom, right and score of each."""
    return np.array([(*mark.box, mark.score) for mark in marks], float).reshape(-1, 5)


def points(marks: Sequence[Mark]) -> Float[ndarray, "_N 3"]:
    """Row, col and score of each one's centre."""
    return np.array([(*mark.centre, mark.score) for mark in marks], float).reshape(-1, 3)


def inside(box: Sequence[Number], size: Size) -> Bool[ndarray, "H W"]:
    """True at the pixels whose centres are in a box."""
    filled = np.zeros(size, bool)
    rows, cols = (slice(max(0, ceil(a)), max(0, ceil(b))) for a, b in zip(box[:2], box[2:], strict=True))
    filled[rows, cols] = True
    return filled


def drawn(marks: Iterable[Mark], size: Size) -> Bool[ndarray, "H W"]:
    """A mask of marks: regions as they are, boxes filled, points as the pixel they lie in.

    A box in which no pixel has its centre is taken as its own.
    """
    mask = np.zeros(size, bool)
    for mark in marks:
        if mark.mask is not None:
            mask |= mark.mask
        elif mark.point or not (filled := inside(mark.box, size)).any():
            row, col = (
                min(max(floor(place + 0.5), 0), side - 1) for place, side in zip(mark.centre, size, strict=True)
            )
            mask[row, col] = True
        else:
            mask |= filled
    return mask


def outside(box: Sequence[Number], size: Size) -> bool:
    """Whether a mark's centre is not in the image."""
    row, col = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return not (-0.5 <= row <= size[0] - 0.5 and -0.5 <= col <= size[1] - 0.5)


def merged(found: Mapping[str, Sequence[Mark]], masks: Mapping[str, ndarray]) -> int:
    """How many marks share a region of the mask they are drawn on with another."""
    lost = 0
    for scene, marks in found.items():
        count, _ = label(masks[scene].astype(np.uint8), connectivity=8)
        lost += max(0, len(marks) - count)
    return lost
