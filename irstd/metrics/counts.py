"""What each image contributes to the scores: counts that add, and the ratios made of them.

Our default convention, named `irstd` where it is printed: a pixel is predicted where its score is above the
threshold (strictly), regions are 8-connected, and each true region in raster order takes the first free
predicted region whose centroid is nearer than 3 px (strictly). Fa counts the pixels of predicted regions
that no target took. This is what BasicIRSTD computes since 2024-01 (metrics.md 1.1).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from math import nan
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from irstd.metrics.regions import Regions, regions


@dataclass(frozen=True, slots=True)
class Convention:
    """How predictions are compared with the truth.

    name: printed beside every number. threshold: of the score, exceeded strictly. match_px: distance of
    centroids, undercut strictly. connectivity: of the pixels in a region, 4 or 8.
    """

    name: str = "irstd"
    threshold: float = 0.5
    match_px: float = 3.0
    connectivity: Literal[4, 8] = 8

    def __str__(self) -> str:
        return (
            f"{self.name}: score > {self.threshold:g}, {self.connectivity}-connected regions, centroids nearer than "
            f"{self.match_px:g} px, greedy in raster order, at native size; Fa counts pixels of unmatched regions"
        )


@dataclass(frozen=True, slots=True)
class Counts:
    """What one image, or a pool of images, contributes to the scores.

    Of a method without a map, pixel counts mean nothing, and of one that gives its own points neither do
    false pixels; tables leave them empty.
    """

    images: int = 0
    pixels: int = 0  # px examined
    intersection: int = 0  # px, predicted and true
    predicted: int = 0  # px
    true: int = 0  # px
    targets: int = 0  # true regions
    detected: int = 0  # true regions taken by a predicted region
    regions: int = 0  # predicted regions, or points
    false_regions: int = 0  # predicted regions that took no target
    false_pixels: int = 0  # px in them

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
    def pixel_f1(self) -> float:
        both = self.predicted + self.true
        return 2 * self.intersection / both if both else nan

    @property
    def pd(self) -> float:
        """Probability of detection: share of the targets taken."""
        return self.detected / self.targets if self.targets else nan

    @property
    def fa(self) -> float:
        """False alarms, px per px; papers print it times 1e6."""
        return self.false_pixels / self.pixels if self.pixels else nan

    @property
    def precision(self) -> float:
        """Share of the predicted regions that took a target."""
        return (self.regions - self.false_regions) / self.regions if self.regions else nan

    @property
    def f1(self) -> float:
        """Harmonic mean of target precision and Pd."""
        both = self.regions + self.targets
        return 2 * self.detected / both if both else nan


def match(truth: Float[ndarray, "T 2"], found: Float[ndarray, "P 2"], within_px: float) -> list[tuple[int, int, float]]:
    """Which target takes which region: (target, region, distance in px), in the order of the targets.

    Greedy as in the field's code: a target takes the first region in order that is free and nearer than
    `within_px`, not the nearest.
    """
    if not len(truth) or not len(found):
        return []
    distance = np.hypot(truth[:, None, 0] - found[None, :, 0], truth[:, None, 1] - found[None, :, 1])
    free = np.ones(len(found), bool)
    taken = []
    for target in range(len(truth)):
        near = np.flatnonzero(free & (distance[target] < within_px))
        if len(near):
            free[near[0]] = False
            taken.append((target, int(near[0]), float(distance[target, near[0]])))
    return taken


@dataclass(frozen=True, slots=True)
class Scored:
    """One image's counts, and what became of each of its targets.

    truth: true regions. found: predicted regions, None for a method that gives points.
    points: (P, 2) centres compared. scores: of a method's own points, (P,); None for regions.
    matches: (target, region, distance in px).
    """

    counts: Counts
    truth: Regions
    found: Regions | None
    points: Float[ndarray, "P 2"]
    scores: Float[ndarray, "P"] | None
    matches: list[tuple[int, int, float]]


def count(
    mask: Bool[ndarray, "H W"],
    predicted: Bool[ndarray, "H W"] | None,
    convention: Convention,
    points: Float[ndarray, "P 3"] | None = None,
) -> Scored:
    """The counts of one image.

    Args:
        mask: the truth.
        predicted: score above the convention's threshold, or None.
        points: the method's own points (row, col, score); without them, centroids of predicted regions.
    """
    truth = regions(mask, convention.connectivity)
    if points is not None:
        found, kept = None, points[points[:, 2] > convention.threshold]
        centres, surely = kept[:, :2], kept[:, 2]
    elif predicted is not None:
        found = regions(predicted, convention.connectivity)
        centres, surely = found.centroids, None
    else:
        raise ValueError("neither a map nor points were predicted")
    matches = match(truth.centroids, centres, convention.match_px)
    taken = [region for _, region, _ in matches]
    false_pixels = 0 if found is None else int(found.areas.sum() - found.areas[taken].sum())
    pixel = (0, 0) if predicted is None else (int((mask & predicted).sum()), int(predicted.sum()))
    counts = Counts(
        images=1, pixels=mask.size, intersection=pixel[0], predicted=pixel[1], true=int(truth.areas.sum()),
        targets=len(truth), detected=len(matches), regions=len(centres), false_regions=len(centres) - len(matches),
        false_pixels=false_pixels,
    )  # fmt: skip
    return Scored(counts, truth, found, centres, surely, matches)


def niou(per_image: Iterable[Counts]) -> float:
    """Mean over images of their own IoU; an image with neither target nor prediction counts 0, as in the field."""
    values = [0.0 if np.isnan(c.iou) else c.iou for c in per_image]
    return float(np.mean(values)) if values else nan
