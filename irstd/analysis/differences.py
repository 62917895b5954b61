"""Whether one row of the tables is better than another: paired differences with intervals."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from numpy import ndarray

from irstd.metrics.ratios import RATIOS
from irstd.metrics.statistics import Ratio, bootstrap, bootstrap_seeds, holm, permutation

SCORES = ("iou", "pd", "fa_per_million", "f1")


def paired(per_image: pd.DataFrame, one: str, other: str) -> pd.DataFrame:
    """Scores of `one` minus those of `other` on the same images, averaged over the seeds that both have.

    Args:
        per_image: tables of results of one dataset, with `method` and `seed`.

    Returns:
        A row a score of `RATIOS`: score, seeds, one, other, difference, and low and high, the 95 % interval of it
        when images are drawn with replacement (the same for both rows and all seeds). Seeds are few, so their own
        chance is not in the interval; `by_seed` lists the difference of each.
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
        rows.append(
            {
                "score": score, "seeds": len(seeds), "one": first.mean(), "other": second.mean(),
                "difference": (first - second).mean(), "low": low, "high": high, "by_seed": list(first - second),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def pairwise(per_image: pd.DataFrame, rows: list[str], score: str) -> pd.DataFrame:
    """All pairs of methods on one dataset under one score, with p-values corrected for their number.

    Counts of several seeds are averaged image by image first, so that a method with more seeds weighs no more.

    Args:
        per_image: tables of results of one dataset, with `method` and `seed`.
        rows: methods; those without the score, or not on the same images, are left out.
        score: one of `RATIOS`.

    Returns:
        A row a pair: one, other (the better first), difference, low and high (95 % interval, images drawn with
        replacement), p (permutation test), p_holm.
    """
    columns, ratio = RATIOS[score]
    mine = per_image[per_image["method"].isin(rows)]
    means = {row: table.groupby("name")[columns].mean() for row, table in mine.groupby("method")}
    full = {row: table for row, table in means.items() if not table.isna().any(axis=None)}
    images = max((table.index for table in full.values()), key=len, default=None)
    counts = {row: table.to_numpy(float) for row, table in full.items() if table.index.equals(images)}
    lower = -1 if score == "fa_per_million" else 1
    whole = {row: float(ratio(table.sum(0)[None])[0]) for row, table in counts.items()}
    order = sorted((row for row in rows if row in whole), key=lambda row: -lower * whole[row])
    found = []
    for one, other in combinations(order, 2):
        both = np.concatenate([counts[one], counts[other]], 1)

        def apart(sums: ndarray, half: int = len(columns)) -> ndarray:
            return ratio(sums[..., :half]) - ratio(sums[..., half:])

        low, high = bootstrap(both, apart)
        p = permutation(counts[one], counts[other], ratio)
        found.append((one, other, whole[one] - whole[other], low, high, p))
    table = pd.DataFrame(found, columns=["one", "other", "difference", "low", "high", "p"])
    return table.assign(p_holm=holm(table["p"].astype(float).fillna(1.0).to_numpy()))


def over_seeds(per_image: pd.DataFrame, rows: list[str], score: str) -> pd.DataFrame:
    """Each method's mean over its seeds under one score, with the interval over images and seeds.

    Args:
        per_image: tables of results of one dataset, with `method` and `seed`.
        rows: methods; those without the score are left out.
        score: one of `RATIOS`.

    Returns:
        A row a method: method, seeds, mean, low, high. With one seed the interval is over the images alone.
    """
    columns, ratio = RATIOS[score]
    found = []
    for row in rows:
        mine = per_image[per_image["method"] == row].sort_values(["seed", "name"])
        if not len(mine) or mine[columns].isna().any(axis=None):
            continue
        counts = np.stack([table[columns].to_numpy(float) for _, table in mine.groupby("seed")])
        low, high = bootstrap_seeds(counts, ratio)
        found.append((row, len(counts), float(ratio(counts.sum(1)).mean()), low, high))
    return pd.DataFrame(found, columns=["method", "seeds", "mean", "low", "high"])
