"""Methods as finders of points, and what their labels cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from pandas import DataFrame

from irstd.plots.style import LINES, colours

DISTANCES = (3, 5)


def f1_intervals(cells: DataFrame, ax: Axes, *, order: Sequence[str], titles: dict[str, str]) -> Axes:
    """F1 at 3 and 5 px of each method and seed, with 95 % intervals over the images.

    Args:
        cells: rows of one dataset, with `method`, `seed`, `point_f1_3px`, `point_f1_5px` and `interval`.
        order: all methods of params.yaml, which fixes the colours.
    """
    palette, rows = colours(order), []
    for method in order:
        rows += [cell for _, cell in cells[cells["method"] == method].iterrows()]
    for place, cell in enumerate(rows):
        for px, marker, shift in zip(DISTANCES, "os", (0.12, -0.12), strict=True):
            value, ends = cell[f"point_f1_{px}px"], cell["interval"][f"point_f1_{px}px"]
            if value is None or ends is None:
                continue
            ax.errorbar(
                100 * value, place + shift, xerr=[[max(0, 100 * (value - ends[0]))], [max(0, 100 * (ends[1] - value))]],
                fmt=marker, color=palette[cell["method"]], capsize=2, markersize=4,
                markerfacecolor="white" if px == DISTANCES[0] else None,
                label=f"within {px} px" if place == 0 else None,
            )  # fmt: skip
    names = [titles.get(cell["method"], cell["method"]) for cell in rows]
    several = len({cell["seed"] for cell in rows}) > 1
    ax.set(
        yticks=range(len(rows)),
        yticklabels=[f"{n}, seed {c['seed']}" if several else n for n, c in zip(names, rows, strict=True)],
        ylim=(len(rows) - 0.5, -0.5),
        xlabel="F1 of points on the test split, %, with 95 % interval",
        ylabel="method",
    )
    ax.legend(title="matched")
    return ax


def label_noise(
    table: DataFrame, ax: Axes, *, colour: Any = "C0", others: Sequence[tuple[str, float, str, Any]] = ()
) -> Axes:
    """F1 over how far clicks are off, at 3 and 5 px, with 95 % intervals.

    Args:
        table: `jitter` (deviation in halves of the target's box), and for each distance D `f1_Dpx`, `low_Dpx`
            and `high_Dpx`, shares; several seeds are several rows.
        colour: of the row trained on clicks. others: (name, F1 at 5 px, line style, colour) of rows without clicks,
            drawn as level lines.
    """
    lowest = 100.0
    for px, line, marker, aside in zip(DISTANCES, LINES, "os", (-0.008, 0.008), strict=False):
        rows = table.sort_values("jitter")
        values, low, high = (100 * rows[f"{kind}_{px}px"].astype(float) for kind in ("f1", "low", "high"))
        # Hardly ever, and then by a hair, does a bootstrap interval not hold the score itself.
        reach = [(values - low).clip(lower=0), (high - values).clip(lower=0)]
        ax.errorbar(rows["jitter"] + aside, values, yerr=reach, fmt=marker, capsize=2, color=colour)
        mean = (100 * rows.groupby("jitter")[f"f1_{px}px"].mean()).astype(float)
        ax.plot(mean.index, mean, line, color=colour, label=f"clicks, within {px} px")
        lowest = min(lowest, low.min())
    for name, value, style, other in others:
        ax.axhline(100 * value, linestyle=style, color=other, label=f"{name}, within 5 px")
    ax.set(
        xlabel="deviation of a click from the centre, halves of the target's box",
        ylabel="F1 of points, %",
        ylim=(max(0, float(lowest) - 12), 102),
    )
    ax.legend(loc="lower left", fontsize=7.5)
    return ax
