"""The one number that chooses the epoch. Apart from the metrics, so that a new metric retrains nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.ndimage import center_of_mass, label
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from irstd.inference.predict import Predicted

THRESHOLDS = np.arange(1, 40) / 40  # to choose from
WITHIN_PX = 3.0


def score(
    predicted: Iterable[Predicted],
    truth: Sequence[tuple[Bool[ndarray, "_H _W"] | None, Float[ndarray, "_T 2"]]],
    threshold: float | None = 0.5,
) -> tuple[float, float]:
    """A score in [0, 1], and the threshold it holds at: IoU of all pixels together, or, of a method that gives
    points only, F1 of its points.

    Args:
        predicted: one for each image.
        truth: mask, or None for a method supervised by points, and centres of the targets (row, col) in px.
        threshold: that scores must exceed; None to choose the best, of several equally good the middle one.

    A point is right if it is matched, one to one at least total distance, to a centre within 3 px.
    """
    thresholds = THRESHOLDS if threshold is None else np.array([threshold])
    # For each threshold: true positives, predictions and targets; in pixels or in points.
    pixels, points = (np.zeros((3, len(thresholds)), np.int64) for _ in range(2))
    for one, (mask, centres) in zip(predicted, truth, strict=True):
        if one.score is not None and mask is not None:
            # One pass for all thresholds: a pixel counts for each that its score exceeds.
            exceeded = np.searchsorted(thresholds, one.score, side="left")
            above = [np.bincount(e.ravel(), minlength=len(thresholds) + 1) for e in (exceeded[mask], exceeded)]
            both, found = (a[::-1].cumsum()[::-1][1:] for a in above)
            pixels += np.stack([both, found, np.full_like(both, mask.sum())])
        else:
            for number, least in enumerate(thresholds):
                found = points_above(one, least)
                points[:, number] += right(found, centres), len(found), len(centres)
    if pixels.any():
        scores = pixels[0] / np.maximum(pixels[1] + pixels[2] - pixels[0], 1)
    else:
        scores = 2 * points[0] / np.maximum(points[1] + points[2], 1)
    best = np.flatnonzero(scores == scores.max())
    chosen = best[len(best) // 2]
    return float(scores[chosen]), float(thresholds[chosen])


def points_above(one: Predicted, least: float) -> Float[ndarray, "P 2"]:
    """A method's own points above a score, or the centroids of its map's regions."""
    if one.points is not None:
        return one.points[one.points[:, 2] > least, :2]
    assert one.score is not None
    labels, count = label(one.score > least, np.ones((3, 3)))
    return np.array(center_of_mass(labels > 0, labels, range(1, count + 1))).reshape(-1, 2)


def right(found: Float[ndarray, "P 2"], centres: Float[ndarray, "T 2"]) -> int:
    """How many points are matched, one to one at least total distance, to a centre within 3 px."""
    if not len(found) or not len(centres):
        return 0
    far = np.minimum(cdist(centres, found), 1e6)
    # Beyond the limit all distances cost the same, so that they never draw a match away from a near pair.
    cost = np.where(far <= WITHIN_PX, far, 1e3)
    rows, cols = linear_sum_assignment(cost)
    return int((far[rows, cols] <= WITHIN_PX).sum())
