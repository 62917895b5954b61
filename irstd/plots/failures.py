"""What is missed and invented: by what targets are like, by method, and by image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from pandas import DataFrame

from irstd.plots.style import LINES, MISS, TRUTH, colours, plain_log


def found_over(table: DataFrame, ax: Axes, *, title: str) -> Axes:
    """Each target of one method by its area and strength: found ones dots, missed ones crosses.

    Args:
        table: one row per target: `area_px`, `scr` (its size counts: dark targets are as hard), `found` (share of the
            trainings that find it).
    """
    known = table.dropna(subset=["scr"])
    missed = known["found"] <= 0.5
    for rows, marker, colour in ((known[~missed], "o", TRUTH), (known[missed], "x", MISS)):
        face = {"markerfacecolor": "none"} if marker == "o" else {}
        ax.plot(
            rows["area_px"],
            rows["scr"].abs().clip(lower=0.05),
            marker,
            color=colour,
            ms=3.5,
            mew=0.9,
            rasterized=True,
            **face,
        )
    ax.set(xscale="log", yscale="log", xlabel="area, px", ylabel="|SCR|, no unit")
    plain_log(ax.xaxis)
    plain_log(ax.yaxis)
    ax.set_title(f"{title}\n{(~missed).sum()} found, {missed.sum()} missed", fontsize=8)
    return ax


def who_finds(wide: DataFrame, ax: Axes, *, titles: dict[str, str]) -> Axes:
    """Targets in the order of hardness, one row per method, dark where it misses one.

    Args:
        wide: from `irstd.analysis.failures.found`; only targets that at least one method misses are drawn.
    """
    disputed = wide[(wide <= 0.5).any(axis=1)]
    ax.imshow(1 - disputed.to_numpy().T, cmap="Greys", aspect="auto", vmin=0, vmax=1.15)
    ax.set_yticks(range(wide.shape[1]), [titles.get(m, m) for m in wide], fontsize=8)
    ax.set_xticks(np.unique(np.linspace(0, max(len(disputed) - 1, 0), 6).astype(int)))
    ax.set(
        xlabel=f"number of the target, hardest first; {len(wide) - len(disputed)} more are found by all",
        ylabel="method",
    )
    ax.grid(visible=False)
    shades = {"missed": 1.0, "found": 0.0} | ({"found by some seeds": 0.5} if _between(disputed) else {})
    patches = [Patch(facecolor=colormaps["Greys"](v / 1.15), edgecolor="0.5", label=k) for k, v in shades.items()]
    ax.legend(handles=patches, ncols=len(patches), fontsize=7, loc="lower right", bbox_to_anchor=(1, 1))
    return ax


def _between(shares: DataFrame) -> bool:
    """Whether some trainings of a method find a target, and others do not."""
    return bool(((shares > 0) & (shares < 1)).to_numpy().any())


def concentration(table: DataFrame, ax: Axes, *, order: Sequence[str], titles: dict[str, str]) -> Axes:
    """The share of a method's false pixels that its worst images hold, over the share of images.

    Args:
        table: from `irstd.analysis.failures.concentration`.
    """
    palette = colours(order)
    for place, method in enumerate(m for m in order if m in set(table["method"])):
        rows = table[table["method"] == method]
        x, y = (np.r_[0, 100 * rows[c].to_numpy(float)] for c in ("images", "false_pixels"))
        ax.plot(x, y, LINES[place % 4], color=palette[method], label=titles.get(method, method))
    whole = table.loc[table["false_pixels"] >= 0.9999].groupby("method")["images"].min()
    most = 100 * min(1.0, 1.15 * whole.max()) if len(whole) else 100  # beyond, all curves are level
    ax.set(xlabel="images, worst first, %", ylabel="false pixels of all, %", xlim=(0, most), ylim=(0, 102))
    if ax.lines:
        ax.legend(title="method", fontsize=7, loc="lower right")
    else:
        ax.text(50, 50, "no method here has false pixels", ha="center")
    return ax
