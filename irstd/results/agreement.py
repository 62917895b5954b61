"""Whether the files of a run agree: scores with the counts that they are made of, and tables with tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from irstd.errors import InputError
from irstd.metrics.conventions import CONVENTIONS
from irstd.metrics.ratios import RATIOS, over
from irstd.results.store import REMEDY

ROUNDED = 1e-5  # of scores, which files hold to six digits
OF_COUNTS = {  # of a convention's row: columns, and what is made of them
    **{name: RATIOS[name] for name in ("iou", "pd", "fa_per_million")},
    "pixel_precision": (["intersection", "predicted"], lambda sums: over(sums[..., 0], sums[..., 1])),
    "pixel_recall": (["intersection", "true"], lambda sums: over(sums[..., 0], sums[..., 1])),
    "precision": (["false_regions", "regions"], lambda sums: over(sums[..., 1] - sums[..., 0], sums[..., 1])),
    "false_regions_per_image": (["false_regions", "images"], lambda sums: over(sums[..., 0], sums[..., 1])),
}


def check(
    folder: Path, metrics: Mapping[str, Any], made: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]
) -> None:
    """Whether a run's files agree.

    Args:
        folder: of the run, for messages.
        metrics, made: its metrics.json and provenance.json.
        tables: its tables by name: per_image, per_target, and perhaps conventions and squared.

    Raises:
        InputError: they do not; the message names the file, the score and both values.
    """
    path = folder / "metrics.json"
    _check_scores(metrics, tables["per_image"], path)
    if made["scenes"]["test"] != metrics["images"]:
        raise InputError(
            f"{path} is of {metrics['images']} images, but provenance.json of {made['scenes']['test']}; {REMEDY}"
        )
    _check_targets(tables["per_image"], tables["per_target"], folder)
    for kind in ("conventions", "squared"):
        if kind in tables:
            _check_rows(tables[kind], folder / f"{kind}.csv")
    if "conventions" in tables:
        _check_ours(metrics, tables["conventions"], folder / "conventions.csv")


def _same(stated: Any, expected: Any) -> bool:
    """Whether two numbers are one but for rounding; null and NaN are."""
    one, other = (math.nan if value is None else float(value) for value in (stated, expected))
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return math.isclose(one, other, rel_tol=ROUNDED, abs_tol=ROUNDED)


def _shown(value: Any) -> str:
    return "nan" if value is None else f"{value:g}"


def _check_scores(metrics: Mapping[str, Any], per_image: pd.DataFrame, path: Path) -> None:
    """Whether scores are those of the images."""
    counted = {"images": len(per_image), "targets": int(per_image["targets"].sum())}
    for name, count in counted.items():
        if metrics[name] != count:
            raise InputError(f"{path} says {metrics[name]} {name}, but per_image.csv has {count}; {REMEDY}")
    for name, (columns, ratio) in RATIOS.items():
        if name not in metrics or per_image[columns].isna().any(axis=None):
            continue
        expected = float(ratio(per_image[columns].to_numpy(float).sum(0, keepdims=True))[0])
        if not _same(metrics[name], expected):
            shown = _shown(metrics[name])
            raise InputError(f"{path} says {name} {shown}, but per_image.csv gives {expected:g}; {REMEDY}")


def _check_targets(per_image: pd.DataFrame, per_target: pd.DataFrame, folder: Path) -> None:
    """Whether targets are those of the images, and found as often."""
    twice = per_image["name"][per_image["name"].duplicated()]
    if len(twice):
        raise InputError(f"{folder / 'per_image.csv'} is damaged: it has {twice.iloc[0]} twice; {REMEDY}")
    found = per_target.groupby("name")["detected"].agg(["size", "sum"])
    strangers = found.index.difference(pd.Index(per_image["name"]))
    if len(strangers):
        raise InputError(f"{folder / 'per_target.csv'} has {strangers[0]}, which per_image.csv has not; {REMEDY}")
    found = found.reindex(per_image["name"], fill_value=0)
    for name, column in (("size", "targets"), ("sum", "detected")):
        other = np.flatnonzero(found[name].to_numpy(float) != per_image[column].to_numpy(float))
        if len(other):
            scene = per_image["name"].iloc[other[0]]
            raise InputError(f"{folder / 'per_target.csv'} and per_image.csv differ in {column} of {scene}; {REMEDY}")


def _check_rows(table: pd.DataFrame, path: Path) -> None:
    """Whether each convention's scores are those of its own counts, and its intervals end after they begin."""
    for _, row in table.iterrows():
        name = row["convention"]
        for score, (columns, ratio) in OF_COUNTS.items():
            two = name not in CONVENTIONS or CONVENTIONS[name].two_classes
            if (score == "iou" and two) or row[columns].isna().any():
                continue
            expected = float(ratio(row[columns].to_numpy(float)[None])[0])
            if not _same(row[score], expected):
                raise InputError(
                    f"{path} says {score} {row[score]:g} of {name}, but its counts give {expected:g}; {REMEDY}"
                )
        for score in ("iou", "pd", "fa_per_million", "f1"):
            if row[f"{score}_low"] > row[f"{score}_high"]:
                raise InputError(f"{path}: the interval of {score} of {name} ends before it begins; {REMEDY}")


def _check_ours(metrics: Mapping[str, Any], table: pd.DataFrame, path: Path) -> None:
    """Whether the row of our own convention says what metrics.json says."""
    for _, row in table[table["convention"] == "irstd"].iterrows():
        for name in ("images", "targets", "iou", "niou", "pd", "fa_per_million", "precision", "f1"):
            if not _same(row[name], metrics[name]):
                raise InputError(
                    f"{path} says {name} {row[name]:g}, but metrics.json {_shown(metrics[name])}; {REMEDY}"
                )
