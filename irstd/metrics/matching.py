"""Which predicted regions, or points, find which targets: the rules of the field's code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Int64, UInt16
from numpy import ndarray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from irstd.metrics.conventions import Convention
from irstd.metrics.regions import Regions

HALF = 0.5  # of the overlap (IoU) that OPDC asks for


@dataclass(frozen=True, slots=True)
class Hits:
    """found: targets found. right: regions that found one. pairs: (target, region, distance in px), if one to one."""

    found: Bool[ndarray, "T"]
    right: Bool[ndarray, "P"]
    pairs: list[tuple[int, int, float]]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Targets and regions with common pixels, and how many."""

    targets: Int[ndarray, "K"]
    regions: Int[ndarray, "K"]
    pixels: Int64[ndarray, "K"]

    def matrix(self, targets: int, regions: int) -> Int64[ndarray, "T P"]:
        """Common pixels of each with each."""
        full = np.zeros((targets, regions), np.int64)
        full[self.targets, self.regions] = self.pixels
        return full


def overlap(truth: Regions, found: Regions) -> Overlap:
    """Common pixels of targets and regions."""
    here = found.labels.ravel()[truth.pixels]
    both = here > 0
    codes = (truth.labels.ravel()[truth.pixels[both]] - 1).astype(np.int64) * len(found) + here[both] - 1
    codes, pixels = np.unique(codes, return_counts=True)
    targets, regions = np.divmod(codes, max(len(found), 1))
    return Overlap(targets, regions, pixels)


def hits(pairs: list[tuple[int, int, float]], targets: int, regions: int) -> Hits:
    """Hits of one-to-one pairs."""
    found, right = np.zeros(targets, bool), np.zeros(regions, bool)
    for target, region, _ in pairs:
        found[target] = right[region] = True
    return Hits(found, right, pairs)


def flags(labels: Int[ndarray, "K"] | UInt16[ndarray, "K"], count: int) -> Bool[ndarray, "N"]:
    """Which of `count` regions have their label among `labels`."""
    seen = np.zeros(count + 1, bool)
    seen[labels] = True
    return seen[1:]


def distances(truth: Float[ndarray, "T 2"], found: Float[ndarray, "P 2"]) -> Float[ndarray, "T P"]:
    """Distance of each target from each point, px."""
    return np.hypot(truth[:, None, 0] - found[None, :, 0], truth[:, None, 1] - found[None, :, 1])


def first_free(allowed: Bool[ndarray, "T P"]) -> list[tuple[int, int]]:
    """Greedy pairs: each row in order takes the first free column that it may."""
    rows, columns = np.nonzero(allowed)  # in the order in which they would be tried
    taken: dict[int, int] = {}
    used: set[int] = set()
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        if row not in taken and column not in used:
            taken[row] = column
            used.add(column)
    return list(taken.items())


def most_pairs(allowed: Bool[ndarray, "T P"]) -> list[tuple[int, int]]:
    """As many pairs of a row and a column as possible, in the order of the rows."""
    if not allowed.any():
        return []
    columns = maximum_bipartite_matching(csr_array(allowed), perm_type="column")
    return [(row, int(column)) for row, column in enumerate(columns) if column >= 0]


def by_centroid(
    truth: Float[ndarray, "T 2"],
    found: Float[ndarray, "P 2"],
    convention: Convention,
    allowed: Bool[ndarray, "T P"] | None = None,
) -> Hits:
    """Pairs of centroids near enough, assigned as the convention says.

    Args:
        allowed: pairs that may be made at all; None for any.
    """
    if not len(truth) or not len(found):
        return hits([], len(truth), len(found))
    far = distances(truth, found)
    near = far <= convention.within_px if convention.inclusive else far < convention.within_px
    if allowed is not None:
        near &= allowed
    if convention.assign == "regions":
        pairs = sorted((target, region) for region, target in first_free(near.T))
    else:
        pairs = most_pairs(near) if convention.assign == "most" else first_free(near)
    return hits([(t, r, float(far[t, r])) for t, r in pairs], len(truth), len(found))


def by_overlap(common: Overlap, targets: int, regions: int, *, most: bool) -> Hits:
    """Targets and regions with a common pixel; if `most`, as many one-to-one pairs as possible."""
    if not most:
        found, right = np.zeros(targets, bool), np.zeros(regions, bool)
        found[common.targets] = right[common.regions] = True
        return Hits(found, right, [])
    pairs = most_pairs(common.matrix(targets, regions) > 0)
    return hits([(target, region, np.nan) for target, region in pairs], targets, regions)


def opdc(truth: Regions, found: Regions, common: Overlap, within_px: float) -> Hits:
    """Overlap first, distance for the rest (PyIRSTDMetrics' OPDC, arXiv 2509.16888).

    Pairs of least total distance of all centroids, kept where their IoU is at least a half; then, of those left,
    pairs of least total distance, kept where nearer than `within_px`.
    """
    size = len(truth), len(found)
    if not all(size):
        return hits([], *size)
    far = distances(truth.centroids, found.centroids)
    both = common.matrix(*size)
    iou = both / (truth.areas[:, None] + found.areas - both)
    pairs: list[tuple[int, int]] = []
    if (iou >= HALF).any():
        rows, columns = linear_sum_assignment(far)
        pairs += [(int(t), int(r)) for t, r in zip(rows, columns, strict=True) if iou[t, r] >= HALF]
    if (far < within_px).any():
        targets = np.setdiff1d(np.arange(size[0]), [t for t, _ in pairs])
        regions = np.setdiff1d(np.arange(size[1]), [r for _, r in pairs])
        rows, columns = linear_sum_assignment(far[np.ix_(targets, regions)])
        left = zip(targets[rows].tolist(), regions[columns].tolist(), strict=True)
        pairs += [(t, r) for t, r in left if far[t, r] < within_px]
    return hits([(t, r, float(far[t, r])) for t, r in sorted(pairs)], *size)


def in_window(centroids: Float[ndarray, "T 2"], found: Regions) -> Hits:
    """Targets with a predicted pixel among the four up and left of their centroid, and the regions of these.

    Rows r-2 and r-1, columns c-2 and c-1 about the centroid (r, c), rounded with halves to even: RDIAN's window (B8),
    which is meant to lie around the centroid. It is empty where it would begin above or left of the image.
    """
    rows, columns = np.rint(centroids).astype(int).T
    inside = (rows >= 2) & (columns >= 2)
    seen = np.stack([found.labels[rows - up, columns - left] for up in (1, 2) for left in (1, 2)])
    seen = np.where(inside, seen, 0)
    return Hits(np.asarray((seen > 0).any(0)), flags(seen.ravel(), len(found)), [])
