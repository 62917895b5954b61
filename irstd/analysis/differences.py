"""Whether one row of the tables is better than another: paired differences with intervals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy import ndarray

from irstd.metrics.statistics import bootstrap, over

Ratio = Callable[[ndarray], ndarray]

# Score: columns of per_image, and what is made of their sums. Shares but for Fa, which is per million.
SCORES: dict[str, tuple[list[str], Ratio]] = {
    "IoU": (["intersection", "predicted", "true"], lambda s: over(s[..., 0], s[..., 1] + s[..., 2] - s[..., 0])),
    "Pd": (["detected", "targets"], lambda s: over(s[..., 0], s[..., 1])),
    "Fa": (["false_pixels", "pixels"], lambda s: 1e6 * over(s[..., 0], s[..., 1])),
    "target F1": (["detected", "regions", "targets"], lambda s: over(2 * s[..., 0], s[..., 1] + s[..., 2])),
}


def paired(per_image: pd.DataFrame, one: str, other: str) -> pd.DataFrame:
    """Scores of `one` minus those of `other` on the same images, averaged over the seeds that both have.

    Args:
        per_image: tables of results of one dataset, with `method` and `seed`.

    Returns:
        A row a score: score, seeds, one, other, difference, and low and high, the 95 % interval of the difference
        when images are drawn with replacement (the same for both rows and all seeds). Seeds are few, so their own
        chance is not in the interval; `by_seed` lists the difference of each.
    """
    of = {row: per_image[per_image["method"] == row] for row in (one, other)}
    seeds = sorted(set(of[one]["seed"]) & set(of[other]["seed"]))
    rows = []
    for score, (columns, ratio) in SCORES.items():
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
