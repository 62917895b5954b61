"""Scores of all methods side by side."""

from __future__ import annotations

from collections.abc import Sequence

import seaborn as sns
from matplotlib.axes import Axes
from pandas import DataFrame

from irstd.metrics.scores import SCORES
from irstd.plots.style import colours

BARS = ("iou", "niou", "pd", "f1")


def score_bars(cells: DataFrame, ax: Axes, *, order: Sequence[str], titles: dict[str, str]) -> Axes:
    """Bars of IoU, nIoU, Pd and target F1, one colour per method; a dot for each seed.

    Args:
        cells: rows of one dataset, with `method`, `seed` and the scores in [0, 1].
        order: all methods of params.yaml, which fixes the colours.
    """
    long = cells.melt(["method", "seed"], list(BARS), "score", "value").dropna()
    long["value"] = long["value"].astype(float) * 100
    long["score"] = long["score"].map({name: SCORES[name].title for name in BARS})
    present = [m for m in order if m in set(long["method"])]
    keys = {"data": long, "x": "score", "y": "value", "hue": "method", "hue_order": present, "ax": ax}
    sns.barplot(**keys, palette=colours(order), errorbar=None, width=0.8)
    sns.stripplot(
        **keys, dodge=len(present) > 1, palette=dict.fromkeys(present, "0.2"), legend=False, size=3, jitter=False
    )
    for bars in ax.containers:
        # Upright where there are many, so that none covers another.
        ax.bar_label(bars, fmt="%.1f", padding=4, fontsize=6.5, rotation=90 if len(present) > 3 else 0)
    ax.set(xlabel="score on the test split", ylabel="value, %", ylim=(0, 118))
    handles, names = ax.get_legend_handles_labels()
    ax.legend(handles, [titles.get(n, n) for n in names], title="method", loc="upper left", bbox_to_anchor=(1, 1))
    return ax
