"""The scale losses over the area error, and what trainings made of them."""

from __future__ import annotations

from collections.abc import Sequence

import seaborn as sns
from matplotlib.axes import Axes
from pandas import DataFrame

from irstd.plots.style import LINES, PALETTE, colours

# In the order of the family, so that a colour means the same loss in every figure.
FAMILY = ("diff", "variance", "mobius", "linear", "quadratic", "ratio", "log_ratio")
NAMED = {
    "alpha": "weight α, 0 to 1",
    "slope": "slope dα/dp × true area",
    "loss": "loss 1 - α IoU, 0 to 1",
    "loss_slope": "slope dL/dp × true area",
}


def over_area(table: DataFrame, ax: Axes, *, column: str, weights: Sequence[str] = FAMILY) -> Axes:
    """A column of the table `gradients` over the ratio of areas, one line per weight; dotted where it leads away.

    Args:
        table: rows of one true area. Slopes are drawn times the true area, so that they have no unit.
    """
    palette = colours(FAMILY)
    for place, name in enumerate(weights):
        rows = table[table["weight"] == name]
        ratio = rows["predicted_px"] / rows["true_px"]
        values = rows[column] * (rows["true_px"] if column.endswith("slope") else 1)
        ax.plot(ratio, values, color=palette[name], linestyle=LINES[place % 4], label=name)
        wrong = rows["wrong"] == 1
        if wrong.any():
            ax.plot(ratio[wrong], values[wrong], ".", color=palette[name], markersize=3)
    ax.axvline(1, color="0.6", linewidth=0.8, zorder=0)
    ax.set(xlabel="predicted area / true area", ylabel=NAMED[column])
    ax.legend(title="loss", fontsize="x-small")
    return ax


def wrong_share(table: DataFrame, ax: Axes) -> Axes:
    """Share of the predicted areas where each weight leads away from the true area, for each true area."""
    shares = table.groupby(["weight", "true_px"], sort=False)["wrong"].mean().mul(100).reset_index()
    shares["true_px"] = shares["true_px"].map("{:g} px".format)
    sns.barplot(shares, x="weight", y="wrong", hue="true_px", palette=sns.color_palette(PALETTE, 3), ax=ax)
    ax.set(xlabel="loss", ylabel="predicted areas led away, %", ylim=(0, 100))
    ax.legend(title="true area")
    return ax


def over_training(
    table: DataFrame, ax: Axes, *, column: str, order: Sequence[str], titles: dict[str, str], weights: Sequence[str]
) -> Axes:
    """What weights say at the areas of trainings, over epochs: one colour per weight, one line style per row trained.

    Args:
        table: as the schema `histories` says, of one dataset; several seeds are averaged.
        order: the rows trained, and so their line styles.
        column: `alpha`, or `slope`, drawn times the true area.
    """
    palette = colours(FAMILY)
    table = table.assign(slope=table["slope"] * table["true_px"])
    for place, method in enumerate(order):
        rows = table[table["method"] == method]
        for name in weights:
            means = rows[rows["weight"] == name].groupby("epoch")[column].mean()
            ax.plot(
                means.index, means, color=palette[name], linestyle=LINES[place % 4], marker=".",
                label=name if len(order) == 1 else f"{name}, trained with {titles.get(method, method)}",
            )  # fmt: skip
    ax.axhline(0, color="0.6", linewidth=0.8, zorder=0)
    ax.set(xlabel="epoch", ylabel=NAMED[column])
    ax.legend(title="weight", fontsize="x-small")
    return ax


def areas(table: DataFrame, ax: Axes, *, order: Sequence[str], titles: dict[str, str]) -> Axes:
    """Mean predicted over mean true area in each epoch: one line per row trained and seed."""
    palette = colours(order)
    one = table[table["weight"] == table["weight"].iloc[0]] if len(table) else table
    for method in order:
        for place, (_, rows) in enumerate(one[one["method"] == method].groupby("seed")):
            ax.plot(
                rows["epoch"], rows["predicted_px"] / rows["true_px"], LINES[place % 4], color=palette[method],
                marker=".", label=titles.get(method, method) if place == 0 else None,
            )  # fmt: skip
    ax.axhline(1, color="0.6", linewidth=0.8, zorder=0)
    ax.set(xlabel="epoch", ylabel="predicted area / true area", yscale="log")
    ax.legend(title="trained with", fontsize="x-small")
    return ax
