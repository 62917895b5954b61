"""Oriented kernels: what they look like, what they choose, and how they answer a target that turns."""

from __future__ import annotations

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from pandas import DataFrame, Series

from irstd.plots.style import LINES, PALETTE, TRUTH


def kernels(table: DataFrame, choices: DataFrame, figure: Figure) -> Figure:
    """Every candidate's kernel of every layer in `table`: one row per layer, one column per angle; one grey scale.

    Args:
        choices: of those layers, whose directions are about the same in all.
    """
    layers, candidates = table["layer"].unique(), sorted(table["candidate"].unique())
    titles = _directions(choices)
    axes = figure.subplots(len(layers), len(candidates), squeeze=False)
    most = table["value"].max()
    for line, layer in zip(axes, layers, strict=True):
        for ax, candidate in zip(line, candidates, strict=True):
            rows = table[(table["layer"] == layer) & (table["candidate"] == candidate)]
            image = rows.pivot_table(index="row", columns="col", values="value")
            shown = ax.imshow(image, cmap="viridis", vmin=0, vmax=most)
            ax.set(xticks=[], yticks=[], title=titles[candidate] if layer == layers[0] else "")
        line[0].set_ylabel(short(layer), fontsize="x-small", rotation=0, ha="right", va="center")
    figure.colorbar(shown, ax=axes, label="weight of a tap, sum 1", shrink=0.6)
    return figure


def degrees(direction: float) -> str:
    """A direction as a label.

    >>> degrees(44.9734), degrees(-0.0246)
    ('45°', '0°')
    """
    return f"{round(direction)}°"


def _directions(table: DataFrame) -> Series:
    """Labels by number of the angle; the little that layers differ by is not shown."""
    return table.groupby("candidate")["direction_deg"].median().map(degrees)


def short(layer: str) -> str:
    """A layer's name without what all of them end in."""
    return layer.removesuffix(".spatial.blur")


def over_epochs(watched: DataFrame, ax: Axes, *, quantity: str) -> Axes:
    """Width (`sigma`) or angle of each oriented layer over a training; darker layers are deeper in the network."""
    rows = watched[watched["quantity"].str.startswith(f"{quantity} ")]
    layers = list(rows["quantity"].unique())
    palette = sns.color_palette("viridis", len(layers))
    for place, name in enumerate(layers):
        one = rows[rows["quantity"] == name]
        values = np.degrees(one["value"]) if quantity == "angle" else one["value"]
        label = short(name.split(" ", 1)[1])
        ax.plot(one["epoch"], values, LINES[place % 4], color=palette[place], label=label)
    ax.set(
        xlabel="epoch", ylabel={"sigma": "width σ of the Gaussian, px", "angle": "angle of the first arm, °"}[quantity]
    )
    return ax


def response(table: DataFrame, ax: Axes) -> Axes:
    """What each candidate answers a turning target, thin, and the chosen answer, thick. `table` is of one layer."""
    for place, (_, rows) in enumerate(table.groupby("candidate")):
        colour = sns.color_palette(PALETTE, 10)[place % 10]
        label = degrees(rows["direction_deg"].iloc[0])
        ax.plot(rows["angle_deg"], rows["response"], LINES[place % 4], color=colour, linewidth=1, label=label)
    chosen = table[table["chosen"] == 1].sort_values("angle_deg")
    ax.plot(chosen["angle_deg"], chosen["response"], color="black", linewidth=2, label="chosen")
    ax.set(xlabel="orientation of the target, °", ylabel="response, grey levels of 1", xlim=(0, 360))
    ax.set_xticks(range(0, 361, 45))
    return ax


def equivariance(table: DataFrame, ax: Axes) -> Axes:
    """How far a turned answer is from the answer to the turned image, over the turn; one line per kernel."""
    for place, (kernel, rows) in enumerate(table.groupby("kernel", sort=False)):
        colour = sns.color_palette(PALETTE, 10)[place % 10]
        ax.plot(rows["angle_deg"], 100 * rows["error"], LINES[place % 4], color=colour, label=kernel)
    # Turns by 90° are exact but for rounding; the axis ends where interpolation does.
    limits = {"xlim": (0, 180), "ylim": (0.1, 300)}
    ax.set(xlabel="turn of the image, °", ylabel="equivariance error, % (log)", yscale="log", **limits)
    ax.set_xticks(range(0, 181, 45))
    ax.legend(title="kernel", fontsize="x-small", loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def choice(table: DataFrame, ax: Axes, *, column: str) -> Axes:
    """How often each angle is chosen, one bar per layer."""
    wide = table.pivot_table(index="layer", columns="candidate", values=column, sort=False)
    left = np.zeros(len(wide))
    titles = _directions(table)
    for place, candidate in enumerate(wide.columns):
        values = 100 * wide[candidate].fillna(0)
        colour = sns.color_palette(PALETTE, 10)[place % 10]
        ax.barh([short(layer) for layer in wide.index], values, left=left, color=colour, label=titles[candidate])
        left += values
    named = {"share": "pixels that choose it, %", "share_on_targets": "target pixels that choose it, %"}
    ax.set(xlabel=named[column], ylabel="layer, input first", xlim=(0, 100), ylim=(len(wide) - 0.5, -0.5))
    return ax


def scene(table: DataFrame, choices: DataFrame, axes: tuple[Axes, Axes]) -> None:
    """A piece of a scene with its targets outlined, and the angle that each of its pixels chooses.

    Args:
        choices: of the network's layers, whose directions are about the same in all.
    """
    layers = {c: table.pivot_table(index="row", columns="col", values=c) for c in ("grey", "target", "candidate")}
    axes[0].imshow(layers["grey"], vmin=0, vmax=255)
    axes[0].set_title("scene, targets outlined")
    named = _directions(choices)
    count = int(named.index.max()) + 1
    colours = ListedColormap(sns.color_palette(PALETTE, 10)[:count])
    shown = axes[1].imshow(layers["candidate"], cmap=colours, vmin=-0.5, vmax=count - 0.5)
    axes[1].set_title("chosen angle")
    for ax in axes:
        ax.contour(layers["target"], [0.5], colors=TRUTH if ax is axes[0] else "black", linewidths=1)
        ax.set(xticks=[], yticks=[], xlabel="px, native")
    bar = axes[1].figure.colorbar(
        shown, ax=axes[1], ticks=list(named.index), label="direction, from along a row", shrink=0.7
    )
    bar.set_ticklabels(list(named))
