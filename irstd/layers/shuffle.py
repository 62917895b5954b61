"""Units that split their channels, work on one half, and shuffle: ShuffleNetV2's (arXiv 1807.11164), and the
asymmetric dynamic feature extraction of point-to-point regression (10.3788/gzxb20265502.0210002).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from irstd.layers.odconv import Norm, ODConv2d


def shuffled(left: Float[Tensor, "B C H W"], right: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
    """The two halves joined and their channels shuffled: dealt out in turn, so that the next split mixes them.

    The same as joining first and shuffling in two groups then, in one copy instead of two.

    >>> left, right = torch.arange(4.0).view(2, 1, 2, 1, 1)
    >>> shuffled(left, right).flatten().tolist()
    [0.0, 2.0, 1.0, 3.0]
    """
    # The left half is often a view of half the channels; what was computed tells the format in use.
    if right.is_contiguous(memory_format=torch.channels_last) and not right.is_contiguous():
        if right.requires_grad and right.device.type == "cpu":
            # Else every second channel of a gradient, which the layers below read ten times slower than a dense one.
            right.register_hook(lambda gradient: gradient.contiguous(memory_format=torch.channels_last))
        both = torch.stack([left.permute(0, 2, 3, 1), right.permute(0, 2, 3, 1)], -1)
        return both.flatten(3).permute(0, 3, 1, 2)
    return torch.stack([left, right], 2).flatten(1, 2)


def pointwise(a: int, c: int) -> list[nn.Module]:
    """1×1 convolution, batch normalisation, ReLU."""
    return [nn.Conv2d(a, c, 1, bias=False), nn.BatchNorm2d(c), nn.ReLU(inplace=True)]


class DepthwiseConv2d(nn.Conv2d):
    """3×3 convolution of each channel alone, without bias.

    With a stride, bfloat16 gradients on a CPU are those of stride 1, thinned: equal but for rounding, and ten times
    faster, since oneDNN has no kernel for them (2.13, 2.14).
    """

    def __init__(self, c: int, stride: int = 1) -> None:
        super().__init__(c, c, 3, stride, 1, groups=c, bias=False)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C h w"]:
        (step, _) = self.stride
        on_cpu = x.device.type == "cpu"
        low = torch.get_autocast_dtype("cpu") if on_cpu and torch.is_autocast_enabled("cpu") else x.dtype
        if step == 1 or not on_cpu or low != torch.bfloat16 or not x.requires_grad:
            return super().forward(x)
        whole = F.conv2d(x, self.weight, padding=self.padding, groups=self.groups)
        return whole[..., ::step, ::step].contiguous(memory_format=torch.channels_last)


def depthwise(c: int, stride: int = 1) -> list[nn.Module]:
    """3×3 convolution of each channel alone, batch normalisation."""
    return [DepthwiseConv2d(c, stride), nn.BatchNorm2d(c)]


def dynamic(c: int, kernels: int, norm: Norm) -> list[nn.Module]:
    """Asymmetric dynamic pair: ODConv 1×3, then 3×1, each with batch normalisation and ReLU."""
    layers: list[nn.Module] = []
    for size in ((1, 3), (3, 1)):
        layers += [ODConv2d(c, c, size, kernels=kernels, norm=norm), nn.BatchNorm2d(c), nn.ReLU(inplace=True)]
    return layers


class _Split(nn.Module):
    """Half of the channels passes, `self.body` works on the other half; then both are shuffled."""

    body: nn.Module

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        left, right = x.chunk(2, 1)
        return shuffled(left, self.body(right))


class ShuffleUnit(_Split):
    """ShuffleNetV2's unit of stride 1; `c` channels, even."""

    def __init__(self, c: int) -> None:
        super().__init__()
        half = c // 2
        self.body = nn.Sequential(*pointwise(half, half), *depthwise(half), *pointwise(half, half))


class AsymmetricDynamicUnit(_Split):
    """The asymmetric dynamic feature extraction unit (ADFE): 1×1, ODConv 1×3, ODConv 3×1, 1×1 on one half.

    Args:
        c: channels, even. kernels, norm: of each ODConv.
    """

    def __init__(self, c: int, kernels: int, norm: Norm = "batch") -> None:
        super().__init__()
        half = c // 2
        self.body = nn.Sequential(*pointwise(half, half), *dynamic(half, kernels, norm), *pointwise(half, half))


class AsymmetricDynamicDown(nn.Module):
    """The ADFE unit of stride 2: both halves see all channels, and no channel passes unchanged.

    Args:
        a, c: channels in and out, `c` even. kernels, norm: of each ODConv.
    """

    def __init__(self, a: int, c: int, kernels: int, norm: Norm = "batch") -> None:
        super().__init__()
        half = c // 2
        self.left = nn.Sequential(*depthwise(a, 2), *pointwise(a, half))
        self.right = nn.Sequential(
            *pointwise(a, half), *depthwise(half, 2), *dynamic(half, kernels, norm), *pointwise(half, half)
        )

    def forward(self, x: Float[Tensor, "B A H W"]) -> Float[Tensor, "B C h w"]:
        return shuffled(self.left(x), self.right(x))
