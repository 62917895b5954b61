"""Two revisions of the results over each other."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from pandas import DataFrame

from irstd.metrics.scores import SCORES

BEFORE, AFTER = "0.55", "#0173B2"
NAMED = {
    **{name: SCORES[name].axis for name in ("iou", "point_f1_5px")},
    "loss": "training loss, mean / epoch",
    "score": "validation score, 0 to 1",
    "epoch": "epoch",
    "recall": "pixel recall, 0 to 1",
    "precision": "pixel precision, 0 to 1",
}


def moved(table: DataFrame, ax: Axes, *, score: str, titles: dict[str, str]) -> Axes:
    """One score of each cell, an arrow from before (hollow) to after; cells in one revision only have one dot.

    Args:
        table: from `irstd.analysis.revisions.compared`; cells that are the same are left out by the caller.
    """
    names = []
    for place, (_, cell) in enumerate(table.iterrows()):
        one, other = (pd.to_numeric(cell[f"{score}_{when}"]) * 100 for when in ("before", "after"))
        ax.plot(one, place, "o", color=BEFORE, mfc="none", label="before" if place == 0 else None)
        ax.plot(other, place, "o", color=AFTER, label="after" if place == 0 else None)
        if not (pd.isna(one) or pd.isna(other)):
            ax.annotate("", (other, place), (one, place), arrowprops={"arrowstyle": "->", "color": AFTER})
        names.append(f"{cell['dataset']}, {titles.get(cell['method'], cell['method'])}, seed {cell['seed']}")
    ax.set_yticks(range(len(names)), names, fontsize=7)
    ax.set(xlabel=NAMED[score], ylabel="cell", ylim=(len(names) - 0.5, -0.5))
    ax.legend(fontsize=7)
    return ax


def overlay(table: DataFrame, ax: Axes, *, x: str, y: str) -> Axes:
    """One curve of one cell at both revisions.

    Args:
        table: from `irstd.analysis.revisions.both`, `method` being `before` or `after`.
    """
    for when, colour, line in (("before", BEFORE, "--"), ("after", AFTER, "-")):
        rows = table[table["method"] == when].dropna(subset=[x, y])
        ax.plot(rows[x], rows[y], line, color=colour, label=when)
    ax.set(xlabel=NAMED[x], ylabel=NAMED[y])
    return ax
