"""What each image contributes to the scores: counts that add, and the ratios made of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass, field
from math import ceil, floor, nan

import numpy as np
from jaxtyping import Bool, Float, UInt16
from numpy import ndarray

from irstd.metrics import matching
from irstd.metrics.compiled import dilated
from irstd.metrics.conventions import Convention, Decision
from irstd.metrics.levels import TOP
from irstd.metrics.regions import Regions, regions

BETA2 = 0.3  # of the F-measure
REACH_PX, BOX_PX = 1, 4  # of the shooting rule: how far from a target a hit, and no false alarm, may be


@dataclass(frozen=True, slots=True)
class Counts:
    """What one image, or a pool of images, contributes to the scores.

    Of a method without a map, pixel counts mean nothing, and of one that gives its own points neither do
    false pixels; tables leave them empty.
    """

    images: int = 0
    pixels: int = 0  # px that false pixels are divided by: all of the image, or its background
    intersection: int = 0  # px, predicted and true
    predicted: int = 0  # px
    true: int = 0  # px
    targets: int = 0  # true regions
    detected: int = 0  # true regions found
    regions: int = 0  # predicted regions, or points
    false_regions: int = 0  # predicted regions that found no target
    false_pixels: int = 0  # px

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def iou(self) -> float:
        """Intersection over union of all pixels together; nan where nothing is predicted or true."""
        union = self.predicted + self.true - self.intersection
        return self.intersection / union if union else nan

    @property
    def pixel_precision(self) -> float:
        return self.intersection / self.predicted if self.predicted else nan

    @property
    def pixel_recall(self) -> float:
        return self.intersection / self.true if self.true else nan

    @property
    def pixel_f_measure(self) -> float:
        """F-measure that weighs precision over recall, beta² = 0.3, as in saliency detection (Achanta et al. 2009)."""
        both = self.predicted + BETA2 * self.true
        return (1 + BETA2) * self.intersection / both if both else nan

    @property
    def pixel_f1(self) -> float:
        both = self.predicted + self.true
        return 2 * self.intersection / both if both else nan

    @property
    def pd(self) -> float:
        """Probability of detection: share of the targets found."""
        return self.detected / self.targets if self.targets else nan

    @property
    def fa(self) -> float:
        """False alarms, px per px; papers print it times 1e6."""
        return self.false_pixels / self.pixels if self.pixels else nan

    @property
    def precision(self) -> float:
        """Share of the predicted regions that found a target."""
        return (self.regions - self.false_regions) / self.regions if self.regions else nan

    @property
    def f1(self) -> float:
        """Harmonic mean of target precision and Pd; nan where there are neither targets nor regions."""
        right = self.regions - self.false_regions
        below = right * self.targets + self.detected * self.regions
        if not below:
            return 0.0 if self.regions or self.targets else nan
        return 2 * right * self.detected / below


@dataclass(slots=True)
class Pair:
    """Truth and prediction of one image, and what conventions share of them, computed once.

    mask: true on targets, above one half of white. levels: 16-bit scores (`irstd.metrics.levels.encode`), or None for a
    method that gives points. points: its own points (row, col, score), or None. white, visible: where a grey mask is
    exactly white, and above zero; None where they are `mask`.
    """

    mask: Bool[ndarray, "H W"]
    levels: UInt16[ndarray, "H W"] | None
    points: Float[ndarray, "P 3"] | None = None
    white: Bool[ndarray, "H W"] | None = None
    visible: Bool[ndarray, "H W"] | None = None
    _kept: dict = field(default_factory=dict, repr=False)

    def predicted(self, decision: Decision) -> Bool[ndarray, "H W"]:
        """Which pixels are predicted; none where a decision by the image's maximum or range divides zero by zero."""
        key = ("predicted", decision)
        if key not in self._kept:
            assert self.levels is not None
            value, least = decision.threshold * TOP, 0.0
            if decision.scale != "score":
                least = float(self.levels.min()) if decision.scale == "range" else 0.0
                value = least + decision.threshold * (float(self.levels.max()) - least)
            # Levels are whole numbers, and comparing them with one of their own type is several times as fast.
            whole = np.uint16(ceil(value) if decision.reached else floor(value))
            above = self.levels >= whole if decision.reached else self.levels > whole
            # Equal masks are one object, so that their regions are found once.
            earlier = [kept for (kind, *_), kept in self._kept.items() if kind == "predicted"]
            self._kept[key] = next((mask for mask in earlier if np.array_equal(mask, above)), above)
        return self._kept[key]

    def true(self, kind: str) -> Bool[ndarray, "H W"]:
        """Which pixels are true: `half`, `full` or `any`, as `Convention.truth` says."""
        other = {"full": self.white, "any": self.visible}.get(kind)
        return self.mask if other is None else other

    def regions(self, mask: Bool[ndarray, "H W"], connectivity: Literal[4, 8], least_px: int) -> Regions:
        """Regions of one of this pair's masks."""
        key = ("regions", id(mask), connectivity, least_px)
        if key not in self._kept:
            self._kept[key] = regions(mask, connectivity, least_px)
        return self._kept[key]

    def overlap(self, truth: Regions, found: Regions) -> matching.Overlap:
        """Common pixels of each target and region."""
        key = ("overlap", id(truth), id(found))
        if key not in self._kept:
            self._kept[key] = matching.overlap(truth, found)
        return self._kept[key]

    def near(self, mask: Bool[ndarray, "H W"], reach_px: int, *, empty_border: bool = False) -> Bool[ndarray, "H W"]:
        """Pixels at most `reach_px` rows and columns from those of `mask`.

        Args:
            empty_border: pixels nearer than that to the top or left border reach nothing (B9).
        """
        key = ("near", id(mask), reach_px, empty_border)
        if key not in self._kept:
            start = mask.astype(np.uint8)
            if empty_border:
                start[:reach_px] = start[:, :reach_px] = 0
            self._kept[key] = dilated(start, reach_px).view(bool)
        return self._kept[key]


