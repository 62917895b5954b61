"""What changes of a recipe do at equal time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from pandas import DataFrame

from irstd.plots.style import LINES, colours, plain_log


def curves(table: DataFrame, ax: Axes, *, order: Sequence[str]) -> Axes:
    """Held-out score of averaged weights over CPU minutes, one line per arm; several seeds are averaged.

    Args:
        table: as the schema `race` says, of one dataset and method.
        order: arms, which fixes colours and line styles.
    """
    palette = colours(order)
    table = table[table["weights"] == "averaged"]
    for place, arm in enumerate(order):
        rows = table[table["arm"] == arm].sort_values("epoch")
        if rows.empty:
            continue
        checks = rows.assign(check=rows.groupby("seed").cumcount()).groupby("check")[["core_minutes", "score"]].mean()
        style = LINES[place // 10 % len(LINES)]
        ax.plot(checks["core_minutes"], checks["score"], style, color=palette[arm], marker=".", label=arm)
    ax.set(xlabel="CPU time of one core, min", ylabel="held-out score, 0 to 1", xlim=(0, None), ylim=(0, None))
    return ax


def times(table: DataFrame, ax: Axes, *, datasets: Sequence[str]) -> Axes:
    """Held-out score when the training was over, and its 95 % interval over images, over the CPU minutes it took: a
    line per dataset, recipe and seed, where a recipe was trained for several times.

    Each dot is a training of its own, with a schedule that ends there.

    Args:
        table: as the schema `race` says, of one method.
        datasets: fixes the colours.
    """
    palette = colours(datasets)
    last = table[(table["weights"] == "averaged") & (table["epoch"] == table["epochs"])]
    last = last.sort_values("core_minutes")
    for (dataset, recipe, _), rows in last.groupby(["dataset", "recipe", "seed"], sort=False):
        if len(rows) > 1:
            minutes = rows["core_minutes"]
            ax.vlines(minutes, 100 * rows["low"], 100 * rows["high"], color=palette[dataset], linewidth=0.8)
            ax.plot(minutes, 100 * rows["score"], ".-", color=palette[dataset], label=f"{dataset}, {recipe}")
    ax.set(xscale="log", xlabel="CPU time of one core, min (log)", ylabel="held-out score, %")
    plain_log(ax.xaxis)
    return ax


def effects(table: DataFrame, ax: Axes, *, order: Sequence[str], datasets: Sequence[str]) -> Axes:
    """Differences of arms, in points, with 95 % intervals over paired images: one row per arm, one colour per dataset.

    Args:
        table: as the schema `race_effects` says, of one method.
        order: arms, from above to below.
        datasets: fixes the colours.
    """
    palette = colours(datasets)
    for which, dataset in enumerate(datasets):
        rows = table[table["dataset"] == dataset]
        for _, one in rows.iterrows():
            y = list(order).index(one["arm"]) + (which - (len(datasets) - 1) / 2) * 0.22
            ends = np.abs(np.array([[one["low"]], [one["high"]]]) - one["difference"])
            ax.errorbar(
                100 * one["difference"], y, xerr=100 * ends, fmt="o", color=palette[dataset], markersize=4, capsize=2,
                label=dataset if ax.get_legend_handles_labels()[1].count(dataset) == 0 else None,
            )  # fmt: skip
    ax.axvline(0, color="0.6", linewidth=0.8, zorder=0)
    ax.set(
        yticks=range(len(order)),
        yticklabels=order,
        xlabel="difference of held-out scores, points of %",
        ylabel="change",
    )
    ax.set_ylim(len(order) - 0.5, -0.5)
    return ax
