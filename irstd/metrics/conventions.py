"""How predictions are compared with the truth: the conventions of the field's code, each as one entry of data.

Pd, Fa and even IoU mean another thing in each repository. What each really computes was read in its code; faults are
reproduced on purpose and said, so that a published number can be compared like with like. Sizes at which a code
scores (256×256, 512×512) are no part of a convention here: all score at the size they are given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Decision:
    """Which pixels count as predicted: those whose score exceeds a threshold.

    reached: whether the threshold itself suffices. scale: of what the threshold is a share: `score`, the score as it
    is; `maximum`, the largest of the image; `range`, from the least to the largest of the image.
    """

    threshold: float = 0.5
    reached: bool = False
    scale: Literal["score", "maximum", "range"] = "score"

    def __str__(self) -> str:
        of = {"score": "score", "maximum": "score / its maximum", "range": "score scaled from its minimum to maximum"}
        return f"{of[self.scale]} {'≥' if self.reached else '>'} {self.threshold:g}"


HALF, HALF_REACHED = Decision(), Decision(reached=True)
OF_MAXIMUM = Decision(scale="maximum")


@dataclass(frozen=True, slots=True)
class Convention:
    """One way to score.

    Attributes:
        name: printed beside every number.
        users: whose it is.
        decision: which pixels are predicted.
        truth: which pixels of a mask are true: `half`, above one half of white; `full`, white only, while greyer
            ones above one half still count in the union (`int()` of the mask, and a comparison of floats); `any`,
            above zero. The same for a mask of black and white.
        connectivity: of the pixels in a region, 4 or 8. least_px: smaller regions are left out, on both sides.
        match: what makes a pair of target and region. `centroid`: centroids within `within_px`. `overlap`: a common
            pixel. `opdc`: least total distance of centroids, kept where the overlap (IoU) is a half; then of those
            left within `within_px`. `touch`: a predicted pixel at most 1 px from one of the target. `window`: a
            predicted pixel among four up and left of the target's centroid. `none`: targets are not counted.
        within_px: the distance. inclusive: whether it may be reached.
        assign: `targets`: each target in raster order takes the first free region. `regions`: each region in raster
            order the first free target. `most`: as many pairs as possible. `many`: a region may find several targets,
            and several regions one.
        overlapping: a pair must have a common pixel besides.
        false: which pixels are false alarms. `unmatched`: those of regions in no pair. `areas`: those of regions
            whose area is not that of a region in a pair. `off`: predicted pixels off the targets. `boxes`: predicted
            pixels farther than 4 px from all pixels of targets (in rows or columns). None: not counted.
        per: what their number is divided by: `image`, all pixels; `background`, those off the targets; `last`, the
            size of the last image times the number of images.
        empty_border: windows that would begin above or left of the image are empty.
        counts_empty: an image without targets counts one missed, one without regions one false.
        stops_at_empty: the code stops at an image without targets.
        two_classes: IoU is the mean of that of targets and that of background.
        pixel_decision: which pixels are predicted for IoU, nIoU and scores of pixels, where that differs.
        niou_decision: which pixels are predicted for nIoU, where that differs.
        faults: what of this is a fault, in words; empty if nothing is. Numbers B1… are those of the docs page.
        source: where it was read.
    """

    name: str
    users: str = ""
    decision: Decision = HALF
    truth: Literal["half", "full", "any"] = "half"
    connectivity: Literal[4, 8] = 8
    least_px: int = 0
    match: Literal["centroid", "overlap", "opdc", "touch", "window", "none"] = "centroid"
    within_px: float = 3.0
    inclusive: bool = False
    assign: Literal["targets", "regions", "most", "many"] = "targets"
    overlapping: bool = False
    false: Literal["unmatched", "areas", "off", "boxes"] | None = "unmatched"
    per: Literal["image", "background", "last"] = "image"
    empty_border: bool = False
    counts_empty: bool = False
    stops_at_empty: bool = False
    two_classes: bool = False
    pixel_decision: Decision | None = None
    niou_decision: Decision | None = None
    faults: str = ""
    source: str = ""

    @property
    def threshold(self) -> float:
        return self.decision.threshold

    @property
    def takes_points(self) -> bool:
        """Whether points without a map can be scored: only distances of centroids are asked for."""
        plain = self.match == "centroid" and not self.overlapping and not self.least_px
        return plain and self.decision.scale == "score"

    def __str__(self) -> str:
        nearer = "at most {:g} px apart" if self.inclusive else "nearer than {:g} px"
        match = {
            "centroid": f"centroids {nearer.format(self.within_px)}{' and overlapping' if self.overlapping else ''}",
            "overlap": "regions that overlap",
            "opdc": f"regions of IoU ≥ 0.5, then centroids {nearer.format(self.within_px)}, least total distance",
            "touch": "a predicted pixel at most 1 px from the target",
            "window": "a predicted pixel among four up and left of the centroid",
            "none": "targets not counted",
        }[self.match]
        greedy = {"targets": ", greedy in raster order", "regions": ", greedy in raster order of regions"}
        assign = {**greedy, "most": ", most pairs", "many": ", many to one"}[self.assign]
        false = {
            "unmatched": "pixels of unmatched regions",
            "areas": "pixels of regions whose area no matched region has",
            "off": "predicted pixels off target",
            "boxes": "predicted pixels outside 9×9 boxes",
            None: "nothing",
        }[self.false]
        per = {"image": "", "background": " per background pixel", "last": " per pixel of the last image"}[self.per]
        least = f" of at least {self.least_px} px" if self.least_px else ""
        assign = "" if self.match in ("opdc", "none") else assign
        return (
            f"{self.name}: {self.decision}, {self.connectivity}-connected regions{least}, {match}{assign}, at native "
            f"size; Fa counts {false}{per}"
        )


def ours(threshold: float = 0.5, match_px: float = 3.0, connectivity: Literal[4, 8] = 8) -> Convention:
    """Our own: what BasicIRSTD computes since 2024-01, on masks above one half; its numbers are the user's."""
    return Convention(
        "irstd", "this workbench", Decision(threshold), within_px=match_px, connectivity=connectivity, source="here"
    )


