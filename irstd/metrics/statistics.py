"""How far a score would move with other images or seeds, and whether one method leads another by more than that."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Shaped
from numpy import ndarray
from scipy import stats

REPEATS = 2000  # draws of a bootstrap
SWAPS = 10000  # draws of a permutation test
LEVEL = 0.95

Ratio = Callable[[ndarray], ndarray]


def bootstrap(
    counts: Shaped[ndarray, "N K"],
    ratio: Ratio,
    *,
    repeats: int = REPEATS,
    level: float = LEVEL,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of a score over images drawn with replacement (Efron, 1979).

    Args:
        counts: one row per image: what it contributes.
        ratio: from sums over images (R, K) to scores (R,); may give nan where there is nothing to divide by.
        level: share of the draws inside the interval.

    Returns:
        The interval's ends; nan for both if no draw has a score.
    """
    scores = np.asarray(ratio(_drawn(len(counts), repeats, seed) @ counts), float) if len(counts) else np.zeros(0)
    return _interval(scores, level)


def t_interval(values: Float[ndarray, "S"], *, level: float = LEVEL) -> tuple[float, float]:
    """Student's interval of the mean of a few independent values, such as one score a training.

    A bootstrap over few values is too narrow: it has (S - 1) / S of their variance and no heavier tails, so that at
    two seeds an interval of 95 % misses far more often than one time in twenty. This one is honest, and wide.

    Args:
        values: in any unit, one value per training.
        level: share of such intervals that hold the true mean, if the values are normally distributed.

    Returns:
        The interval's ends in the unit of the values; nan for both below two values, or where one is nan.

    >>> low, high = t_interval(np.array([0.70, 0.72, 0.74]))
    >>> round(low, 3), round(high, 3)
    (0.67, 0.77)
    """
    values = np.asarray(values, float)
    if len(values) < 2:
        return np.nan, np.nan
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


@lru_cache(maxsize=4)
def _drawn(number: int, repeats: int, seed: int) -> Float[ndarray, "R N"]:
    """How often each of `number` things is drawn in each repeat, so that a draw's sums are one matrix product."""
    drawn = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), repeats).astype(float)
    drawn.flags.writeable = False
    return drawn


def _interval(scores: Float[ndarray, "R"], level: float) -> tuple[float, float]:
    scores = scores[~np.isnan(scores)]
    if not len(scores):
        return np.nan, np.nan
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def permutation(
    one: Shaped[ndarray, "N K"], other: Shaped[ndarray, "N K"], ratio: Ratio, *, swaps: int = SWAPS, seed: int = 0
) -> float:
    """Two-sided p-value that two methods differ no more than if each image's results were dealt by a coin.

    A paired permutation test on the difference of the pooled scores (Good, 2005); never 0, since the deal at hand
    counts as one.

    Args:
        one, other: one row per image, the same images in the same order: what each method's result contributes.
        ratio: from sums (R, K) to scores (R,).
    """
    coins = np.random.default_rng(seed).integers(0, 2, (swaps, len(one))).astype(float)
    total, exchanged = one.sum(0) + other.sum(0), coins @ (other - one)
    first = one.sum(0) + exchanged
    apart = np.abs(ratio(first) - ratio(total - first))
    seen = np.abs(ratio(one.sum(0)[None]) - ratio(other.sum(0)[None]))[0]
    if np.isnan(seen):
        return np.nan
    # Sums come in another order than at hand, so equal differences may differ in the last bits.
    return float((1 + (apart >= seen * (1 - 1e-9) - 1e-12).sum()) / (1 + swaps))


def holm(values: Float[ndarray, "M"]) -> Float[ndarray, "M"]:
    """p-values corrected for their number, so that any false claim among them is as rare as stated (Holm, 1979).

    >>> holm(np.array([0.01, 0.04, 0.03]))
    array([0.03, 0.06, 0.06])
    """
    order = np.argsort(values)
    scaled = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)).clip(max=1)
    corrected = np.empty_like(scaled)
    corrected[order] = scaled
    return corrected


def ranks(scores: Float[ndarray, "D M"]) -> Float[ndarray, "D M"]:
    """Rank of each method on each dataset, 1 for the highest score, ties shared.

    >>> ranks(np.array([[0.7, 0.9, 0.7]]))
    array([[2.5, 1. , 2.5]])
    """
    return stats.rankdata(-scores, axis=1)


def friedman(scores: Float[ndarray, "D M"]) -> float:
    """p-value that all methods rank alike over the datasets (Friedman, 1937); nan for fewer than three of either."""
    if min(scores.shape) < 3:
        return np.nan
    return float(stats.friedmanchisquare(*scores.T).pvalue)


def critical_difference(methods: int, datasets: int, level: float = LEVEL) -> float:
    """How far apart mean ranks must be to differ significantly (Nemenyi's test; Demšar, JMLR 2006, section 3.2.2).

    nan where there is no method or no dataset.
    """
    if not methods or not datasets:
        return np.nan
    quantile = stats.studentized_range.ppf(level, methods, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(methods * (methods + 1) / (6 * datasets)))
