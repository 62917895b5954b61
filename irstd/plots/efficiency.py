"""Accuracy over what it costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from pandas import DataFrame

from irstd.metrics.scores import SCORES
from irstd.plots.style import colours, plain_log

COSTS = {
    "parameters_m": "parameters, ×1e6",
    "gmac": "multiply-adds at 256×256, ×1e9",
    "ms": "time of an image, ms",
}
MARKERS = "osD^vP*X"


def accuracy_over(
    table: DataFrame,
    ax: Axes,
    *,
    cost: str,
    score: str,
    order: Sequence[str],
    titles: dict[str, str],
    published: DataFrame | None = None,
) -> Axes:
    """One score over one cost, one colour per method, one marker per dataset; published figures hollow, named.

    Args:
        table: from `irstd.tables.efficiency.against`.
        published: `method`, the cost's column, and the score's column in %; of one dataset.
    """
    palette, datasets = colours(order), list(dict.fromkeys(table["dataset"]))
    if published is not None:
        ax.plot(published[cost], published[score], "D", color="0.45", mfc="none", ms=4, label="published")
        ax.margins(x=0.14)
        for place, one in enumerate(published.sort_values(score).itertuples()):
            where = {"xytext": (3, 4 if place % 2 else -8), "textcoords": "offset points"}
            ax.annotate(one.method, (getattr(one, cost), getattr(one, score)), **where, fontsize=6, color="0.35")
    for place, dataset in enumerate(datasets):
        for method in order:
            rows = table[(table["dataset"] == dataset) & (table["method"] == method)].dropna(subset=[score, cost])
            if len(rows):
                name = titles.get(method, method) if len(datasets) == 1 else f"{titles.get(method, method)}, {dataset}"
                ax.plot(
                    rows[cost], 100 * rows[score].astype(float), MARKERS[place % len(MARKERS)], color=palette[method],
                    ms=6, mec="white", mew=0.5, label=name,
                )  # fmt: skip
    ax.set(xscale="log", xlabel=COSTS[cost], ylabel=SCORES[score].axis)
    plain_log(ax.xaxis)
    return ax


def latency(table: DataFrame, ax: Axes, *, order: Sequence[str], titles: dict[str, str]) -> Axes:
    """Time of one image in each form and batch, one group per method; the bar's end says images a second.

    Args:
        table: `cost` of one hardware and one size.
    """
    palette = colours(order)
    present = [m for m in order if m in set(table["method"])]
    forms = list(dict.fromkeys(zip(table["form"], table["batch"], strict=True)))
    height = 0.8 / max(len(forms), 1)
    for row, method in enumerate(present):
        for place, (form, batch) in enumerate(forms):
            one = table[(table["method"] == method) & (table["form"] == form) & (table["batch"] == batch)]
            if not len(one):
                continue
            per_image = float(one["latency_ms"].iloc[0]) / batch
            y = row + (place - (len(forms) - 1) / 2) * height
            ax.barh(y, per_image, height * 0.92, color=palette[method], alpha=1 - 0.18 * place)
            ax.text(per_image, y, f" {form}, batch {batch}: {1000 / per_image:.0f}/s", va="center", fontsize=6.5)
    ax.set_yticks(np.arange(len(present)), [titles.get(m, m) for m in present])
    side = table["size_px"].iloc[0]
    ax.set(xlabel=f"time of an image of {side}×{side} px, ms", ylabel="method", ylim=(len(present) - 0.5, -0.5))
    ax.set_xlim(0, 1.35 * max((float(x) for x in table["latency_ms"] / table["batch"]), default=1.0))
    return ax
