"""Scores of each part of a union of datasets, such as SIRST3, whose pooled scores are those of its largest part."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pandas import DataFrame

from irstd.metrics.ratios import RATIOS
from irstd.metrics.statistics import bootstrap
from irstd.tables import SCORES, number, percent

SHOWN = ("iou", "pd", "fa_per_million", "f1", "point_f1_5px")


def by_part(per_image: DataFrame, parts: Mapping[str, str]) -> DataFrame:
    """One row per part, in the order in which parts first come, with 95 % intervals over its images.

    Args:
        per_image: counts of one run, one row per image: `name`, and the columns of `irstd.metrics.ratios.RATIOS`;
            those of a score may be missing, or empty where the method has none.
        parts: scene to the part it is of; each image is in it.

    Returns:
        `part`, `images`, `targets`, and the scores that there are counts of, as text.
    """
    rows = []
    for part, of in per_image.groupby(per_image["name"].map(parts), sort=False):
        row = {"part": part, "images": len(of), "targets": int(of["targets"].sum())}
        for name in SHOWN:
            columns, ratio = RATIOS[name]
            if not set(columns) <= set(of):
                continue
            if of[columns].isna().any(axis=None):
                row[SCORES[name]] = percent(None)
                continue
            counts = of[columns].to_numpy(float)
            value = float(ratio(counts.sum(0, keepdims=True))[0])
            if name == "fa_per_million":
                row[SCORES[name]] = number(value, ".2f")
            else:
                ends = bootstrap(counts, ratio)
                row[SCORES[name]] = percent(value, None if np.isnan(ends).any() else list(ends))
        rows.append(row)
    return DataFrame(rows)
