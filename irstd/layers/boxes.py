"""Boxes: from masks, and from detectors back to predictions. All are (top, left, bottom, right) in px.

A box around one pixel is one px wide: from half a px before the pixel's centre to half a px after.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import find_objects, label
from torch import Tensor


def boxes_of(mask: Float[Tensor, "B 1 H W"]) -> list[Float[Tensor, "T 4"]]:
    """The box of each 8-connected region of each mask, on its device."""
    boxes = []
    for one in (mask[:, 0] > 0.5).cpu().numpy():
        regions, _ = label(one, np.ones((3, 3)))
        corners = [[r.start, c.start, r.stop, c.stop] for r, c in find_objects(regions)]
        boxes.append(torch.tensor(corners, dtype=torch.float32).reshape(-1, 4).to(mask.device) - 0.5)
    return boxes


def to_corners(boxes: Float[Tensor, "N 4"]) -> Float[Tensor, "N 4"]:
    """Ours to (x1, y1, x2, y2) with the origin at the image's corner, as detection libraries have them."""
    return boxes[:, [1, 0, 3, 2]] + 0.5


def from_corners(corners: Float[Tensor, "N 4"]) -> Float[Tensor, "N 4"]:
    """The way back from `to_corners`."""
    return corners[:, [1, 0, 3, 2]] - 0.5


def centres(boxes: Float[Tensor, "N 5"]) -> Float[Tensor, "N 3"]:
    """Row, column and score of boxes with scores: a detector's points."""
    return torch.stack([boxes[:, [0, 2]].mean(1), boxes[:, [1, 3]].mean(1), boxes[:, 4]], 1)


class Raw:
    """What a detector's network gives: its own outputs, and itself, which knows how to read them.

    No dataclass and no tuple, so that a training framework passes it on as it is.
    """

    def __init__(self, outputs: Any, network: Any) -> None:
        self.outputs, self.network = outputs, network
