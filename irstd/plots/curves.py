"""Curves over epochs and over thresholds."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from pandas import DataFrame

from irstd.plots.style import LINES, colours


def _runs(table: DataFrame, order: Sequence[str]):  # noqa: ANN202 - a generator of (method, place of the seed, rows)
    for method in order:
        for place, (_, rows) in enumerate(table[table["method"] == method].groupby("seed")):
            yield method, place, rows


def history(table: DataFrame, ax: Axes, *, column: str, order: Sequence[str], titles: dict[str, str]) -> Axes:
    """`loss` or `score` over epochs; one colour per method, one line style per seed."""
    palette = colours(order)
    for method, place, rows in _runs(table, order):
        kept = rows.dropna(subset=[column])
        name = titles.get(method, method) if place == 0 else None
        ax.plot(kept["epoch"], kept[column], LINES[place % len(LINES)], color=palette[method], marker=".", label=name)
    named = {"loss": "training loss (mean of an epoch)", "score": "score that chooses, 0 to 1"}
    ax.set(xlabel="epoch", ylabel=named[column])
    ax.legend(title="method", fontsize=6.5, title_fontsize=7, framealpha=0.6)
    return ax


def precision_recall(table: DataFrame, ax: Axes, *, order: Sequence[str], titles: dict[str, str]) -> Axes:
    """Pixel precision over recall, all thresholds; a dot where the threshold is one half."""
    palette = colours(order)
    for method, place, rows in _runs(table, order):
        kept = rows.dropna(subset=["precision"])
        name = titles.get(method, method) if place == 0 else None
        ax.plot(kept["recall"], kept["precision"], LINES[place % len(LINES)], color=palette[method], label=name)
        half = kept.iloc[(kept["threshold"] - 0.5).abs().argsort()[:1]]
        ax.plot(half["recall"], half["precision"], "o", color=palette[method])
    ax.set(
        xlabel="recall of target pixels, 0 to 1",
        ylabel="precision of predicted pixels, 0 to 1",
        xlim=(0, 1.02),
        ylim=(0, 1.02),
    )
    if ax.lines:
        ax.legend(title="method", loc="upper left", bbox_to_anchor=(1, 1))
    else:
        ax.text(0.5, 0.5, "no method here gives a score map", ha="center")
    return ax
