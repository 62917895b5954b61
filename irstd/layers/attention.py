"""Channel and spatial attention: squeeze-and-excitation, and the two halves of CBAM."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate computed from all channel means (arXiv 1709.01507).

    Args:
        channels: of the input; the hidden layer has `channels // reduction`, at least 1. Both linears lack a bias.
    """

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.gate = nn.Sequential(
            nn.Linear(channels, hidden, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        return x * self.gate(x.mean((2, 3)))[:, :, None, None]


class ChannelAttention(nn.Module):
    """Gate (B, C, 1, 1) in (0, 1) from the mean and the maximum of each channel (arXiv 1807.06521, Eq. 2)."""

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, channels, 1, bias=False),
        )

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C 1 1"]:
        return (self.mlp(F.adaptive_max_pool2d(x, 1)) + self.mlp(x.mean((2, 3), keepdim=True))).sigmoid()


class _MeanAndMaximum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        highest = x.amax(1, keepdim=True)
        ctx.save_for_backward(x, highest)
        return x.mean(1, keepdim=True) + highest

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        x, highest = ctx.saved_tensors
        return (x == highest).to(gradient.dtype).add_(1 / x.shape[1]).mul_(gradient)


def mean_and_maximum(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 1 H W"]:
    """Sum of the mean and the maximum over channels.

    Its gradient is written out, since that of `amax` takes several passes over the channels more. Equal maxima each
    have the whole gradient.
    """
    return _MeanAndMaximum.apply(x) if torch.is_grad_enabled() else x.mean(1, keepdim=True) + x.amax(1, keepdim=True)


class SpatialAttention(nn.Module):
    """Gate (B, 1, H, W) in (0, 1) from the maximum and the mean over channels (arXiv 1807.06521, Eq. 3).

    Args:
        size: side of the square kernel, odd.
        bias: whether the convolution has one.
    """

    def __init__(self, size: int = 7, *, bias: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, size, padding=size // 2, bias=bias)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 1 H W"]:
        return self.conv(torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], 1)).sigmoid()
