"""Losses that judge each pixel by itself."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


def edges(mask: Float[Tensor, "B 1 H W"]) -> Bool[Tensor, "B 1 H W"]:
    """Pixels that PAL weighs as target edges: those with one of their four neighbours of the other class.

    PAL pads both classes with zeros, which makes a frame of edges around the image, and then clears the frame, but the
    second row in place of the first: the first row stays an edge, and the second never is one.

    Args:
        mask: 0 or 1.
    """
    inside = mask > 0
    edge = torch.zeros_like(inside)
    down, along = inside[..., 1:, :] ^ inside[..., :-1, :], inside[..., 1:] ^ inside[..., :-1]
    edge[..., 1:, :] |= down
    edge[..., :-1, :] |= down
    edge[..., 1:] |= along
    edge[..., :-1] |= along
    edge[..., 0, :] = True
    edge[..., 1:2, :] = False
    edge[..., -1, :] = False
    edge[..., 0] = edge[..., -1] = False
    return edge


def edge_hard_bce(
    logits: Float[Tensor, "B 1 H W"],
    mask: Float[Tensor, "B 1 H W"],
    *,
    edge_weight: float = 4.0,
    keep: float = 0.5,
) -> Float[Tensor, "B"]:
    """Binary cross-entropy of the batch's hardest pixels, those at target edges counting more.

    The "edge enhancement difficulty mining" loss of the GGL-Net team's later framework, PAL (ICCV 2025), as its code
    computes it: the pixels of all images compete for the harder half, so an easy image may have no pixel in it.

    Args:
        mask: 0 or 1.
        edge_weight: of the pixels that `edges` names.
        keep: share of the batch's pixels, the costliest, that are averaged; equally costly ones come along.

    Returns:
        One value per image, from 0 up, whose mean over the batch is the mean over the pixels kept.
    """
    logits, mask = logits.float(), mask.float()
    weight = 1 + (edge_weight - 1) * edges(mask).float()
    cost = F.binary_cross_entropy_with_logits(logits, mask, reduction="none") * weight
    flat = cost.detach().flatten()
    least = flat.kthvalue(min(int((1 - keep) * flat.numel()) + 1, flat.numel())).values
    kept = cost >= least
    return (cost * kept).sum((1, 2, 3)) * (len(cost) / kept.sum())
