"""Connected regions of a mask and what is measured of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int, Int64, UInt16
from numpy import ndarray

from irstd.metrics.compiled import label


@dataclass(frozen=True, slots=True)
class Regions:
    """The regions of one mask, numbered in raster order of their first pixel.

    labels: 0 outside, else 1 + number of the region. pixels: flat indices of the pixels in regions, ascending.
    centroids: (row, col) of each, px, origin at the centre of the top left pixel. areas: px.
    """

    labels: Int[ndarray, "H W"] | UInt16[ndarray, "H W"]
    pixels: Int64[ndarray, "_M"]
    centroids: Float64[ndarray, "N 2"]
    areas: Int64[ndarray, "N"]

    def __len__(self) -> int:
        return len(self.areas)

    @property
    def boxes(self) -> Int64[ndarray, "N 4"]:
        """Top, left, height, width of each, px."""
        number = self.labels.ravel()[self.pixels].astype(np.int64) - 1
        first, last = np.full((len(self), 2), max(self.labels.shape)), np.zeros((len(self), 2), np.int64)
        place = np.column_stack(np.divmod(self.pixels, self.labels.shape[1]))
        np.minimum.at(first, number, place)
        np.maximum.at(last, number, place)
        return np.hstack([first, last - first + 1])


def packed(places: Int[ndarray, "M"], size: int) -> tuple[Int[ndarray, "S"], int]:
    """New places of an image's rows, or columns, when of neighbouring empty ones all but one are taken out.

    What is connected stays so, and in the same order; what is apart stays apart.

    Returns:
        The new place of each of the `size` old ones, and how many there are.
    """
    kept = np.zeros(size + 1, bool)
    kept[places] = True
    kept[1:] |= kept[:-1].copy()
    new = kept.cumsum()
    return new - 1, int(new[-1])


def number(
    rows: Int[ndarray, "M"], cols: Int[ndarray, "M"], shape: tuple[int, ...], connectivity: Literal[4, 8]
) -> tuple[int, Int[ndarray, "M"] | UInt16[ndarray, "M"]]:
    """How many regions a set of pixels has, and 1 + the number of that of each, in raster order of first pixels.

    A few pixels in a large image are labelled in a small one, without the empty rows and columns between them.
    """
    if not len(rows):
        return 0, np.zeros(0, np.uint16)
    (new_rows, height), (new_cols, width) = (packed(p, s) for p, s in zip((rows, cols), shape, strict=True))
    small = np.zeros((height, width), np.uint8)
    where = new_rows[rows], new_cols[cols]
    small[where] = 1
    count, labels = label(small, connectivity)
    return count, labels[where]


def regions(mask: Bool[ndarray, "H W"], connectivity: Literal[4, 8] = 8, least_px: int = 0) -> Regions:
    """The connected regions of `mask`.

    Args:
        mask: true on regions.
        connectivity: 8 joins diagonal neighbours, as the field's code does; 4 does not.
        least_px: smaller regions are left out.
    """
    pixels = np.flatnonzero(mask)
    rows, cols = np.divmod(pixels, mask.shape[1])
    count, numbers = number(rows, cols, mask.shape, connectivity)
    areas = np.bincount(numbers, minlength=count + 1)[1:]
    if least_px and (areas < least_px).any():
        rank = np.zeros(count + 1, numbers.dtype)
        kept = np.flatnonzero(areas >= least_px)
        rank[kept + 1] = np.arange(1, len(kept) + 1)
        numbers, areas = rank[numbers], areas[kept]
        inside = numbers > 0
        pixels, rows, cols, numbers = (a[inside] for a in (pixels, rows, cols, numbers))
    labels = np.zeros(mask.shape, numbers.dtype)
    labels.ravel()[pixels] = numbers
    return Regions(labels, pixels, centroids(numbers, rows, cols, areas), areas)


def centroids(
    numbers: Int[ndarray, "M"] | UInt16[ndarray, "M"],
    rows: Int[ndarray, "M"],
    cols: Int[ndarray, "M"],
    areas: Int64[ndarray, "N"],
) -> Float64[ndarray, "N 2"]:
    """(row, col) of each region, px, from the numbers of its pixels, counted from 1."""
    found = np.empty((len(areas), 2))
    for axis, place in enumerate((rows, cols)):
        found[:, axis] = np.bincount(numbers, weights=place, minlength=len(areas) + 1)[1:] / areas
    return found
