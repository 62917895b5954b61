"""Counts at 267 levels of the score in one pass: of pixels from a histogram, of targets from the regions at each level.

Levels are 1/256 apart, and dense at both ends, down to the distance of stored scores: networks that saturate have all
of their targets above 255/256.
Level k takes the scores of bins k and above; its threshold is the lower edge of bin k, reached or exceeded. Counts
add over images. Pd over Fa is not monotone: near threshold 0 the whole frame is one region that finds nothing. So it
is read as an operating curve, the best Pd at a stated Fa, and its area is of that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt16
from numpy import ndarray

from irstd.metrics.compiled import measured
from irstd.metrics.conventions import Convention
from irstd.metrics.levels import TOP
from irstd.metrics.matching import by_centroid
from irstd.metrics.regions import Regions, centroids, number

# Of bins, in 16-bit scores. Low levels are the slow ones, nearly all pixels being above them, and fewer.
EDGES = np.unique(np.concatenate([np.arange(0, TOP, 256), [1, 16], TOP - 2 ** np.arange(8), [TOP]]))
LEVELS = len(EDGES)
_BIN_OF = (np.searchsorted(EDGES, np.arange(1 << 16), "right") - 1).astype(np.uint16)
FA_BUDGETS = (1, 5, 10, 50, 100, 500)  # false pixels per million at which Pd is stated
FEW = 12000  # px in regions up to which labelling these alone is faster than a pass over the image
TARGETS = ("targets", "detected", "regions", "false_pixels")  # rows of `sweep`


def histogram(levels: UInt16[ndarray, "H W"], mask: Bool[ndarray, "H W"]) -> Int64[ndarray, "2 L"]:
    """Pixels of background and of targets in each bin of the 16-bit score; its lowest score is in `EDGES`.

    Args:
        levels: from `irstd.metrics.levels.encode`, 0 to 65534.
    """
    bins = _BIN_OF[levels].ravel()
    every = np.bincount(bins, minlength=LEVELS)
    inside = np.bincount(bins[np.flatnonzero(mask)], minlength=LEVELS)
    return np.stack([every - inside, inside])


def curve(counts: Int64[ndarray, "2 L"]) -> dict[str, ndarray]:
    """Columns of the curve over the thresholds from 0 to 1, from a pooled histogram.

    Row k counts the pixels in bins k and above; its threshold is the lower edge of bin k.
    """
    false_positive, true_positive = counts[:, ::-1].cumsum(1)[:, ::-1]
    background, targets = counts.sum(1)
    predicted = false_positive + true_positive
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "threshold": EDGES / TOP,
            "true_positive": true_positive,
            "false_positive": false_positive,
            "recall": true_positive / targets,
            "precision": true_positive / predicted,
            "false_positive_rate": false_positive / background,
            "iou": true_positive / (targets + false_positive),
        }


def sweep(levels: UInt16[ndarray, "H W"], truth: Regions, convention: Convention) -> Int64[ndarray, "4 L"]:
    """Targets, those detected, regions and false pixels of one image at each level.

    Args:
        convention: with pairs of centroids, and false alarms of unmatched regions; its threshold does not matter.
    """
    bins = _BIN_OF[levels]
    here = np.bincount(bins.ravel(), minlength=LEVELS)
    above = here[::-1].cumsum()[::-1]
    high = np.flatnonzero(bins >= np.argmax(above <= FEW)) if above[-1] <= FEW else np.arange(0)
    order = high[np.argsort(bins.ravel()[high], kind="stable")[::-1]]
    rows, cols = np.divmod(order, bins.shape[1])
    counts = np.zeros((len(TARGETS), LEVELS), np.int64)
    counts[0] = len(truth)
    row = np.zeros(3, np.int64)
    for level in range(LEVELS - 1, -1, -1):
        if here[level]:  # else nothing has changed
            if above[level] == bins.size:  # one region, the frame
                number_of, areas = 1, above[level : level + 1]
                centres = (np.array([bins.shape], float) - 1) / 2
            elif above[level] > FEW:
                reached = (bins >= np.uint16(level)).view(np.uint8)
                number_of, areas, centres = measured(reached, convention.connectivity)
            else:
                inside = np.s_[: above[level]]
                number_of, of = number(rows[inside], cols[inside], bins.shape, convention.connectivity)
                areas = np.bincount(of, minlength=number_of + 1)[1:]
                centres = centroids(of, rows[inside], cols[inside], areas)
            taken = by_centroid(truth.centroids, centres, convention).right
            row[:] = taken.sum(), number_of, above[level] - areas[taken].sum()
        counts[1:, level] = row
    return counts


@dataclass(frozen=True, slots=True)
class Areas:
    """Areas under the curves, in [0, 1]: of all levels, ends joined as stated.

    roc: true over false positive rate of pixels. pr: average precision of pixels, without interpolation.
    pd_fa: best Pd over the logarithm of the Fa allowed, from 1 to 1000 px per million, as a share; where no level gets
    down to an Fa the Pd counts as 0, so that it is a lower bound for networks that saturate.
    """

    roc: float
    pr: float
    pd_fa: float


def areas(pixels: Int64[ndarray, "2 L"], targets: Int64[ndarray, "4 L"], size: int) -> Areas:
    """Areas under the pooled curves.

    Args:
        pixels: from `histogram`. targets: from `sweep`. size: px of all images.
    """
    columns = curve(pixels)
    recall, rate = (np.append(columns[name], 0.0)[::-1] for name in ("recall", "false_positive_rate"))
    precision = np.nan_to_num(columns["precision"][::-1])
    allowed = np.logspace(0, 3, 61)
    return Areas(
        roc=float(np.trapezoid(recall, rate)) if pixels.sum(1).all() else np.nan,
        pr=float((np.diff(recall) * precision).sum()) if pixels[1].any() else np.nan,
        pd_fa=float(np.trapezoid(_or_nothing(best_pd(targets, size, allowed), targets), np.log10(allowed)) / 3),
    )


def best_pd(targets: Int64[ndarray, "4 L"], size: int, allowed: Float[ndarray, "K"]) -> Float[ndarray, "K"]:
    """The highest Pd, in [0, 1], at an Fa of at most `allowed` px per million.

    nan where no level gets down to that Fa (scores that saturate share the highest level), and without targets.
    """
    if not targets[0, 0]:
        return np.full(len(allowed), np.nan)
    pd, fa = targets[1] / targets[0], 1e6 * targets[3] / size
    return np.array([pd[fa <= most].max() if (fa <= most).any() else np.nan for most in allowed])


def lowest_fa(targets: Int64[ndarray, "4 L"], size: int) -> float:
    """The least Fa of any level, px per million: 0 where the highest levels are empty or right."""
    return float(1e6 * targets[3].min() / size)


def two_valued(pixels: Int64[ndarray, "2 L"]) -> bool:
    """Whether all pixels lie in the lowest and the highest bin, as those of masks do: such scores have no curve."""
    return not pixels[:, 1:-1].any()


def _or_nothing(pd: Float[ndarray, "K"], targets: Int64[ndarray, "4 L"]) -> Float[ndarray, "K"]:
    return np.nan_to_num(pd) if targets[0, 0] else pd


def best_level(pixels: Int64[ndarray, "2 L"]) -> int:
    """The level of the highest IoU of all pixels; of several equally good ones the middle one."""
    iou = np.nan_to_num(curve(pixels)["iou"])
    best = np.flatnonzero(iou == iou.max())
    return int(best[len(best) // 2])
