"""Scores of points: precision, recall and F1 of predicted points matched one to one to targets, and their error.

The rule that methods with and without maps share: as many pairs as possible of one target and one point at most
D px apart, and among those the nearest (Hungarian method). D is 3 and 5 px, in native coordinates. P2P-HDNet
(arXiv 2408.01976) counts within 5 px, but greedily. Of a method with a map, the points are the centroids of its
regions.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

WITHIN_PX = (3, 5)


def pairs(truth: Float[ndarray, "T 2"], found: Float[ndarray, "P 2"], within_px: float) -> list[tuple[int, int, float]]:
    """Which target is matched to which point: (target, point, distance in px), in the order of the targets.

    Args:
        truth, found: (row, col) in px.
        within_px: farthest, inclusive.
    """
    if not len(truth) or not len(found):
        return []
    distance = cdist(truth, found)
    # A pair too far apart costs more than all allowed pairs together, so it is never worth one of them.
    far = within_px * (len(truth) + 1) + 1.0
    rows, cols = linear_sum_assignment(np.where(distance <= within_px, distance, far))
    chosen = zip(rows.tolist(), cols.tolist(), distance[rows, cols].tolist(), strict=True)
    return [(row, col, apart) for row, col, apart in chosen if apart <= within_px]