AREAS = "B1: a false region as large as any matched one is not counted"
ENTRIES = (
    ours(),
    Convention(
        "basicirstd", "BasicIRSTD, LESPS", truth="full", source="BasicIRSTD 95650c3 metrics.py:33-80",
    ),
    Convention(
        "dnanet", "DNANet, PANPEIWEN's framework", truth="full", false="areas", faults=AREAS,
        source="DNANet 21584be model/metric.py:62-113",
    ),
    Convention(
        "mshnet", "MSHNet, PConv, Gaussian-pinwheel U-Net", truth="full", false="areas", faults=AREAS,
        source="MSHNet 7c5194b utils/metric.py:53-116",
    ),
    Convention(
        "sctransnet", "SCTransNet", truth="full", false="areas", faults=AREAS,
        source="SCTransNet e027628 metrics.py:80-130",
    ),
    Convention(
        "msda", "MSDA-Net, GGL-Net, ALCL-Net, LR-Net", per="last",
        faults="B7: divided by the last image's size, as if all had it",
        source="MSDA-Net decafae components/metric_all_2.py:125-185",
    ),
    Convention("pal", "PAL, FEST, one image at a time", source="PAL e89262f components/metric_new_crop.py:132-205"),
    Convention("pyirstdmetrics", "PyIRSTDMetrics, distance", source="PyIRSTDMetrics 7a828d6 targetwise_metrics.py"),
    Convention(
        "pyirstdmetrics-opdc", "PyIRSTDMetrics, OPDC (NeurIPS 2025)", match="opdc", counts_empty=True,
        faults="B10: an image without targets counts one missed, one without regions one false",
        source="PyIRSTDMetrics 7a828d6 targetwise_metrics.py:170-245",
    ),
    Convention(
        "shooting-rule", "PyIRSTDMetrics' version of DeepPro's rule", match="touch", assign="many", false="boxes",
        source="PyIRSTDMetrics 7a828d6 targetwise_metrics.py",
    ),
    Convention(
        "deeppro", "DeepPro, DTUM", decision=HALF_REACHED, match="touch", assign="many", false="boxes",
        empty_border=True,
        faults="B9: windows that begin outside the image are empty, so hits at the border are false",
        source="DeepPro 8fa1a68 ShootingRules.py:14-63",
    ),
    Convention(
        "binarysos", "BinarySOSMetrics, TargetPdPixelFa", decision=HALF_REACHED, pixel_decision=HALF, truth="any",
        source="BinarySOSMetrics 336c09e hybrid_pd_fa.py:188-227",
    ),
    Convention(
        "binarysos-mask", "BinarySOSMetrics, second_match=mask", decision=HALF_REACHED, pixel_decision=HALF,
        truth="any", overlapping=True,
        source="BinarySOSMetrics 336c09e utils/target_infos.py:67-125",
    ),
    Convention(
        "istd-python", "ISTD-python, PD_FA", decision=OF_MAXIMUM, truth="full", false="areas",
        faults=f"B14: an image without detections is blown up to noise; {AREAS}",
        source="ISTD-python 188bfe1 evaluation/pd_fa.py:14-58",
    ),
    Convention(
        "istd-python-overlap", "ISTD-python, my_PD_FA", decision=OF_MAXIMUM, truth="full", match="overlap",
        assign="many", false="off", per="background", stops_at_empty=True,
        faults="B14: an image without detections is blown up to noise; stops at an image without targets",
        source="ISTD-python 188bfe1 evaluation/my_pd_fa.py:8-38",
    ),
    Convention(
        "rc-irstd-overlap", "RC-IRSTD-v2, overlap", decision=HALF_REACHED, truth="any", match="overlap", assign="most",
        false="off", source="RC-IRSTD-v2 d86d9fd evaluation/component_matching.py",
    ),
    Convention(
        "rc-irstd-centroid", "RC-IRSTD-v2, centroid", decision=HALF_REACHED, truth="any", inclusive=True,
        assign="most", false="off", source="RC-IRSTD-v2 d86d9fd evaluation/component_matching.py",
    ),
    Convention(
        "rdian", "RDIAN", truth="full", match="window", assign="many", false="off", per="background",
        empty_border=True,
        faults="B8: the window lies up and left of the rounded centroid, without its own row and column, and is empty "
        "at the top and left",
        source="RDIAN e1df518 model/metrics.py:142-206",
    ),
    Convention(
        "irst-library", "IRST_LIBRARY", truth="full", least_px=10, inclusive=True, assign="regions", false=None,
        two_classes=True, faults="targets under 10 px, most real ones, are left out; IoU is mostly the background's",
        source="IRST_LIBRARY a996d02 training/metrics.py:118, 157-230",
    ),
    Convention(
        "acm-niou", "ACM and its descendants: IoU and nIoU only", truth="full", match="none", false=None,
        source="open-acm 95e0aec metric/samplewise.py",
    ),
    Convention(
        "uiunet", "UIU-Net: IoU and nIoU only", decision=Decision(0.22, scale="range"), truth="full", match="none",
        false=None, niou_decision=Decision(0.2006706954621511, scale="range"),
        faults="B14: thresholds of each image's own range, another for nIoU: the sigmoid is taken twice, then > 0.55",
        source="UIU-Net 625023a model/metrics.py:40-97, test.py:31-99",
    ),
)  # fmt: skip
CONVENTIONS = {entry.name: entry for entry in ENTRIES}
FIELD = tuple(entry for entry in ENTRIES if entry.name != "irstd")  # all but ours, whose numbers are the user's
