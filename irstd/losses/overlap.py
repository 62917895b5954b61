"""Losses that measure the overlap of a probability map with a mask."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

# How images without a target count: as the loss has it of itself, by the area predicted there, by cross-entropy, or
# together with the others, as one large image.
Empty = Literal["own", "area", "bce", "batch"]
EMPTY_AREA_PX = 25.0  # of a target that an empty image's false pixels are weighed against


def soft_iou(
    probability: Float[Tensor, "B 1 H W"], mask: Float[Tensor, "B 1 H W"], *, smooth: float = 1.0, empty: Empty = "own"
) -> Float[Tensor, "B"]:
    """One minus the soft intersection over union of each image, in [0, 1].

    1 - (I + s) / (P + T - I + s) with I = Σpg, P = Σp, T = Σg: the loss of MSDA-Net's training code, which
    the GGL-Net team uses (methods.md A.2). Summed in float32, since areas overflow half precision.

    Args:
        probability: in [0, 1].
        mask: 1 on targets, 0 elsewhere.
        smooth: px; keeps an image without a target finite, and its loss falls to 0 with the prediction.
        empty: how images without a target count; `own` is P / (P + s), whose gradient vanishes once P is large; with
            `batch` all images have the one loss of the batch.
    """
    p, g = probability.float(), mask.float()
    both = (p * g).sum((1, 2, 3))
    either = p.sum((1, 2, 3)) + g.sum((1, 2, 3)) - both
    if empty == "batch":
        return (1 - (both.sum() + smooth) / (either.sum() + smooth)).expand(len(p))
    loss = 1 - (both + smooth) / (either + smooth)
    return loss if empty == "own" else torch.where(g.sum((1, 2, 3)) > 0, loss, empty_cost(p, empty))


def empty_cost(probability: Float[Tensor, "B 1 H W"], kind: Literal["area", "bce"]) -> Float[Tensor, "B"]:
    """What predicting something costs each image, if it has no target.

    Args:
        kind: `area` is P / (P + a) with P the predicted area and a that of a usual target, so that the first false
            pixels cost about as much as beside a target; `bce` is the mean binary cross-entropy.
    """
    p = probability.float()
    if kind == "area":
        area = p.sum((1, 2, 3))
        return area / (area + EMPTY_AREA_PX)
    # A probability that rounds to 1 still has a finite cost.
    return -torch.log1p(-p.clamp(max=1 - 1e-6)).mean((1, 2, 3))
