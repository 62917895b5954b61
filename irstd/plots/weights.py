"""What published weights do on other datasets and on changed images."""

from __future__ import annotations

from collections.abc import Sequence

import seaborn as sns
from matplotlib.axes import Axes
from pandas import DataFrame

from irstd.metrics.scores import SCORES
from irstd.plots.style import LINES, colours


def transfer(table: DataFrame, ax: Axes, *, score: str, datasets: Sequence[str]) -> Axes:
    """A square for each dataset trained on and scored on, in %; the diagonal is what training was for.

    Args:
        table: as `irstd.results.reading.transfer` gives it, of one method, under one convention.
        score: of the table, a share. datasets: in this order.
    """
    wide = 100 * table.pivot_table(index="dataset", columns="on", values=score)
    wide = wide.reindex(index=datasets, columns=datasets)  # where nothing was trained the square stays empty
    sns.heatmap(wide, ax=ax, annot=True, fmt=".1f", cmap="viridis", vmin=0, vmax=100, cbar=False, square=True)
    ax.grid(visible=False)
    ax.set(xlabel="scored on", ylabel="trained on")
    ax.tick_params("x", rotation=30)
    ax.tick_params("y", rotation=0)
    return ax


def robustness(
    table: DataFrame, ax: Axes, *, change: str, unit: str, score: str, order: Sequence[str], titles: dict[str, str]
) -> Axes:
    """One score over the strength of one change, one line per method; the first point is without it.

    Args:
        table: as `irstd.results.reading.robustness` gives it, of one dataset.
        order: all methods of params.yaml, which fixes the colours.
    """
    palette, plain = colours(order), 1.0 if unit == "ratio" else 0.0
    for place, method in enumerate(order):
        rows = table[(table["method"] == method) & table["change"].isin([change, "none"])]
        if rows.empty:
            continue
        levels = rows["level"].where(rows["change"] == change, plain)
        values = rows.assign(level=levels).sort_values("level")
        factor = SCORES[score].factor
        ends = [factor * values[f"{score}_{end}"] for end in ("low", "high")]
        ax.fill_between(values["level"], *ends, color=palette[method], alpha=0.15, linewidth=0)
        ax.plot(
            values["level"], factor * values[score], LINES[place % len(LINES)], marker="o", ms=3,
            color=palette[method], label=titles.get(method, method),
        )  # fmt: skip
    if unit == "ratio":
        ax.invert_xaxis()  # harder to the right, as for the others
    ax.set(xlabel=f"{change}, {unit}", ylabel=SCORES[score].axis)
    return ax
