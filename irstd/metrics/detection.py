"""Average precision of detectors: of boxes at an overlap of one half (mAP50 of one class), and of their centres.

Boxes are (top, left, bottom, right) in px. Boxes of a few px lose half their overlap by an error of one px, so the
centres are scored beside them, at the distance of the point scores.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.spatial.distance import cdist

OVERLAP = 0.5
WITHIN_PX = 3.0


def overlaps(found: Float[ndarray, "N 4"], truth: Float[ndarray, "T 4"]) -> Float[ndarray, "N T"]:
    """Intersection over union of each box with each."""
    low, high = np.maximum(found[:, None, :2], truth[:, :2]), np.minimum(found[:, None, 2:], truth[:, 2:])
    both = (high - low).clip(min=0).prod(2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (found, truth)]
    return both / (areas[0][:, None] + areas[1] - both)


def rightly(affinity: Float[ndarray, "N T"], least: float) -> Bool[ndarray, "N"]:
    """Which of an image's detections, best score first, find a target.

    Each takes of the targets still free the one of largest affinity, if that is at least `least` (COCO's rule).
    """
    right = np.zeros(len(affinity), bool)
    free = np.ones(affinity.shape[1], bool)
    for number, row in enumerate(affinity):
        if free.any():
            best = int(np.where(free, row, -np.inf).argmax())
            if row[best] >= least:
                right[number], free[best] = True, False
    return right


def average_precision(scores: Float[ndarray, "N"], right: Bool[ndarray, "N"], targets: int) -> float:
    """Area under precision over recall, precision made to fall only: all-point interpolation (VOC 2010).

    Detections of equal score enter together, so that their order does not matter. nan without targets.
    """
    if not targets:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    scores, right = scores[order], right[order]
    last = np.append(scores[1:] != scores[:-1], True) if len(scores) else np.zeros(0, bool)
    hits = right.cumsum()[last]
    precision = hits / (np.flatnonzero(last) + 1)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(hits, prepend=0) / targets * highest).sum())


class Detections:
    """Detections and targets of a split, added image by image."""

    def __init__(self) -> None:
        self.targets = 0
        self._scores: list[ndarray] = []
        self._right: dict[str, list[ndarray]] = {"box_ap50": [], "point_ap_3px": []}

    def add(self, found: Float[ndarray, "N 5"], truth: Float[ndarray, "T 4"], centroids: Float[ndarray, "T 2"]) -> None:
        """One image.

        Args:
            found: boxes and scores. truth: boxes. centroids: (row, col) of the true regions, px.
        """
        found = found[np.argsort(-found[:, 4], kind="stable")].astype(float)
        middles = (found[:, :2] + found[:, 2:4]) / 2
        self.targets += len(truth)
        self._scores.append(found[:, 4])
        self._right["box_ap50"].append(rightly(overlaps(found[:, :4], truth), OVERLAP))
        self._right["point_ap_3px"].append(rightly(-cdist(middles, centroids), -WITHIN_PX))

    def scores(self) -> dict[str, float]:
        """`box_ap50` and `point_ap_3px`, in [0, 1]."""
        scores = np.concatenate([np.zeros(0), *self._scores])
        return {
            name: average_precision(scores, np.concatenate([np.zeros(0, bool), *right]), self.targets)
            for name, right in self._right.items()
        }
