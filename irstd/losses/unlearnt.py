"""The loss of a detector without parameters."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from irstd.losses.overlap import soft_iou


def unlearnt(
    outputs: Float[Tensor, "B 1 H W"], mask: Float[Tensor, "B 1 H W"], _step: object, _options: object
) -> Float[Tensor, "B"]:
    """How far each image's positive response, over its largest, is from the mask.

    Nothing can be lowered by it; it is there so that such detectors are methods like the others.
    """
    positive = outputs.clamp(min=0)
    return soft_iou(positive / positive.amax((1, 2, 3), keepdim=True).clamp(min=torch.finfo(positive.dtype).tiny), mask)
