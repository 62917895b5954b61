"""The one number that chooses the epoch. Apart from the metrics, so that a new metric retrains nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from irstd.prediction import Predicted

THRESHOLD = 0.5
WITHIN_PX = 3.0


def score(
    predicted: Iterable[Predicted], truth: Sequence[tuple[Bool[ndarray, "_H _W"], Float[ndarray, "_T 2"]]]
) -> float:
    """In [0, 1]: IoU of all pixels together above one half, or, of a method that gives points only, F1.

    Args:
        predicted: one for each image.
        truth: mask, and centres of the targets (row, col) in px.

    A point is right if it is matched, one to one at least total distance, to a centre within 3 px.
    """
    both = either = right = points = targets = 0
    for one, (mask, centres) in zip(predicted, truth, strict=True):
        if one.score is not None:
            above = one.score > THRESHOLD
            both += int((above & mask).sum())
            either += int((above | mask).sum())
        elif one.points is not None:
            found = one.points[one.points[:, 2] > THRESHOLD, :2]
            right += _right(found, centres)
            points += len(found)
            targets += len(centres)
    if either:
        return both / either
    return 2 * right / (points + targets) if points + targets else 0.0


def _right(found: Float[ndarray, "P 2"], centres: Float[ndarray, "T 2"]) -> int:
    far = np.minimum(cdist(centres, found), 1e6)
    # Beyond the limit all distances cost the same, so that they never draw a match away from a near pair.
    cost = np.where(far <= WITHIN_PX, far, 1e3)
    rows, cols = linear_sum_assignment(cost)
    return int((far[rows, cols] <= WITHIN_PX).sum())
