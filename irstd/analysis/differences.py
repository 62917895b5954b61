"""Whether one row of the tables is better than another: paired differences with intervals."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from numpy import ndarray

from irstd.metrics.ratios import RATIOS
from irstd.metrics.statistics import Ratio, bootstrap, holm, permutation, t_interval

SCORES = ("iou", "pd", "fa_per_million", "f1")


def paired(per_image: pd.DataFrame, one: str, other: str) -> pd.DataFrame:
    """Scores of `one` minus those of `other` on the same images, averaged over the seeds that both have.

    Args:
        per_image: tables of results of one dataset, with `method` and `seed`.

    Returns:
        One row per score of `RATIOS`: score, seeds, one, other, difference, and low and high, the 95 % interval of it
        when images are drawn with replacement (the same for both rows and all seeds), of these trainings alone;
        `by_seed` lists the difference of each, and seed_low and seed_high are the ends of the 95 % t interval over
        those (nan with one seed), on these images alone. Shares in [0, 1], Fa per million.
    """
    of = {row: per_image[per_image["method"] == row] for row in (one, other)}
    seeds = sorted(set(of[one]["seed"]) & set(of[other]["seed"]))
    rows = []
    for score in SCORES:
        columns, ratio = RATIOS[score]
        tables = [
            of[row][of[row]["seed"] == seed].sort_values("name")[columns].to_numpy(float)
            for row in (one, other)
            for seed in seeds
        ]
        counts = np.stack(tables, 1)  # images, rows and seeds, columns

        def differences(sums: ndarray, ratio: Ratio = ratio, shape: tuple[int, ...] = counts.shape[1:]) -> ndarray:
            scores = ratio(sums.reshape(-1, *shape))
            half = scores.shape[1] // 2
            return (scores[:, :half] - scores[:, half:]).mean(1)

        flat = counts.reshape(len(counts), -1)
        low, high = bootstrap(flat, differences)
        scores = ratio(counts.sum(0))
        first, second = scores[: len(seeds)], scores[len(seeds) :]
        seed_low, seed_high = t_interval(first - second)
        rows.append(
            {
                "score": score, "seeds": len(seeds), "one": first.mean(), "other": second.mean(),
                "difference": (first - second).mean(), "low": low, "high": high, "by_seed": list(first - second),
                "seed_low": seed_low, "seed_high": seed_high,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def pairwise(per_image: pd.DataFrame, rows: list[str], score: str) -> pd.DataFrame:
    """All pairs of methods on one dataset under one score, with p-values corrected for their number.

    Counts of several seeds are averaged image by image first, so that a method with more seeds weighs no more. What is
    compared are these trainings: interval and p are of the choice of test images, and say nothing of what another
    training would give.

    Args:
        per_image: tables of results of one dataset, with `method` and `seed`.
        rows: methods; those without the score, or not on the same images, are left out.
        score: one of `RATIOS`.

    Returns:
        One row per pair: one, other (the better first), one_seeds, other_seeds (their trainings), difference, low and
        high (95 % interval, images drawn with replacement), p (permutation test), p_holm.
    """
    columns, ratio = RATIOS[score]
    mine = per_image[per_image["method"].isin(rows)]
    means = {row: table.groupby("name")[columns].mean() for row, table in mine.groupby("method")}
    full = {row: table for row, table in means.items() if not table.isna().any(axis=None)}
    images = max((table.index for table in full.values()), key=len, default=None)
    counts = {row: table.to_numpy(float) for row, table in full.items() if table.index.equals(images)}
    lower = -1 if score == "fa_per_million" else 1
    seeds = mine.groupby("method")["seed"].nunique()
    whole = {row: float(ratio(table.sum(0)[None])[0]) for row, table in counts.items()}
    order = sorted((row for row in rows if row in whole), key=lambda row: -lower * whole[row])
    found = []
    for one, other in combinations(order, 2):
        both = np.concatenate([counts[one], counts[other]], 1)

        def apart(sums: ndarray, half: int = len(columns)) -> ndarray:
            return ratio(sums[..., :half]) - ratio(sums[..., half:])

        low, high = bootstrap(both, apart)
        p = permutation(counts[one], counts[other], ratio)
        found.append((one, other, seeds[one], seeds[other], whole[one] - whole[other], low, high, p))
    columns = ["one", "other", "one_seeds", "other_seeds", "difference", "low", "high", "p"]
    table = pd.DataFrame(found, columns=columns)
    return table.assign(p_holm=holm(table["p"].astype(float).fillna(1.0).to_numpy()))


def over_seeds(per_image: pd.DataFrame, rows: list[str], score: str) -> pd.DataFrame:
    """Each method's mean over its seeds under one score, with the interval over images, and that over seeds apart.

    Args:
        per_image: tables of results of one dataset, with `method` and `seed`.
        rows: methods; those without the score are left out.
        score: one of `RATIOS`.

    Returns:
        One row per method: method, seeds, mean, low and high (95 % interval of these trainings' mean, images drawn with
        replacement), by_seed (a list), seed_low and seed_high (95 % t interval over the seeds on these images, cut
        where a score ends; nan with one seed). Shares in [0, 1], Fa per million.
    """
    columns, ratio = RATIOS[score]
    most = 1e6 if score == "fa_per_million" else 1.0
    found = []
    for row in rows:
        mine = per_image[per_image["method"] == row].sort_values(["seed", "name"])
        if not len(mine) or mine[columns].isna().any(axis=None):
            continue
        counts = np.stack([table[columns].to_numpy(float) for _, table in mine.groupby("seed")], 1)

        def mean(sums: ndarray, shape: tuple[int, ...] = counts.shape[1:]) -> ndarray:
            return ratio(sums.reshape(-1, *shape)).mean(1)

        low, high = bootstrap(counts.reshape(len(counts), -1), mean)
        by_seed = ratio(counts.sum(0))
        ends = np.clip(t_interval(by_seed), 0.0, most)
        found.append((row, len(by_seed), float(by_seed.mean()), low, high, list(by_seed), *ends))
    return pd.DataFrame(found, columns=["method", "seeds", "mean", "low", "high", "by_seed", "seed_low", "seed_high"])
