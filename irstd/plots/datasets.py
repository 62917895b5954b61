"""What is in a dataset: how large its targets are, how strong, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from numpy import ndarray
from pandas import DataFrame

from irstd.plots.style import LINES, plain_log

LABELS = {
    "area_px": "target area, px",
    "scr": "signal-to-clutter ratio, no unit",
    "border_px": "distance to the border, px",
}
MOST_PERCENT = 5  # of the targets in a field; one that has more is as bright
ROLES = {"train": "0.55", "test": "0.1"}


def shades(datasets: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    """A shade for each dataset by its place in params.yaml; datasets are not methods, and have another palette."""
    palette = sns.color_palette("cividis", max(len(datasets), 2) + 1)
    return {name: palette[place] for place, name in enumerate(datasets)}


def target_histogram(targets: DataFrame, ax: Axes, *, column: str) -> Axes:
    """Number of targets over `area_px` or `scr`, on a logarithmic axis; what is not positive is said, not shown."""
    values = targets[column].dropna()
    positive = values[values > 0]
    sns.histplot(x=positive, ax=ax, bins=24, log_scale=True, color="0.45", edgecolor="white")
    ax.axvline(float(np.median(positive)), color="black", linestyle="--", linewidth=1)
    plain_log(ax.xaxis)
    hidden = len(values) - len(positive)
    ax.set(xlabel=LABELS[column], ylabel="number of targets")
    ax.set_title(f"median {np.median(positive):.3g}" + (f"; {hidden} not above 0" if hidden else ""))
    return ax


def _steps(values: ndarray, ax: Axes, place: int, **line: Any) -> None:
    """The share of values at or below each, in the `place`th style of line; the size of what is negative counts."""
    sizes = np.sort(np.abs(values)).clip(0.1)
    share = 100 * np.arange(1, len(sizes) + 1) / len(sizes)
    ax.step(sizes, share, LINES[place % 4], where="post", **line)


def _of_shares(ax: Axes, column: str) -> Axes:
    """Axes of shares at or below a value."""
    ax.set(xscale="log", xlabel=LABELS[column], ylabel="targets at or below, %", ylim=(0, 102))
    plain_log(ax.xaxis)
    return ax


def shares_below(tables: dict[str, DataFrame], ax: Axes, *, column: str) -> Axes:
    """The share of each dataset's targets below a value, on a logarithmic axis; the size of what is negative counts.

    Args:
        tables: dataset to its table of targets.
    """
    palette = shades(list(tables))
    for place, (name, targets) in enumerate(tables.items()):
        _steps(targets[column].dropna().to_numpy(float), ax, place, color=palette[name], label=name)
    return _of_shares(ax, column)


def company(scenes: dict[str, DataFrame], ax: Axes, *, most: int = 5) -> Axes:
    """The share of each dataset's scenes with so many targets."""
    palette = shades(list(scenes))
    width = 0.8 / max(len(scenes), 1)
    for place, (name, table) in enumerate(scenes.items()):
        shares = 100 * table["targets"].clip(upper=most).value_counts(normalize=True).reindex(
            range(most + 1), fill_value=0
        )
        ax.bar(
            np.arange(most + 1) + (place - (len(scenes) - 1) / 2) * width,
            shares,
            width,
            color=palette[name],
            label=name,
        )
    ax.set_xticks(range(most + 1), [*map(str, range(most)), f"≥ {most}"])
    ax.set(xlabel="number of targets in the scene", ylabel="scenes, %")
    return ax


def places(targets: DataFrame, scenes: DataFrame, ax: Axes, *, title: str) -> Axes:
    """Where in the image targets are: their share in each of 8×8 fields of it, from 0 to `MOST_PERCENT`."""
    sizes = scenes.set_index("name")[["height", "width"]].loc[targets["name"]].to_numpy(float)
    rows, cols = (100 * (targets[c].to_numpy(float) + 0.5) / s for c, s in zip(("row", "col"), sizes.T, strict=True))
    counts, _, _ = np.histogram2d(rows, cols, bins=8, range=[[0, 100], [0, 100]])
    ax.imshow(
        100 * counts / counts.sum(), extent=(0, 100, 100, 0), cmap="cividis", vmin=0, vmax=MOST_PERCENT, aspect="equal"
    )
    ax.grid(visible=False)
    ax.set(xlabel="column, % of the width", ylabel="row, % of the height", xticks=(0, 50, 100), yticks=(0, 50, 100))
    ax.set_title(title, fontsize=9)
    return ax


def split_shares(targets: DataFrame, scenes: DataFrame, ax: Axes, *, column: str, title: str) -> Axes:
    """The share of targets below a value in the training and in the test scenes: alike, or another task."""
    roles = scenes.set_index("name")["role"].loc[targets["name"]].replace("validation", "train").to_numpy()
    for place, role in enumerate(("train", "test")):
        values = targets.loc[roles == role, column].dropna().to_numpy(float)
        if len(values):
            _steps(values, ax, place, color=ROLES[role], label=f"{role} ({len(values)})")
    _of_shares(ax, column).set_title(title, fontsize=9)
    ax.legend(title="scenes (targets)", fontsize=7, title_fontsize=7)
    return ax
