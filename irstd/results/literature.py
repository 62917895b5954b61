"""What papers and READMEs state: the figures of published.csv and published_costs.csv, which lie beside this file."""

from __future__ import annotations

from pathlib import Path

import pandas as pd


def published(dataset: str | None = None) -> pd.DataFrame:
    """What papers and READMEs state, a row a figure: method, dataset, split (empty if not stated), metric, value,
    how it was scored, source. Shares are in %, Fa per million.

    Args:
        dataset: only this one's, if given.
    """
    table = pd.read_csv(Path(__file__).with_name("published.csv"), dtype={"split": str}).fillna({"split": ""})
    return table if dataset is None else table[table["dataset"] == dataset].reset_index(drop=True)


def published_costs() -> pd.DataFrame:
    """What papers and READMEs state of size and speed: method, parameters (1e6), multiply-adds of a 256×256 image (1e9,
    which they call FLOPs), images a second, source.
    """
    return pd.read_csv(Path(__file__).with_name("published_costs.csv"))
