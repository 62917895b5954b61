"""Which targets are found: Pd by size, contrast, company and distance to the border."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import binomtest

EDGES: dict[str, tuple[float, ...]] = {  # of the bins; the last is open
    "area_px": (0.0, 10.0, 20.0, 40.0, 80.0),
    "scr": (0.0, 2.0, 4.0, 8.0, 16.0),
    "in_scene": (1.0, 2.0, 3.0, 4.0),
    "border_px": (0.0, 1.0, 5.0, 20.0, 60.0),
}


def joined(per_target: pd.DataFrame, targets: pd.DataFrame) -> pd.DataFrame:
    """Whether each target was found, beside what it is like.

    Args:
        per_target: of one dataset, with method and seed. targets: of that dataset.
    """
    about = targets.assign(in_scene=targets.groupby("name")["target"].transform("size"), scr=targets["scr"].abs())
    kept = ["name", "target", "scr", "in_scene", "border_px"]
    return per_target.merge(about[kept], on=["name", "target"], how="left", validate="many_to_one")


def by(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Pd of each method in bins of `column`, with Wilson's 95 % interval over targets; seeds pooled.

    Args:
        table: from `joined`. column: one of `EDGES`.

    Returns:
        One row per method and bin with targets: method, place (of the bin), bin, targets, pd, low, high.
    """
    edges = EDGES[column]
    names = [_name(low, high) for low, high in zip(edges, [*edges[1:], np.inf], strict=True)]
    known = table.dropna(subset=[column])  # contrast may be unknown
    place = np.digitize(known[column], edges) - 1
    rows = []
    for (method, number), group in known.assign(place=place).groupby(["method", "place"], sort=False):
        test = binomtest(int(group["detected"].sum()), len(group))
        ends = test.proportion_ci(method="wilson")
        rows.append((method, number, names[number], len(group), test.statistic, ends.low, ends.high))
    columns = ["method", "place", "bin", "targets", "pd", "low", "high"]
    return pd.DataFrame(rows, columns=columns).sort_values("place", kind="stable")


def _name(low: float, high: float) -> str:
    if np.isinf(high):
        return f"≥ {low:g}"
    return f"{low:g}" if high == low + 1 else f"{low:g} to < {high:g}"
