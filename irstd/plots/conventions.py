"""What conventions do to scores, curves over thresholds, and whether ranks differ significantly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from pandas import DataFrame

from irstd.metrics.scores import SCORES
from irstd.plots.style import FALSE, LINES, TRUTH, colours

BINS = {
    "area_px": "area of the target, px",
    "scr": "signal-to-clutter ratio",
    "in_scene": "targets in the scene",
    "border_px": "distance to the border, px",
}


def by_convention(table: DataFrame, ax: Axes, *, score: str, order: Sequence[str], titles: dict[str, str]) -> Axes:
    """One score of each method under every convention: the same predictions, so all spread is the convention's.

    Args:
        table: `conventions` with `method` in front.
    """
    palette = colours(order)
    names = list(dict.fromkeys(table["convention"]))
    shown = SCORES[score]
    for method in (m for m in order if m in set(table["method"])):
        rows = table[table["method"] == method].set_index("convention")[score].astype(float).reindex(names)
        ax.plot(
            range(len(names)),
            rows * shown.factor,
            "o-",
            color=palette[method],
            ms=4,
            lw=0.8,
            label=titles.get(method, method),
        )
    ax.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=7)
    if score == "fa_per_million":
        ax.set_yscale("symlog", linthresh=1)
        ax.set_ylim(0, max(3 * table[score].astype(float).max(), 10))
    ax.set(xlabel="convention", ylabel=shown.axis)
    return ax


def ranks(table: DataFrame, ax: Axes, *, score: str, order: Sequence[str], titles: dict[str, str]) -> Axes:
    """The rank of each method under every convention; lines that cross are methods that change places."""
    wide = table.pivot_table(index="convention", columns="method", values=score, sort=False).astype(float)
    wide = wide.reindex(table["convention"].unique())  # all, so that figures one above the other agree
    places = wide.rank(axis=1, ascending=SCORES[score].least, method="min")
    palette = colours(order)
    for method in (m for m in order if m in places):
        ax.plot(range(len(places)), places[method], "o-", color=palette[method], ms=5, label=titles.get(method, method))
    ax.set_xticks(range(len(places)), list(places.index), rotation=60, ha="right", fontsize=7)
    ax.set(xlabel="convention", ylabel=f"rank by {SCORES[score].title}, 1 is best")
    ax.set_yticks(range(1, places.shape[1] + 1))
    ax.invert_yaxis()
    return ax


def pd_over_fa(table: DataFrame, ax: Axes, *, order: Sequence[str], titles: dict[str, str]) -> Axes:
    """Pd over Fa at every level of the score; the dot is the threshold nearest one half.

    Args:
        table: `sweep` with `method` and `seed` in front.
    """
    palette = colours(order)
    for method in (m for m in order if m in set(table["method"])):
        for place, (_, rows) in enumerate(table[table["method"] == method].groupby("seed")):
            name = titles.get(method, method) if place == 0 else None
            line = {"color": palette[method], "lw": 1.2}
            ax.plot(rows["fa_per_million"] + 0.1, rows["pd"] * 100, LINES[place % len(LINES)], label=name, **line)
            half = rows.iloc[(rows["threshold"] - 0.5).abs().argsort()[:1]]
            ax.plot(half["fa_per_million"] + 0.1, half["pd"] * 100, "o", color=palette[method], ms=5)
    ax.set(xscale="log", xlabel="Fa + 0.1, false pixels per million", ylabel="Pd, %", ylim=(-2, 102))
    return ax


def roc(table: DataFrame, ax: Axes, *, order: Sequence[str], titles: dict[str, str]) -> Axes:
    """True over false positive rate of pixels at every level of the score."""
    palette = colours(order)
    for method in (m for m in order if m in set(table["method"])):
        for place, (_, rows) in enumerate(table[table["method"] == method].groupby("seed")):
            name = titles.get(method, method) if place == 0 else None
            rate = rows["false_positive_rate"].clip(lower=1e-7)
            ax.plot(rate, rows["recall"] * 100, LINES[place % len(LINES)], color=palette[method], lw=1.2, label=name)
    ax.set(
        xscale="log", xlabel="false positive rate of pixels", ylabel="true positive rate of pixels, %", ylim=(-2, 102)
    )
    return ax


def pd_by(table: DataFrame, ax: Axes, *, column: str, order: Sequence[str], titles: dict[str, str]) -> Axes:
    """Pd in bins of what targets are like, with 95 % intervals over the targets.

    Args:
        table: from `irstd.analysis.breakdown.by`.
    """
    palette = colours(order)
    present = [m for m in order if m in set(table["method"])]
    bins = table.drop_duplicates("place").sort_values("place")
    for number, method in enumerate(present):
        rows = table[table["method"] == method]
        shift = (number - (len(present) - 1) / 2) * 0.7 / max(len(present), 1)
        ends = np.abs(np.stack([rows["pd"] - rows["low"], rows["high"] - rows["pd"]])) * 100
        ax.errorbar(
            rows["place"] + shift, rows["pd"] * 100, ends, fmt="o", ms=3.5, lw=1, color=palette[method],
            label=titles.get(method, method),
        )  # fmt: skip
    counts = table.groupby("place")["targets"].max()
    ax.set_xticks(
        bins["place"], [f"{b}\n({counts[p]})" for b, p in zip(bins["bin"], bins["place"], strict=True)], fontsize=7
    )
    ax.set(xlabel=f"{BINS[column]} (number of targets)", ylabel="Pd, %", ylim=(-3, 103))
    return ax


def critical_difference(mean_ranks: dict[str, float], difference: float, ax: Axes, *, titles: dict[str, str]) -> Axes:
    """Mean ranks on a line; bars join those that do not differ significantly (Demšar, JMLR 2006).

    Args:
        mean_ranks: method to its mean rank over the datasets, 1 is best.
        difference: that ranks must exceed.
    """
    names = sorted(mean_ranks, key=mean_ranks.__getitem__)
    ranks_of = [mean_ranks[n] for n in names]
    for depth, (name, rank) in enumerate(zip(names, ranks_of, strict=True), 1):
        ax.plot([rank, rank], [0, -depth], color="0.6", lw=0.8)
        ax.plot(rank, 0, "ko", ms=4)
        ax.text(rank + 0.05, -depth, f"{titles.get(name, name)} ({rank:.2f})", va="center", fontsize=8)
    groups = [[n for n, r in enumerate(ranks_of) if 0 <= r - start <= difference] for start in ranks_of]
    level = 0.5
    for place, group in enumerate(groups):
        if len(group) > 1 and (place == 0 or group[-1] > groups[place - 1][-1]):
            ax.plot(
                [ranks_of[group[0]] - 0.04, ranks_of[group[-1]] + 0.04],
                [level, level],
                "k",
                lw=3,
                solid_capstyle="butt",
            )
            level += 0.4
    ax.set(
        xlabel="mean rank over the datasets, 1 is best",
        xlim=(0.5, len(names) + 1.5),
        ylim=(-len(names) - 0.7, level + 0.4),
    )
    ax.set_yticks([])
    ax.set_title(f"critical difference {difference:.2f}")
    return ax


def case(pixels: DataFrame, ax: Axes, *, side: int) -> Axes:
    """One drawn case: targets filled, predictions outlined pixel by pixel.

    Args:
        pixels: `case_pixels` of one image of one case. side: of the image, px.
    """
    for row in pixels.itertuples():
        corner = (row.col - 0.5, row.row - 0.5)
        if row.true:
            ax.add_patch(Rectangle(corner, 1, 1, facecolor=TRUTH, alpha=0.55, lw=0))
        if row.score > 0:
            style = "-" if row.score > 0.5 else ":"
            ax.add_patch(Rectangle(corner, 1, 1, facecolor="none", edgecolor=FALSE, lw=1.2, ls=style))
    ax.set(xlim=(-0.5, side - 0.5), ylim=(side - 0.5, -0.5), aspect="equal", xlabel="column, px", ylabel="row, px")
    ax.tick_params(labelsize=6)
    ax.grid(visible=False)
    return ax