@dataclass(frozen=True, slots=True)
class Scored:
    """One image's counts, and what became of each of its targets.

    truth: true regions. found: predicted regions, None for a method that gives points.
    points: (P, 2) centres compared. scores: of a method's own points, (P,); None for regions.
    matches: (target, region, distance in px) where the convention makes pairs; else empty.
    """

    counts: Counts
    truth: Regions
    found: Regions | None
    points: Float[ndarray, "P 2"]
    scores: Float[ndarray, "P"] | None
    matches: list[tuple[int, int, float]]


def _px(mask: Bool[ndarray, "H W"]) -> int:
    return int(np.count_nonzero(mask))


def count(pair: Pair, convention: Convention) -> Scored:
    """The counts of one image.

    Raises:
        ValueError: neither a map nor points were predicted, or points only, and the convention needs a map.
    """
    true = pair.true(convention.truth)
    truth = pair.regions(true, convention.connectivity, convention.least_px)
    if pair.levels is None and (pair.points is None or not convention.takes_points):
        raise ValueError("neither a map nor points were predicted" if pair.points is None else "points have no map")
    if pair.points is not None:
        kept = pair.points[pair.points[:, 2] > convention.threshold]
        found, centres, scores = None, kept[:, :2].astype(float), kept[:, 2]
    if pair.levels is not None:
        predicted = pair.predicted(convention.decision)
        regions_found = pair.regions(predicted, convention.connectivity, convention.least_px)
        if pair.points is None:
            found, centres, scores = regions_found, regions_found.centroids, None  # type: ignore[assignment]
    hits = _hits(pair, convention, truth, found, centres)
    targets, number, missed, false = len(truth), len(centres), 0, len(centres) - int(hits.right.sum())
    if convention.counts_empty:
        missed, ghost = int(not targets), int(not number)
        targets, number, false = targets + missed, number + ghost, false + ghost
    if convention.match == "none":
        targets = number = false = 0
    pixel = (0, 0)
    if pair.levels is not None:
        above = predicted if convention.pixel_decision is None else pair.predicted(convention.pixel_decision)
        pixel = (_px(true & above), _px(above))
    counts = Counts(
        images=1, pixels=true.size - (_px(true) if convention.per == "background" else 0),
        intersection=pixel[0], predicted=pixel[1],
        true=_px(pair.mask if convention.truth == "full" else true),
        targets=targets, detected=int(hits.found.sum()) if targets else 0, regions=number, false_regions=false,
        false_pixels=0 if found is None else _false_pixels(pair, convention, hits, found),
    )  # fmt: skip
    return Scored(counts, truth, found, centres, scores, hits.pairs)


