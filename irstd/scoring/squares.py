"""Truth and predictions on a square grid, as codes that resize score them."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt16
from numpy import ndarray

from irstd.metrics.counts import TOP, Pair

SIDE = 256  # px; what MSHNet's code and most that came after it resize to


def squared(pair: Pair, side: int = SIDE) -> Pair:
    """A scene as such codes see it: its mask by nearest neighbour, scores bilinearly, points moved along.

    Args:
        side: px.
    """
    points = pair.points
    if points is not None:
        places = [(points[:, axis] + 0.5) * side / pair.mask.shape[axis] - 0.5 for axis in (0, 1)]
        points = np.column_stack([*places, points[:, 2]])

    def nearest(mask: ndarray | None) -> ndarray | None:
        if mask is None:
            return None
        return cv2.resize(mask.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST) > 0

    mask, white, visible = (nearest(one) for one in (pair.mask, pair.white, pair.visible))
    assert mask is not None
    levels = None if pair.levels is None else _levels(pair.levels, side)
    return Pair(mask, levels, points, white, visible)


def _levels(levels: UInt16[ndarray, "_H _W"], side: int) -> UInt16[ndarray, "S S"]:
    """Levels of scores, bilinearly; which side of one half a score is on is not lost in rounding."""
    exact = cv2.resize(levels.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    half, found = TOP // 2, np.rint(exact).astype(np.uint16)
    found[(found == half) & (exact > half)] = half + 1
    found[(found == half) & (exact < half)] = half - 1
    return found
