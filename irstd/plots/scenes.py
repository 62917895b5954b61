"""Pictures: a scene with truth and prediction, and native-resolution crops of hits, misses and false alarms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy import ndarray

from irstd.plots.style import FALSE, HIT, MISS, OUTCOMES, TRUTH


def stretch(image: ndarray) -> tuple[float, float]:
    """Grey levels between which to show an image: its own, but for the extremes."""
    low, high = np.percentile(image, [0.5, 99.8])
    return float(low), float(max(high, low + 1))


def _plain(ax: Axes) -> Axes:
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    return ax


def _grey(image: ndarray, ax: Axes) -> Axes:
    """A scene, or a window of one, between its own grey levels."""
    low, high = stretch(image)
    _plain(ax).imshow(image, vmin=low, vmax=high)
    return ax


def overlay(layers: ndarray, ax: Axes, *, title: str, points: ndarray | None = None) -> Axes:
    """A scene, its true targets outlined solid, what was predicted (score above one half) dashed, or crosses.

    Args:
        layers: (2 or 3, H, W): grey levels, mask, and scores in 255ths where there are any.
        points: (N, 2), row and col in px, of a method that gives points.
    """
    _grey(layers[0], ax)
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


UNITS = {"hit": "{:.1f} px off", "miss": "{:.0f} px large", "false alarm": "{:.0f} px large"}


def _crop(crop: ndarray, caption: dict[str, Any], ax: Axes) -> None:
    """One crop with the truth outlined, in a frame of its kind's colour."""
    kind = caption["kind"]
    _grey(crop[0], ax)
    if crop[1].any():
        ax.contour(crop[1], [0.5], colors=[TRUTH], linewidths=1)
    for side in ax.spines.values():
        side.set(visible=True, color=OUTCOMES[kind], linewidth=2)
    form = "score {:.2f}" if caption.get("ranked_by") == "score" else UNITS[kind]
    ax.set_title(f"{caption['name']}\n{form.format(caption['rank'])}", fontsize=7)


def crop_rows(figure: Figure, crops: Sequence[ndarray], captions: Sequence[dict[str, Any]], *, most: int) -> Figure:
    """Native-resolution crops, a row each for hits, misses and false alarms, the worst first.

    Args:
        crops: (2, S, S): grey levels, mask. captions: `kind`, `name`, `row`, `col`, `rank` of each. most: in a row.
    """
    axes = figure.subplots(len(OUTCOMES), most, squeeze=False)
    for line, kind in zip(axes, OUTCOMES, strict=True):
        chosen = [(c, t) for c, t in zip(crops, captions, strict=True) if t["kind"] == kind][:most]
        for ax in line[max(len(chosen), 1) :]:
            ax.set_axis_off()
        for ax, (crop, caption) in zip(line, chosen, strict=False):
            _crop(crop, caption, ax)
        if not chosen:
            _plain(line[0]).text(0.5, 0.5, f"no {kind}", ha="center", transform=line[0].transAxes, fontsize=8)
            line[0].spines[:].set_visible(False)
        line[0].set_ylabel(kind, fontsize=9)
    return figure


def outlined(image: ndarray, truth: ndarray, found: ndarray, ax: Axes, *, pairs: Sequence[tuple[int, int]]) -> Axes:
    """A scene with what became of everything: targets found and missed, regions that hit and that are false.

    Args:
        image: grey levels (H, W). truth, found: labels (H, W) of true and predicted regions, 0 outside.
        pairs: (target, region), numbered from 0, that were matched.
    """
    _grey(image, ax)
    hits, right = {t + 1 for t, _ in pairs}, {r + 1 for _, r in pairs}
    for labels, good, colours, line in ((truth, hits, (TRUTH, MISS), "solid"), (found, right, (HIT, FALSE), "dashed")):
        every = np.unique(labels[labels > 0])
        for kind, colour in ((True, colours[0]), (False, colours[1])):
            chosen = np.isin(labels, [n for n in every.tolist() if (n in good) is kind])
            if chosen.any():
                ax.contour(chosen, [0.5], colors=[colour], linewidths=1.2, linestyles=line)
    return ax


OUTLINES = (
    ("target, found", TRUTH, "-"),
    ("target, missed", MISS, "-"),
    ("region that hits", HIT, "--"),
    ("false alarm", FALSE, "--"),
)


def outline_legend(ax: Axes) -> Axes:
    """Says below the axes what the outlines of `outlined` mean."""
    handles = [Line2D([], [], color=colour, linestyle=line, label=name) for name, colour, line in OUTLINES]
    ax.legend(handles=handles, fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.01))
    return ax


def score_map(score: ndarray, ax: Axes, *, threshold: float) -> Axes:
    """Scores in [0, 1], and where they exceed a threshold."""
    shown = _plain(ax).imshow(score, vmin=0, vmax=1, cmap="magma")
    if (score > threshold).any() and (score <= threshold).any():
        ax.contour(score > threshold, [0.5], colors=["white"], linewidths=0.8)
    ax.figure.colorbar(shown, ax=ax, label="score, 0 to 1", shrink=0.75)
    return ax


def _inside(points: ndarray, window: tuple[slice, slice], shape: tuple[int, ...]) -> tuple[ndarray, ndarray]:
    """Points in a window, counted from its corner, and which of all they are."""
    moved = points[:, :2] - [side.start or 0 for side in window]
    kept = ((moved > -0.5) & (moved < np.array(shape) - 0.5)).all(1)
    return moved[kept], np.flatnonzero(kept)


def scattered(image: ndarray, points: ndarray, ax: Axes, *, window: tuple[slice, slice], threshold: float) -> Axes:
    """Points over a scene, coloured by their score; those at or below the threshold are small.

    Args:
        image: the window of the scene. points: (N, 3) of row, col (px, of the whole scene) and score.
    """
    _grey(image, ax)
    inside, which = _inside(points, window, image.shape)
    scores = points[which, 2]
    colour = {"cmap": "magma", "vmin": 0, "vmax": 1}
    shown = ax.scatter(inside[:, 1], inside[:, 0], c=scores, s=np.where(scores > threshold, 26, 8), **colour)
    ax.figure.colorbar(shown, ax=ax, label="score, 0 to 1", shrink=0.75)
    return ax


def crosses(points: ndarray, ax: Axes, *, window: tuple[slice, slice], right: set[int]) -> Axes:
    """Points as crosses: those that hit, and false ones.

    Args:
        points: (N, 2) of row and col, px, of the whole scene. right: numbers of those that hit.
    """
    inside, which = _inside(points, window, ax.images[0].get_array().shape)
    for hits, colour in ((True, HIT), (False, FALSE)):
        chosen = inside[[(n in right) is hits for n in which.tolist()]]
        ax.plot(chosen[:, 1], chosen[:, 0], "x", color=colour, ms=6, mew=1.4)
    return ax
