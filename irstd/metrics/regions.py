"""Connected regions of a mask and what is measured of each, by OpenCV's compiled labelling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float64, Int, Int64, UInt16
from numpy import ndarray
from scipy import ndimage

# This algorithm of OpenCV's visits pixels in raster order, so that regions are numbered by their first pixel, as the
# field's code numbers them: greedy matching depends on it. The default one visits blocks of four.
IN_RASTER_ORDER = cv2.CCL_SAUF
SMALL = 131000


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
        slices = ndimage.find_objects(self.labels.astype(np.int32))
        return np.array([(r.start, c.start, r.stop - r.start, c.stop - c.start) for r, c in slices], np.int64).reshape(
            -1, 4
        )


def label_type(pixels: int) -> int:
    """OpenCV's type for labels of an image of so many px: 16 bits if they suffice, which is faster."""
    return cv2.CV_16U if pixels < SMALL else cv2.CV_32S  # every second pixel may be a region of its own


def regions(mask: Bool[ndarray, "H W"], connectivity: Literal[4, 8] = 8, least_px: int = 0) -> Regions:
    """The connected regions of `mask`.

    Args:
        mask: true on regions.
        connectivity: 8 joins diagonal neighbours, as the field's code does; 4 does not.
        least_px: smaller regions are left out.
    """
    count, labels = cv2.connectedComponentsWithAlgorithm(
        np.ascontiguousarray(mask).view(np.uint8), connectivity, label_type(mask.size), IN_RASTER_ORDER
    )
    # Few pixels are in regions, so what is measured of these costs little beside the labelling.
    pixels = np.flatnonzero(mask)
    numbers = labels.ravel()[pixels]
    areas = np.bincount(numbers, minlength=count)[1:]
    if least_px and (areas < least_px).any():
        rank = np.zeros(count, labels.dtype)
        kept = np.flatnonzero(areas >= least_px)
        rank[kept + 1] = np.arange(1, len(kept) + 1)
        labels, numbers, areas = rank[labels], rank[numbers], areas[kept]
        pixels, numbers = pixels[numbers > 0], numbers[numbers > 0]
    rows, cols = np.divmod(pixels, mask.shape[1])
    sums = [np.bincount(numbers, weights=place, minlength=len(areas) + 1)[1:] for place in (rows, cols)]
    return Regions(labels, pixels, np.stack(sums, 1) / areas[:, None], areas)
