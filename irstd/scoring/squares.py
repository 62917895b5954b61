"""Truth and predictions on a square grid, as codes that resize score them."""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from irstd.metrics import compiled
from irstd.metrics.counts import Pair
from irstd.metrics.levels import TOP, encode

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
        return compiled.nearest(mask.astype(np.uint8), (side, side)) > 0

    mask, white, visible = (nearest(one) for one in (pair.mask, pair.white, pair.visible))
    assert mask is not None
    levels = None
    if pair.levels is not None:
        levels = encode(compiled.resized(pair.levels / TOP, (side, side)))
    return Pair(mask, levels, points, white, visible)
