"""Tables and answers about two revisions of the results."""

from __future__ import annotations

import pandas as pd
from pandas import DataFrame

from irstd.tables import NONE, SCORES, label, scaled

SHOWN = ("iou", "pd", "fa_per_million", "point_f1_5px")


def _value(score: str, value: float | None) -> str:
    return NONE if value is None or pd.isna(value) else scaled(score, value)


def cells(table: DataFrame, titles: dict[str, str]) -> DataFrame:
    """Every cell that is not the same in both: its scores, before → after.

    Args:
        table: from `irstd.analysis.revisions.compared`.
    """
    rows = []
    for _, cell in table[table["change"] != "same"].iterrows():
        row = {k: cell[k] for k in ("dataset", "method", "seed", "change")} | {"method": label(cell["method"], titles)}
        for score in SHOWN:
            one, other = (_value(score, cell[f"{score}_{when}"]) for when in ("before", "after"))
            row[SCORES[score]] = one if one == other else f"{one} → {other}"
        rows.append(row)
    return DataFrame(rows, columns=["dataset", "method", "seed", "change", *(SCORES[s] for s in SHOWN)])


def differences(table: DataFrame, titles: dict[str, str]) -> DataFrame:
    """Paired differences, after minus before, with intervals over the images.

    Args:
        table: from `irstd.analysis.revisions.differences`.
    """
    rows = []
    for _, one in table.iterrows():
        if pd.isna(one["difference"]):
            continue
        value, low, high = (scaled(one["score"], one[k], "+") for k in ("difference", "low", "high"))
        apart = one["low"] > 0 or one["high"] < 0
        rows.append(
            {
                "dataset": one["dataset"],
                "method": label(one["method"], titles),
                "seed": one["seed"],
                "score": SCORES[one["score"]],
                "after - before [95 %]": f"{value} [{low}, {high}]",
                "more than the choice of images": "yes" if apart else "no",
            }
        )
    return DataFrame(rows)


def answer(table: DataFrame, apart: DataFrame, names: tuple[str, str]) -> str:
    """A paragraph that says what changed.

    Args:
        table: from `irstd.analysis.revisions.compared`. apart: from `differences` above. names: of the revisions.
    """
    counts = table["change"].value_counts()
    counted = ", ".join(f"{counts.get(kind, 0)} {kind}" for kind in ("same", "changed", "added", "removed"))
    sentence = f"From {names[0]} to {names[1]}, of {len(table)} cells: {counted}."
    if len(apart):
        beyond = int((apart["more than the choice of images"] == "yes").sum())
        sentence += (
            f" {beyond} of {len(apart)} paired differences are more than the choice of test images explains (of so "
            f"many, about {0.05 * len(apart):.1f} would be by chance alone); one training each."
        )
    return sentence
