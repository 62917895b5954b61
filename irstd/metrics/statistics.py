"""How far a score would move with other images: bootstrap intervals of ratios of counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Shaped
from numpy import ndarray

REPEATS = 2000
LEVEL = 0.95


def bootstrap(
    counts: Shaped[ndarray, "N K"],
    ratio: Callable[[ndarray], ndarray],
    *,
    repeats: int = REPEATS,
    level: float = LEVEL,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of a score over images drawn with replacement (Efron, 1979).

    Args:
        counts: a row an image: what it contributes.
        ratio: from sums over images (R, K) to scores (R,); may give nan where there is nothing to divide by.
        level: share of the draws inside the interval.

    Returns:
        The interval's ends; nan for both if no draw has a score.
    """
    rng = np.random.default_rng(seed)
    number = len(counts)
    # How often each image is drawn, so that a draw's sums are one matrix product.
    drawn = rng.multinomial(number, np.full(number, 1 / number), repeats) if number else np.zeros((0, 0))
    scores: Float[ndarray, "R"] = np.asarray(ratio(drawn @ counts), float) if number else np.zeros(0)
    scores = scores[~np.isnan(scores)]
    if not len(scores):
        return np.nan, np.nan
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def over(above: ndarray, below: ndarray) -> ndarray:
    """`above / below`, nan where there is nothing to divide by."""
    below = np.asarray(below, float)
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below != 0)
