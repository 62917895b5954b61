"""What a change of a recipe does at equal time: differences of paired images, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy import ndarray
from pandas import DataFrame

from irstd.metrics.statistics import bootstrap
from irstd.results import SCHEMAS

AVERAGED, RAW = "averaged", "raw"  # weights: mean over the last steps, and those of the last step
Counts = Int[ndarray, "N 3"]  # of each image: rightly found, found and there; pixels, or points


def pooled(sums: Shaped[ndarray, "*R 3"], *, points: bool) -> Float[ndarray, "*R"]:
    """IoU, or F1 of points, from sums of rightly found, found and there."""
    both, found, there = np.moveaxis(sums.astype(float), -1, 0)
    score = 2 * both / np.maximum(found + there, 1) if points else both / np.maximum(found + there - both, 1)
    return np.asarray(score)


def interval(*counts: Counts, points: bool) -> tuple[float, float]:
    """95 % bootstrap interval over images of the pooled score.

    With two tables of the same images: of the first's score less the second's.
    """

    def score(sums: ndarray) -> ndarray:
        first, *others = (pooled(one, points=points) for one in np.split(sums, len(counts), 1))
        return first - others[0] if others else first

    return bootstrap(np.hstack(counts), score)


def effects(
    images: Mapping[tuple[str, str, str, int], DataFrame],
    changes: Mapping[str, tuple[str, str]],
    points: Sequence[str],
) -> DataFrame:
    """A row for each arm against the arm it starts from, both with averaged weights, and for each arm's averaged
    weights against its raw ones; as the schema `race_effects` says.

    Args:
        images: dataset, method, arm and seed to the counts of each image when the training was over, as the schema
            `race_images` says.
        changes: arm to the arm it starts from, and what it changes in it, in words.
        points: the methods that are judged by points.
    """
    rows: list[dict[str, Any]] = []
    for (dataset, method, arm, seed), table in images.items():
        sides = [(arm, RAW, f"averaged weights instead of the last ({arm})")]
        if arm in changes:
            sides.append((changes[arm][0], AVERAGED, changes[arm][1]))
        for against, of_weights, change in sides:
            other = images.get((dataset, method, against, seed))
            if other is None:
                continue
            now, before = _of(table, AVERAGED), _of(other, of_weights)
            if list(now.index) != list(before.index):  # another hold-out: not to be compared
                continue
            judged = [side[["right", "found", "there"]].to_numpy() for side in (now, before)]
            score, base = (float(pooled(side.sum(0), points=method in points)) for side in judged)
            low, high = interval(*judged, points=method in points)
            false = [float(side["false"].sum() / side["pixels"].sum() * 1e6) for side in (now, before)]
            row = (dataset, method, arm, change, AVERAGED, against, of_weights, seed)
            row += (score, score - base, low, high, *false)
            rows.append(dict(zip(SCHEMAS["race_effects"], row, strict=True)))
    return DataFrame(rows, columns=list(SCHEMAS["race_effects"]))


def final(table: DataFrame) -> DataFrame:
    """The counts when the training was over, each scene and kind of weights once, in the order of the names."""
    last = table[table["epoch"] == table["epoch"].max()].drop(columns="epoch")
    return last.drop_duplicates(["weights", "scene"], keep="last").sort_values(["weights", "scene"])


def _of(table: DataFrame, weights: str) -> DataFrame:
    """The counts of each scene with these weights."""
    return table[table["weights"] == weights].set_index("scene").sort_index()
