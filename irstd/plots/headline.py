"""The figure of the home page: ours with intervals, published figures beside."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from pandas import DataFrame

from irstd.metrics.scores import SCORES
from irstd.plots.style import colours


def beside_published(
    table: DataFrame, ax: Axes, *, score: str, rows: Sequence[str], order: Sequence[str], titles: dict[str, str]
) -> Axes:
    """One score of one dataset: dots with 95 % intervals are ours, diamonds published, thin ones on another split.

    Args:
        table: from `irstd.tables.home.beside`, of one dataset. rows: methods from top to bottom, the same in each
            panel. order: all methods of params.yaml, which fixes the colours.
    """
    palette = colours(order)
    mine = table[table["score"] == score]
    for place, method in enumerate(rows):
        cells = mine[mine["method"] == method].sort_values("seed")
        for number, one in enumerate(cells.itertuples()):
            y = place + 0.22 * (number - (len(cells) - 1) / 2)
            ends = None
            if not pd.isna(one.low):  # hardly ever, and then by a hair, is the score itself outside
                ends = [[max(0.0, 100 * (one.ours - one.low))], [max(0.0, 100 * (one.high - one.ours))]]
            ax.errorbar(100 * one.ours, y, xerr=ends, fmt="o", ms=4, capsize=2, color=palette[method])
            if not pd.isna(one.published):
                ax.plot(
                    one.published,
                    y,
                    "D" if one.alike else "d",
                    color="0.25" if one.alike else "0.6",
                    mfc="none",
                    ms=4.5,
                )
    ax.set_yticks(range(len(rows)), [titles.get(m, m) for m in rows], fontsize=7.5)
    ax.set(xlabel=SCORES[score].axis, ylabel="method", xlim=(0, 100), ylim=(len(rows) - 0.5, -0.5))
    return ax
