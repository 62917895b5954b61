"""Pictures: a scene with truth and prediction, and native-resolution crops of hits, misses and false alarms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray

from irstd.plots.style import HIT, MISS, OUTCOMES, TRUTH


def _stretch(image: ndarray) -> tuple[float, float]:
    """Grey levels between which to show an image: its own, but for the extremes."""
    low, high = np.percentile(image, [0.5, 99.8])
    return float(low), float(max(high, low + 1))


def _plain(ax: Axes) -> Axes:
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    return ax


def overlay(layers: ndarray, ax: Axes, *, title: str, points: ndarray | None = None) -> Axes:
    """A scene, its true targets outlined solid, what was predicted (score above one half) dashed, or crosses.

    Args:
        layers: (2 or 3, H, W): grey levels, mask, and scores in 255ths where there are any.
        points: (N, 2), row and col in px, of a method that gives points.
    """
    low, high = _stretch(layers[0])
    _plain(ax).imshow(layers[0], vmin=low, vmax=high)
    outlines = [(layers[1] > 0, TRUTH, "solid")]
    if len(layers) > 2:
        outlines.append((layers[2] > 127, MISS, "dashed"))
    for region, colour, line in outlines:
        if region.any():
            ax.contour(region, [0.5], colors=[colour], linewidths=1, linestyles=line)
    if points is not None:
        ax.plot(points[:, 1], points[:, 0], "x", color=MISS, markersize=4, markeredgewidth=0.8)
    ax.set_title(title, fontsize=8)
    return ax


def crop_grid(
    figure: Figure, crops: Sequence[ndarray], captions: Sequence[dict[str, Any]], *, kind: str, most: int
) -> Figure:
    """Native-resolution crops of one `kind`, the worst first, the truth outlined; a frame in the kind's colour.

    Args:
        crops: (2, S, S): grey levels, mask. captions: `kind`, `name`, `row`, `col`, `rank` of each.
    """
    unit = {"hit": "{:.1f} px off", "miss": "{:.0f} px large", "false alarm": "{:.0f} px large"}[kind]
    chosen = [(c, t) for c, t in zip(crops, captions, strict=True) if t["kind"] == kind][:most]
    axes = figure.subplots(-(-max(len(chosen), 1) // 6), 6, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, (crop, caption) in zip(axes, chosen, strict=False):
        ax.set_axis_on()
        low, high = _stretch(crop[0])
        _plain(ax).imshow(crop[0], vmin=low, vmax=high)
        if crop[1].any():
            ax.contour(crop[1], [0.5], colors=[TRUTH], linewidths=1)
        for side in ax.spines.values():
            side.set(visible=True, color=OUTCOMES[kind], linewidth=2)
        form = "score {:.2f}" if caption.get("ranked_by") == "score" else unit
        ax.set_title(f"{caption['name']}\n{form.format(caption['rank'])}", fontsize=7)
    if not chosen:
        axes[0].text(0, 0.5, f"no {kind}", color=HIT)
    return figure
