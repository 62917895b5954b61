"""Connected regions of a mask and what is measured of each, by OpenCV's compiled labelling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float64, Int32
from numpy import ndarray


@dataclass(frozen=True, slots=True)
class Regions:
    """The regions of one mask, numbered in raster order of their first pixel.

    labels: 0 outside, else 1 + number of the region.
    centroids: (row, col) of each, px, origin at the centre of the top left pixel.
    areas: px. boxes: top, left, height, width, px.
    """

    labels: Int32[ndarray, "H W"]
    centroids: Float64[ndarray, "N 2"]
    areas: Int32[ndarray, "N"]
    boxes: Int32[ndarray, "N 4"]

    def __len__(self) -> int:
        return len(self.areas)


def regions(mask: Bool[ndarray, "H W"], connectivity: Literal[4, 8] = 8) -> Regions:
    """The connected regions of `mask`.

    Args:
        mask: true on regions.
        connectivity: 8 joins diagonal neighbours, as the field's code does; 4 does not.
    """
    count, labels, stats, centroids = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(mask).view(np.uint8), connectivity=connectivity, ltype=cv2.CV_32S
    )
    if count <= 1:
        empty = np.zeros((0, 4), np.int32)
        return Regions(labels, np.zeros((0, 2)), empty[:, 0], empty)
    # OpenCV's order depends on its algorithm; greedy matching depends on the order, so it is fixed here.
    flat = labels.ravel()
    inside = np.flatnonzero(flat)
    numbers, first = np.unique(flat[inside], return_index=True)
    order = numbers[np.argsort(inside[first], kind="stable")]
    rank = np.zeros(count, np.int32)
    rank[order] = np.arange(1, count, dtype=np.int32)
    stats, centroids = stats[order], centroids[order]
    box = [cv2.CC_STAT_TOP, cv2.CC_STAT_LEFT, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_WIDTH]
    return Regions(rank[labels], centroids[:, ::-1].copy(), stats[:, cv2.CC_STAT_AREA].copy(), stats[:, box])
