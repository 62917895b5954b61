"""Losses that judge each pixel by itself."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def edge_hard_bce(
    logits: Float[Tensor, "B 1 H W"],
    mask: Float[Tensor, "B 1 H W"],
    *,
    edge_weight: float = 4.0,
    keep: float = 0.5,
) -> Float[Tensor, "B"]:
    """Binary cross-entropy of each image's hardest pixels, those at target edges counting more; from 0 up.

    The "edge enhancement difficulty mining" loss of the GGL-Net team's later framework, PAL (ICCV 2025).

    Args:
        mask: 0 or 1.
        edge_weight: of a pixel whose 3×3 neighbourhood holds both target and background.
        keep: share of the pixels, the costliest, that are averaged.
    """
    logits, mask = logits.float(), mask.float()
    # Choice: an edge is where dilation and erosion by 3×3 differ; the source says edges, not which operator.
    dilated, eroded = F.max_pool2d(mask, 3, 1, 1), -F.max_pool2d(-mask, 3, 1, 1)
    weight = 1 + (edge_weight - 1) * (dilated - eroded)
    cost = (F.binary_cross_entropy_with_logits(logits, mask, reduction="none") * weight).flatten(1)
    return cost.topk(max(1, round(keep * cost.shape[1])), dim=1).values.mean(1)
