"""Figures for papers: scenes by methods with targets enlarged, score maps as surfaces, and operating curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy import ndarray
from pandas import DataFrame

from irstd.plots import style
from irstd.plots.scenes import stretch

KINDS = {"target": style.HIT, "target found": style.TRUTH, "target missed": style.MISS, "false alarm": style.FALSE}
PANEL_IN = 1.5  # side of a picture
AROUND_PX = 3  # between a region and its box
LEAST_SHARE = 0.05  # of the picture's longer side: boxes are at least as large, or they cannot be seen
ZOOM_SHARE = 0.36  # of the picture's width that the enlarged target takes
SURFACE_POINTS = 80  # along each side: more are not seen and take megabytes


@dataclass(frozen=True)
class Panel:
    """A picture of the grid. title: above it. shown: (H, W), grey levels, or scores in [0, 1]. boxes: kind of `KINDS`,
    and top, left, height and width (px). zoom: row and col (px) that are enlarged in a corner, or None.
    """

    title: str
    shown: ndarray
    boxes: Sequence[tuple[str, tuple[float, float, float, float]]] = ()
    zoom: tuple[float, float] | None = None
    scores: bool = False


def for_print() -> None:
    """Fonts are embedded as TrueType in PDF and as outlines in SVG: journals ask for it."""
    style.theme()
    mpl.rcParams.update({"pdf.fonttype": 42, "ps.fonttype": 42, "svg.fonttype": "path"})


def grid(rows: Mapping[str, Sequence[Panel]]) -> Figure:
    """Scenes by methods: a row of pictures for each scene."""
    columns = max(len(panels) for panels in rows.values())
    figure = Figure(figsize=(PANEL_IN * columns + 0.3, PANEL_IN * len(rows) + 0.5), layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for number, (line, (scene, panels)) in enumerate(zip(axes, rows.items(), strict=True)):
        for place, (ax, panel) in enumerate(zip(line, panels, strict=True)):
            _panel(ax, panel)
            if not number:
                ax.set_title(panel.title, fontsize=8)
            if not place:
                ax.set_ylabel(scene, fontsize=7)
    handles = [Line2D([], [], color=colour, label=kind) for kind, colour in KINDS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(KINDS), fontsize=7, frameon=False)
    return figure


def _panel(ax: Axes, panel: Panel) -> None:
    low, high = (0.0, 1.0) if panel.scores else stretch(panel.shown)
    _picture(ax, panel.shown, low, high)
    for kind, box in panel.boxes:
        ax.add_patch(_box(box, max(panel.shown.shape), KINDS[kind]))
    if panel.zoom is None:
        return
    height, width = panel.shown.shape
    reach = max(6, round(0.06 * max(height, width)))
    row, col = (
        int(np.clip(round(v), reach, max(reach, s - 1 - reach)))
        for v, s in zip(panel.zoom, panel.shown.shape, strict=True)
    )
    window = panel.shown[max(0, row - reach) : row + reach + 1, max(0, col - reach) : col + reach + 1]
    # In the corner that is farthest from what it enlarges.
    left, bottom = 0.0 if col > width / 2 else 1 - ZOOM_SHARE, 0.0 if row < height / 2 else 1 - ZOOM_SHARE
    inset = ax.inset_axes((left, bottom, ZOOM_SHARE, ZOOM_SHARE))
    _picture(inset, window, low, high)
    inset.spines[:].set(visible=True, color="white", linewidth=0.8)


def _picture(ax: Axes, shown: ndarray, low: float, high: float) -> None:
    ax.imshow(shown, vmin=low, vmax=high, cmap="gray", interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)


def _box(box: tuple[float, float, float, float], side: int, colour: str) -> Rectangle:
    top, left, height, width = box
    least = LEAST_SHARE * side
    tall, wide = (max(length + 2 * AROUND_PX, least) for length in (height, width))
    corner = (left + width / 2 - wide / 2 - 0.5, top + height / 2 - tall / 2 - 0.5)
    return Rectangle(corner, wide, tall, fill=False, edgecolor=colour, linewidth=0.9)


def surfaces(rows: Mapping[str, Sequence[Panel]]) -> Figure:
    """Scenes by methods as surfaces: how far a target stands above the rest."""
    columns = max(len(panels) for panels in rows.values())
    figure = Figure(figsize=(1.2 * PANEL_IN * columns, 1.1 * PANEL_IN * len(rows) + 0.2), layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False, subplot_kw={"projection": "3d"})
    for number, (line, (scene, panels)) in enumerate(zip(axes, rows.items(), strict=True)):
        for place, (ax, panel) in enumerate(zip(line, panels, strict=True)):
            heights = _coarse(panel.shown if panel.scores else panel.shown / 255.0)
            down, right = np.indices(heights.shape)
            ax.plot_surface(right, down, heights, cmap="viridis", vmin=0, vmax=1, rstride=1, cstride=1, linewidth=0)
            ax.set(xticks=[], yticks=[], zticks=[0, 1], zlim=(0, 1))
            ax.tick_params(labelsize=6)
            ax.set_title("" if number else panel.title, fontsize=8)
            if not place:
                ax.text2D(0.0, 0.5, scene, transform=ax.transAxes, fontsize=7, rotation=90, va="center")
    return figure


def _coarse(values: ndarray) -> ndarray:
    """Highest values of blocks: a target of one pixel stays."""
    step = max(1, -(-max(values.shape) // SURFACE_POINTS))
    height, width = (-(-side // step) * step for side in values.shape)
    padded = np.pad(values, ((0, height - values.shape[0]), (0, width - values.shape[1])), mode="edge")
    return padded.reshape(height // step, step, width // step, step).max((1, 3))


def curves(sweeps: Mapping[str, DataFrame]) -> Figure:
    """Receiver operating characteristic of pixels, and Pd over false pixels, a line for each method.

    Args:
        sweeps: method to a row for each level, see `irstd.results.schemas`.
    """
    figure = Figure(figsize=(style.WIDTH_IN, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    colours = style.colours(list(sweeps))
    for place, (name, table) in enumerate(sweeps.items()):
        look = {"color": colours[name], "linestyle": style.LINES[place % len(style.LINES)], "linewidth": 1.2}
        rates = table.sort_values(["false_positive_rate", "recall"])
        left.plot([0, *rates["false_positive_rate"]], [0, *rates["recall"]], label=name, **look)
        # The best Pd at each Fa: thresholds near 0 make one region of everything.
        reached = table[table["fa_per_million"] > 0].sort_values("fa_per_million")
        right.plot(reached["fa_per_million"], reached["pd"].cummax(), label=name, **look)
    left.set(xlabel="false positive rate of pixels", ylabel="recall of pixels, 0 to 1", ylim=(0, 1.02))
    left.set_xscale("symlog", linthresh=1e-6)
    left.set(xlim=(0, 1), xticks=[0, 1e-6, 1e-4, 1e-2, 1])
    right.set(xlabel="false pixels per million", ylabel="Pd, 0 to 1", xscale="log", ylim=(0, 1.02))
    left.legend(fontsize=7)
    return figure
