"""Losses that measure the overlap of a probability map with a mask."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def soft_iou(
    probability: Float[Tensor, "B 1 H W"], mask: Float[Tensor, "B 1 H W"], *, smooth: float = 1.0
) -> Float[Tensor, "B"]:
    """One minus the soft intersection over union of each image, in [0, 1].

    1 - (I + s) / (P + T - I + s) with I = Σpg, P = Σp, T = Σg: the loss of MSDA-Net's training code, which
    the GGL-Net team uses (methods.md A.2). Summed in float32, since areas overflow half precision.

    Args:
        probability: in [0, 1].
        mask: 1 on targets, 0 elsewhere.
        smooth: px; keeps an image without a target finite, and its loss falls to 0 with the prediction.
    """
    p, g = probability.float(), mask.float()
    both = (p * g).sum((1, 2, 3))
    either = p.sum((1, 2, 3)) + g.sum((1, 2, 3)) - both
    return 1 - (both + smooth) / (either + smooth)
