"""Scores as ratios of columns summed over images: what bootstrap and permutation draw again and again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy import ndarray

from irstd.metrics.points import WITHIN_PX


def over(above: ndarray, below: ndarray) -> ndarray:
    """`above / below`, nan where there is nothing to divide by."""
    below = np.asarray(below, float)
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below != 0)


def _f1(sums: ndarray) -> ndarray:
    """Of targets found one to one, regions and targets."""
    return over(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


def _f1_many(sums: ndarray) -> ndarray:
    """Of targets found, regions, false regions and targets; a region may find several targets, and the reverse."""
    found, regions, targets = sums[..., 0], sums[..., 1], sums[..., 3]
    right = regions - sums[..., 2]
    # A product is 0 where nothing is found, and F1 is then 0 unless there is nothing to find either.
    below = right * targets + found * regions
    return np.where((below == 0) & (regions + targets > 0), 0.0, over(2 * right * found, below))


# Score: columns of `per_image` that are summed, and what is made of the sums (..., columns).
RATIOS: dict[str, tuple[list[str], Callable[[ndarray], ndarray]]] = {
    "iou": (
        ["intersection", "predicted", "true"],
        lambda sums: over(sums[..., 0], sums[..., 1] + sums[..., 2] - sums[..., 0]),
    ),
    "pd": (["detected", "targets"], lambda sums: over(sums[..., 0], sums[..., 1])),
    "fa_per_million": (["false_pixels", "pixels"], lambda sums: over(1e6 * sums[..., 0], sums[..., 1])),
    "f1": (["detected", "regions", "false_regions", "targets"], _f1_many),
    **{f"point_f1_{px}px": ([f"hits_{px}px", "regions", "targets"], _f1) for px in WITHIN_PX},
}
