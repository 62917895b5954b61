"""Hierarchical IoU and what it loses where: of targets that are found, of those that are not (arXiv 2509.16888).

hIoU is the product of two levels. *Localisation*: pairs of target and region over pairs, false regions and missed
targets. *Segmentation*: the mean IoU of the pairs. Both fall short of 1 by shares that add up to the rest: a pair by
pixels of other targets (merging), of background (interference) and by pixels that were missed (perception); the count
by regions near no target (interference), targets near no region (perception), and by those that had a candidate which
another took: more regions than targets (splitting) or more targets than regions (merging).

Pairs are those of `matching.opdc`: overlap first, then distance.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from irstd.metrics import matching
from irstd.metrics.conventions import Decision
from irstd.metrics.counts import Pair
from irstd.metrics.regions import Regions, regions


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Sums of one image or several; they add.

    pairs: of a target and a region. iou, merging, interference, perception: sums over pairs of shares in [0, 1], which
    add up to `pairs`. lone_regions, lone_targets: without any candidate. spare_regions, spare_targets: with a
    candidate, but without a partner. blank_regions, blank_targets: images without regions, and without targets.
    """

    pairs: int = 0
    iou: float = 0.0
    merging: float = 0.0
    interference: float = 0.0
    perception: float = 0.0
    lone_regions: int = 0
    lone_targets: int = 0
    spare_regions: int = 0
    spare_targets: int = 0
    blank_regions: int = 0
    blank_targets: int = 0

    def __add__(self, other: Hierarchy) -> Hierarchy:
        return Hierarchy(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def scores(self, *, counts_empty: bool = False) -> dict[str, float]:
        """hIoU, its two levels and the seven shares that they lose, all in [0, 1].

        A level that has nothing to divide by is nan, and so is hIoU; as in PyIRSTDMetrics it is 0 with `counts_empty`.

        Args:
            counts_empty: as PyIRSTDMetrics counts, whose fault B10 it is: an image without targets counts one missed
                target, one without regions one false region, a right answer to an empty image both.
        """
        false, missed = self.lone_regions, self.lone_targets
        if counts_empty:
            false, missed = false + self.blank_regions, missed + self.blank_targets
        of_pairs = {
            "iou": self.iou, "merging": self.merging, "interference": self.interference, "perception": self.perception,
        }  # fmt: skip
        of_all = {
            "iou": self.pairs, "merging": self.spare_targets, "splitting": self.spare_regions,
            "interference": false, "perception": missed,
        }  # fmt: skip
        whole, nothing = sum(of_all.values()), 0.0 if counts_empty else np.nan
        found = {f"segmentation_{k}": v / self.pairs if self.pairs else nothing for k, v in of_pairs.items()}
        found |= {f"localisation_{k}": v / whole if whole else nothing for k, v in of_all.items()}
        # Where targets or regions are but no pair, the answer is wrong, not undefined.
        wrong = whole and not self.pairs
        return {"hiou": 0.0 if wrong else found["segmentation_iou"] * found["localisation_iou"], **found}


def hierarchy(mask: Bool[ndarray, "H W"], predicted: Bool[ndarray, "H W"], within_px: float = 3.0) -> Hierarchy:
    """One image.

    Args:
        mask: targets. predicted: pixels taken for targets. Regions are 8-connected in both.
        within_px: centroids nearer than this make a pair where the overlap does not.
    """
    truth, found = regions(mask), regions(predicted)
    return _between(truth, found, matching.overlap(truth, found), within_px)


def of_pair(pair: Pair, decision: Decision, within_px: float = 3.0) -> Hierarchy:
    """One image, as `hierarchy`, with the regions that the pair has found already if it has."""
    truth, found = (pair.regions(mask, 8, 0) for mask in (pair.mask, pair.predicted(decision)))
    return _between(truth, found, pair.overlap(truth, found), within_px)


def _between(truth: Regions, found: Regions, common: matching.Overlap, within_px: float) -> Hierarchy:
    size = len(truth), len(found)
    if not all(size):
        return Hierarchy(
            lone_regions=size[1], lone_targets=size[0], blank_regions=int(not size[1]), blank_targets=int(not size[0])
        )
    pairs = matching.opdc(truth, found, common, within_px).pairs
    targets, chosen = (np.array([pair[k] for pair in pairs], int) for k in (0, 1))
    both = common.matrix(*size)
    union = truth.areas[:, None] + found.areas - both
    candidates = both / union >= matching.HALF
    candidates |= matching.distances(truth.centroids, found.centroids) < within_px
    shared, joined = both[targets, chosen], union[targets, chosen]
    others = both.sum(0)[chosen] - shared  # pixels of the region that lie in other targets
    lone_targets, lone_regions = int((~candidates.any(1)).sum()), int((~candidates.any(0)).sum())
    return Hierarchy(
        pairs=len(pairs),
        iou=float((shared / joined).sum()),
        merging=float((others / joined).sum()),
        interference=float(((found.areas[chosen] - shared - others) / joined).sum()),
        perception=float(((truth.areas[targets] - shared) / joined).sum()),
        lone_regions=lone_regions,
        lone_targets=lone_targets,
        spare_regions=size[1] - len(pairs) - lone_regions,
        spare_targets=size[0] - len(pairs) - lone_targets,
    )
