"""Labelling, dilation and resizing: by OpenCV where it is installed, else by SciPy.

Scoring needs these and no more of OpenCV, which is as large as everything else that scoring installs. Results are the
same (a test compares them); with SciPy, labelling takes several times as long.
"""

# ruff: noqa: PLC0415 - scipy.ndimage is slow to load, and not needed where OpenCV is

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float, Int, UInt8, UInt16
from numpy import ndarray

try:
    import cv2
except ModuleNotFoundError:
    cv2 = None  # type: ignore[assignment]

SMALL = 131000


def label(
    mask: UInt8[ndarray, "H W"], connectivity: Literal[4, 8]
) -> tuple[int, Int[ndarray, "H W"] | UInt16[ndarray, "H W"]]:
    """How many regions the pixels above zero have, and 1 + the number of each pixel's; 0 outside.

    Regions are numbered in raster order of their first pixel, as the field's code numbers them: greedy matching
    depends on it.
    """
    if cv2 is None:
        from scipy import ndimage

        labels, count = ndimage.label(mask, np.ones((3, 3)) if connectivity == 8 else None)
        return count, labels
    # This algorithm visits pixels in raster order; OpenCV's default one visits blocks of four.
    count, labels = cv2.connectedComponentsWithAlgorithm(mask, connectivity, _type(mask.size), cv2.CCL_SAUF)
    return count - 1, labels


def measured(
    mask: UInt8[ndarray, "H W"], connectivity: Literal[4, 8]
) -> tuple[int, Int[ndarray, "N"], Float[ndarray, "N 2"]]:
    """Number, areas (px) and centroids (row, col; px) of the regions that `label` finds."""
    if cv2 is None:
        from scipy import ndimage

        count, labels = label(mask, connectivity)
        numbers = np.arange(1, count + 1)
        centres = ndimage.center_of_mass(np.broadcast_to(1.0, mask.shape), labels, numbers)
        return count, np.bincount(labels.ravel(), minlength=count + 1)[1:], np.reshape(centres, (-1, 2))
    count, _, found, centres = cv2.connectedComponentsWithStatsWithAlgorithm(
        mask, connectivity, _type(mask.size), cv2.CCL_SAUF
    )
    return count - 1, found[1:, cv2.CC_STAT_AREA], centres[1:, ::-1]


def dilated(mask: UInt8[ndarray, "H W"], reach_px: int) -> UInt8[ndarray, "H W"]:
    """Each pixel's highest neighbour at most `reach_px` rows and columns away."""
    side = 2 * reach_px + 1
    if cv2 is None:
        from scipy import ndimage

        return ndimage.maximum_filter(mask, side, mode="constant")
    return cv2.dilate(mask, np.ones((side, side), np.uint8))


def resized(values: Float[ndarray, "_H _W"], size: tuple[int, int]) -> Float[ndarray, "_h _w"]:
    """A map at another height and width, px, bilinearly between centres of pixels, without smoothing.

    What lies beyond the outer centres is as the nearest.
    """
    if cv2 is None:
        from scipy import ndimage

        zoom = np.divide(size, values.shape)
        return ndimage.zoom(values, zoom, order=1, mode="nearest", grid_mode=True)
    return cv2.resize(values, size[::-1], interpolation=cv2.INTER_LINEAR)


def nearest(mask: UInt8[ndarray, "_H _W"], size: tuple[int, int]) -> UInt8[ndarray, "_h _w"]:
    """A mask at another height and width, px: each pixel is the one that its upper left corner lies in."""
    if cv2 is None:
        # Rounded as OpenCV does.
        steps = ((old, new, 1 / (new / old)) for old, new in zip(mask.shape, size, strict=True))
        rows, cols = ((np.arange(new) * step).astype(int).clip(max=old - 1) for old, new, step in steps)
        return mask[np.ix_(rows, cols)]
    return cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST)


def _type(pixels: int) -> int:
    """OpenCV's type for labels of an image of so many px: 16 bits if they suffice, which is faster."""
    return cv2.CV_16U if pixels < SMALL else cv2.CV_32S  # every second pixel may be a region of its own