def _hits(
    pair: Pair, convention: Convention, truth: Regions, found: Regions | None, centres: Float[ndarray, "P 2"]
) -> matching.Hits:
    """Which targets and regions are hits under a convention."""
    rule, size = convention.match, (len(truth), len(centres))
    if rule == "none":
        return matching.hits([], *size)
    if rule == "centroid":
        allowed = None
        if convention.overlapping and found is not None:
            allowed = pair.overlap(truth, found).matrix(*size) > 0
        return matching.by_centroid(truth.centroids, centres, convention, allowed)
    assert found is not None
    if rule == "overlap":
        return matching.by_overlap(pair.overlap(truth, found), *size, most=convention.assign == "most")
    if rule == "opdc":
        return matching.opdc(truth, found, pair.overlap(truth, found), convention.within_px)
    if rule == "touch":
        true, predicted = pair.true(convention.truth), pair.predicted(convention.decision)
        seen = truth.labels[pair.near(predicted, REACH_PX)]
        if convention.empty_border:
            inner = np.s_[REACH_PX:, REACH_PX:]
            seen = truth.labels[inner][pair.near(predicted, REACH_PX)[inner]]
        reached = pair.near(true, REACH_PX, empty_border=convention.empty_border)
        right = matching.flags(found.labels[reached], len(found))
        return matching.Hits(matching.flags(seen, len(truth)), right, [])
    return matching.in_window(truth.centroids, found)


def _false_pixels(pair: Pair, convention: Convention, hits: matching.Hits, found: Regions) -> int:
    """False alarms in px under a convention."""
    if convention.false is None:
        return 0
    predicted, true = pair.predicted(convention.decision), pair.true(convention.truth)
    if convention.false == "off":
        return _px(predicted & ~true)
    if convention.false == "boxes":
        return _px(predicted & ~pair.near(true, BOX_PX, empty_border=convention.empty_border))
    if convention.false == "areas":
        return int(found.areas[~np.isin(found.areas, found.areas[hits.right])].sum())
    return int(found.areas[~hits.right].sum())


def pool(per_image: Iterable[Counts], convention: Convention) -> Counts:
    """The counts of a split.

    Under a convention that takes the last image's size for all, so does this; else the order does not matter.
    """
    counts = list(per_image)
    total = sum(counts, Counts())
    if convention.per == "last" and counts:
        values = dict(zip(Counts.__dataclass_fields__, astuple(total), strict=True))
        return Counts(**{**values, "pixels": counts[-1].pixels * len(counts)})
    return total


def iou(total: Counts, convention: Convention) -> float:
    """IoU of a pool as the convention has it: of targets, or the mean of that of targets and of background."""
    if not convention.two_classes:
        return total.iou
    either = total.predicted + total.true - total.intersection
    return (total.iou + (total.pixels - either) / (total.pixels - total.intersection)) / 2


def niou(per_image: Iterable[Counts], *, empty: float = 0.0) -> float:
    """Mean over images of their own IoU.

    Args:
        empty: what an image with neither target nor prediction counts: 0 as in the field; nan to leave it out.
    """
    values = np.array([c.iou for c in per_image])
    values = np.where(np.isnan(values), empty, values)
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else nan
