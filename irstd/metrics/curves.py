"""Pixel counts at every level of the score in one pass; they add over images."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int64, UInt16
from numpy import ndarray

LEVELS = 256


def histogram(levels: UInt16[ndarray, "H W"], mask: Bool[ndarray, "H W"]) -> Int64[ndarray, "2 L"]:
    """Pixels of background and of targets in each of 256 bins of the 16-bit score, equally wide.

    Args:
        levels: from `irstd.prediction.encode`, 0 to 65534.
    """
    bins = levels >> 8
    return np.stack([np.bincount(bins[side], minlength=LEVELS) for side in (~mask, mask)])


def curve(counts: Int64[ndarray, "2 L"]) -> dict[str, ndarray]:
    """Columns of the curve over thresholds 0, 1/256, ... from a pooled histogram.

    Row k counts the pixels in bins k and above; its threshold is the lower edge of bin k.
    """
    false_positive, true_positive = counts[:, ::-1].cumsum(1)[:, ::-1]
    background, targets = counts.sum(1)
    predicted = false_positive + true_positive
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "threshold": np.arange(LEVELS) * 256 / 65534,
            "true_positive": true_positive,
            "false_positive": false_positive,
            "recall": true_positive / targets,
            "precision": true_positive / predicted,
            "false_positive_rate": false_positive / background,
            "iou": true_positive / (targets + false_positive),
        }
