"""One drawn scene from grey levels to scores: what a reader follows step by step, without data, torch or network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from scipy import ndimage

from irstd.data import synthetic
from irstd.metrics.conventions import CONVENTIONS, ours
from irstd.metrics.counts import Pair, Scored, count, iou, pool
from irstd.metrics.levels import TOP

THRESHOLDS = np.linspace(0.02, 0.98, 49)


@dataclass(frozen=True, slots=True)
class Wish:
    """What to draw; see `irstd.data.synthetic`."""

    seed: int
    size: int
    targets: tuple[int, int]
    scr: tuple[float, float]
    sigma_px: tuple[float, float]
    train: int = 0
    test: int = 1


def draw(seed: int, *, size: int = 128, targets: int = 3, scr: float = 5.0, sigma_px: float = 1.2) -> synthetic.Scene:
    """A scene with (at most) so many targets of one strength and spread; the same seed draws the same scene."""
    wish = Wish(seed, size, (targets, targets), (scr, scr), (sigma_px, sigma_px))
    ((_, _, scene),) = synthetic.scenes(wish)
    return scene


def respond(image: UInt8[ndarray, "H W"], side_px: int = 9) -> Float[ndarray, "H W"]:
    """The oldest detector: what a grey opening with a square removes (white top-hat), over its largest value."""
    response = ndimage.white_tophat(image.astype(float), size=side_px)
    return response / max(response.max(), 1.0)


def pair(mask: Bool[ndarray, "H W"], score: Float[ndarray, "H W"]) -> Pair:
    """Truth and scores as the metrics take them."""
    return Pair(mask, np.rint(score * TOP).astype(np.uint16))


def judged(mask: Bool[ndarray, "H W"], score: Float[ndarray, "H W"], threshold: float = 0.5) -> Scored:
    """One image under our convention at a threshold."""
    return count(pair(mask, score), ours(threshold))


def over_thresholds(
    mask: Bool[ndarray, "H W"], score: Float[ndarray, "H W"], thresholds: Sequence[float] = tuple(THRESHOLDS)
) -> pd.DataFrame:
    """Pd, Fa and IoU of one image at each threshold: `threshold`, `pd`, `fa_per_million`, `iou`."""
    rows = []
    for threshold in thresholds:
        counts = judged(mask, score, float(threshold)).counts
        rows.append((threshold, counts.pd, 1e6 * counts.fa, counts.iou))
    return pd.DataFrame(rows, columns=["threshold", "pd", "fa_per_million", "iou"])


def by_convention(
    mask: Bool[ndarray, "H W"], score: Float[ndarray, "H W"], names: Sequence[str], threshold: float = 0.5
) -> pd.DataFrame:
    """One and the same prediction under several conventions, each at its own threshold; `threshold` is of ours."""
    one, rows = pair(mask, score), []
    for convention in (ours(threshold) if name == "irstd" else CONVENTIONS[name] for name in names):
        total = pool([count(one, convention).counts], convention)
        rows.append(
            {
                "convention": convention.name,
                "predicted is": str(convention.decision),
                "IoU %": f"{100 * iou(total, convention):.1f}",
                "Pd": f"{total.detected} of {total.targets}",
                "false px": "–" if convention.false is None else total.false_pixels,
                "Fa ×1e-6": "–" if convention.false is None else f"{1e6 * total.fa:.0f}",
            }
        )
    return pd.DataFrame(rows)
