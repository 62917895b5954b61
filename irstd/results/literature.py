"""What papers and READMEs state: the figures of published.csv and published_costs.csv, which lie beside this file.

published_sources.csv dates the sources, each by the words that it begins with: by the commit that was read, or by the
year, and the month where it is known, in which a paper was published; empty where neither is known.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

COLUMNS = ("method", "dataset", "split", "metric", "value", "scored", "source", "note")
MAY_BE_EMPTY = ("split", "note")
SHARES = (
    "iou", "niou", "pixel_f1", "pd", "target_f1", "point_f1", "point_precision_5px", "point_recall_5px", "point_f1_5px",
)  # fmt: skip
RANGES = {**dict.fromkeys(SHARES, (0.0, 100.0)), "fa_per_million": (0.0, 1e6)}  # metric: least and largest value


def read(path: Path) -> pd.DataFrame:
    """A table of published figures, in the columns of `COLUMNS`.

    Raises:
        ValueError: a column is missing or unknown, a field is empty, a value is no number or out of its range, or a
            figure is stated twice.
    """
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if tuple(table.columns) != COLUMNS:
        raise ValueError(f"{path.name}: columns are {', '.join(table.columns)}, not {', '.join(COLUMNS)}")
    values = pd.to_numeric(table["value"], errors="coerce")
    for number, row in table.iterrows():
        where = f"{path.name} line {int(str(number)) + 2}"
        empty = [column for column in COLUMNS if column not in MAY_BE_EMPTY and not row[column].strip()]
        if empty:
            raise ValueError(f"{where}: {empty[0]} is empty")
        if row["metric"] not in RANGES:
            raise ValueError(f"{where}: no metric {row['metric']!r}")
        low, high = RANGES[row["metric"]]
        if not low <= values[number] <= high:  # type: ignore[call-overload]
            raise ValueError(f"{where}: {row['metric']} is {row['value']!r}, not a number in [{low:g}, {high:g}]")
    twice = table.duplicated([column for column in COLUMNS if column != "value"])
    if twice.any():
        raise ValueError(f"{path.name} line {int(twice.to_numpy().argmax()) + 2}: this figure is stated twice")
    return table.assign(value=values)


def published(dataset: str | None = None) -> pd.DataFrame:
    """What papers and READMEs state, one row per figure: method, dataset, split (empty if not stated), metric, value,
    how it was scored, source, note (what its source contradicts or leaves out, or empty), date of the source (year,
    perhaps month and day, or empty). Shares are in [0, 100] %, Fa per million.

    Args:
        dataset: only this one's, if given.
    """
    table = read(Path(__file__).with_name("published.csv"))
    table = table.assign(date=table["source"].map(_dates(table["source"].unique())))
    return table if dataset is None else table[table["dataset"] == dataset].reset_index(drop=True)


def _dates(sources: Iterable[str]) -> dict[str, str]:
    """Source to its date.

    Raises:
        ValueError: one begins as no line of published_sources.csv.
    """
    path = Path(__file__).with_name("published_sources.csv")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    known: dict[str, str] = dict(zip(table["source"], table["date"], strict=True))
    found = {}
    for source in sources:
        begins = [name for name in known if source.startswith(name)]
        if not begins:
            raise ValueError(f"{path.name}: {source!r} is not dated; add a line of it")
        found[source] = known[max(begins, key=len)]
    return found


def published_costs() -> pd.DataFrame:
    """What papers and READMEs state of size and speed: method, parameters (1e6), multiply-adds of a 256×256 image (1e9,
    which they call FLOPs), images a second, source.
    """
    return pd.read_csv(Path(__file__).with_name("published_costs.csv"))
