"""What is in a dataset: how large its targets are, and how strong."""

from __future__ import annotations

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from pandas import DataFrame

LABELS = {"area_px": "target area, px", "scr": "signal-to-clutter ratio, no unit"}


def target_histogram(targets: DataFrame, ax: Axes, *, column: str) -> Axes:
    """Number of targets over `area_px` or `scr`, on a logarithmic axis; what is not positive is said, not shown."""
    values = targets[column].dropna()
    positive = values[values > 0]
    sns.histplot(x=positive, ax=ax, bins=24, log_scale=True, color="0.45", edgecolor="white")
    ax.axvline(float(np.median(positive)), color="black", linestyle="--", linewidth=1)
    hidden = len(values) - len(positive)
    ax.set(xlabel=LABELS[column], ylabel="number of targets")
    ax.set_title(f"median {np.median(positive):.3g}" + (f"; {hidden} not above 0" if hidden else ""))
    return ax
