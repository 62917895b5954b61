"""What differs between the results of two revisions, cell by cell, and whether test images explain it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from irstd.analysis.differences import paired
from irstd.errors import InputError
from irstd.results.reading import cells
from irstd.results.store import read

KEY = ["dataset", "method", "seed"]
SCORES = ("iou", "niou", "pd", "fa_per_million", "f1", "point_f1_3px", "point_f1_5px")


def compared(before: Path, after: Path) -> pd.DataFrame:
    """Every cell that has scores in one of two folders of results.

    Returns:
        One row per cell: dataset, method, seed, `change` (`added`, `removed`, `changed` or `same`), and each score of
        `SCORES` as SCORE_before and SCORE_after.
    """
    tables = []
    for folder in (before, after):
        try:
            table = cells(folder, checked=False)
        except InputError:
            table = pd.DataFrame(columns=[*KEY, *SCORES])
        tables.append(table.reindex(columns=[*KEY, *SCORES]))
    both = tables[0].merge(tables[1], on=KEY, how="outer", suffixes=("_before", "_after"), indicator=True)
    change = both["_merge"].map({"left_only": "removed", "right_only": "added", "both": "same"}).astype(object)
    moved = pd.Series(data=False, index=both.index)
    for score in SCORES:
        one, other = (pd.to_numeric(both[f"{score}_{when}"]) for when in ("before", "after"))
        moved |= ~((one == other) | (one.isna() & other.isna()))
    change[moved & (change == "same")] = "changed"
    return both.assign(change=change).drop(columns="_merge")


def changed(table: pd.DataFrame) -> list[tuple[str, str, int]]:
    """The cells of `compared` that are in both and differ."""
    rows = table[table["change"] == "changed"]
    return [(str(d), str(m), int(s)) for d, m, s in rows[KEY].itertuples(index=False)]


def both(before: Path, after: Path, kind: str, cell: Sequence[Any]) -> pd.DataFrame:
    """One cell's table of a kind at both revisions, kept apart as if they were two methods, `before` and `after`.

    Empty where one of the two has it not, or in another layout.
    """
    place = Path(*map(str, cell), f"{kind}.csv")
    try:
        tables = {when: read(folder / place, kind) for when, folder in (("before", before), ("after", after))}
    except ValueError:  # InputError among them
        return pd.DataFrame()
    return pd.concat([t.assign(method=when, seed=cell[2]) for when, t in tables.items()], ignore_index=True)


def differences(before: Path, after: Path, every: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """For each cell the paired difference of its scores, after minus before, over the images that both have.

    Returns:
        dataset, method, seed, and the columns of `irstd.analysis.differences.paired`; cells whose images are others
        have no row.
    """
    found = []
    for cell in every:
        table = both(before, after, "per_image", cell)
        if not len(table):
            continue
        names = table.groupby("method")["name"].agg(lambda column: tuple(sorted(column)))
        if names["before"] != names["after"]:
            continue
        rows = paired(table, "after", "before")
        for place, value in enumerate(cell):
            rows.insert(place, KEY[place], value)
        found.append(rows)
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()
