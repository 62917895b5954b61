"""GGL-Net: a gradient-guided network (arXiv 2512.09497; GRSL 2023, 10.1109/LGRS.2023.3308783).

The gradient magnitude of the image, max-pooled to each stage's size, is encoded afresh and injected by a
gradient supplementary module (GSM) at every stage of a residual encoder; the decoder fuses neighbouring
levels by two-way guidance (TGFM): the high level guides the low one through channel attention, the low
guides the high through spatial attention. 8,988,093 parameters at width 16.

Known from the authors' code, not from the paper alone: every 3 x 3 convolution has a bias although batch
normalisation follows, and the gradient is a central difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from irstd.layers.attention import ChannelAttention, SpatialAttention, SqueezeExcite
from irstd.layers.gradient import GradientMagnitude
from irstd.losses.overlap import Empty, soft_iou
from irstd.losses.pixelwise import edge_hard_bce
from irstd.methods import Method, Prediction, Step


@dataclass(frozen=True)
class Options:
    """Options of network and loss; the defaults are the published ones.

    width: channels of the first stage; each later stage doubles them.
    gradient: operator of the gradient branch; `none` removes the branch (ablation).
    border: how the gradient image ends; the published `zeros` draws a frame.
    squeeze: squeeze-and-excitation inside the residual and supplementary modules.
    fusion: `tgfm` as published, or `add` (ablation).
    loss: `soft_iou` of the team's training code, or `edge_hard_bce` of their later framework.
    empty: how `soft_iou` counts crops without a target; see `irstd.losses.overlap`.
    """

    width: int = 16
    gradient: Literal["central", "sobel", "none"] = "central"
    border: Literal["zeros", "replicate"] = "zeros"
    squeeze: bool = True
    fusion: Literal["tgfm", "add"] = "tgfm"
    loss: Literal["soft_iou", "edge_hard_bce"] = "soft_iou"
    empty: Empty = "own"


def conv_bn(a: int, c: int, size: int = 3, stride: int = 1) -> list[nn.Module]:
    """Convolution with bias and batch normalisation."""
    return [nn.Conv2d(a, c, size, stride, size // 2), nn.BatchNorm2d(c)]


def conv_bn_relu(a: int, c: int, size: int = 3, stride: int = 1) -> list[nn.Module]:
    """Convolution with bias, batch normalisation, ReLU."""
    return [*conv_bn(a, c, size, stride), nn.ReLU(inplace=True)]


class Residual(nn.Module):
    """ReLU(x + f(x)), f two convolutions with squeeze-and-excitation between them if asked."""

    def __init__(self, c: int, *, squeeze: bool) -> None:
        super().__init__()
        between = [SqueezeExcite(c)] if squeeze else []
        self.body = nn.Sequential(*conv_bn_relu(c, c), *between, *conv_bn(c, c))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        return F.relu(x + self.body(x))


class Down(nn.Module):
    """Halves the sides: ReLU(pooled branch + strided branch)."""

    def __init__(self, a: int, c: int) -> None:
        super().__init__()
        self.pooled = nn.Sequential(*conv_bn_relu(a, c), nn.MaxPool2d(2), *conv_bn(c, c))
        self.strided = nn.Sequential(*conv_bn_relu(a, c, stride=2))

    def forward(self, x: Float[Tensor, "B A H W"]) -> Float[Tensor, "B C h w"]:
        return F.relu(self.pooled(x) + self.strided(x))


class GradientSupplement(nn.Module):
    """GSM: encodes the gradient image (3 channels) and adds its message to the features.

    The message ends in batch normalisation without a ReLU, so that it can also lower a feature.
    """

    def __init__(self, c: int, *, squeeze: bool) -> None:
        super().__init__()

        def encoder(a: int) -> list[nn.Module]:
            between = [SqueezeExcite(c)] if squeeze else []
            return [*conv_bn_relu(a, c), *between, *conv_bn(c, c)]

        self.gradient = nn.Sequential(*encoder(3), nn.ReLU(inplace=True))
        self.fuse = nn.Sequential(*encoder(2 * c))

    def forward(self, x: Float[Tensor, "B C H W"], gradient: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C H W"]:
        return F.relu(x + self.fuse(torch.cat([x, self.gradient(gradient)], 1)))


class Stage(nn.Module):
    """One encoder stage: residual blocks, then the gradient supplement unless the branch is off."""

    def __init__(self, entry: nn.Module, c: int, options: Options) -> None:
        super().__init__()
        self.body = nn.Sequential(entry, *(Residual(c, squeeze=options.squeeze) for _ in range(2)))
        off = options.gradient == "none"
        self.supplement = None if off else GradientSupplement(c, squeeze=options.squeeze)

    def forward(self, x: Tensor, gradient: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C H W"]:
        x = self.body(x)
        return x if self.supplement is None else self.supplement(x, gradient)


class TwoWayFusion(nn.Module):
    """TGFM: low * channel gate of high + high * spatial gate of low; no convolution after the sum."""

    def __init__(self, high: int, low: int, *, guided: bool) -> None:
        super().__init__()
        self.reduce = nn.Sequential(*conv_bn_relu(high, low, size=1))
        self.channel = ChannelAttention(low) if guided else None
        self.spatial = SpatialAttention() if guided else None

    def forward(self, high: Float[Tensor, "B A h w"], low: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        high = F.interpolate(high, scale_factor=2, mode="bilinear", align_corners=True)
        high = self.reduce(high)
        if self.channel is None or self.spatial is None:
            return low + high
        return low * self.channel(high) + high * self.spatial(low)


class GGLNet(nn.Module):
    """Images (B, 1, H, W) in [0, 1], sides a multiple of 16, to logits (B, 1, H, W)."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        widths = [options.width * 2**k for k in range(5)]
        operator = "central" if options.gradient == "none" else options.gradient
        self.gradient = GradientMagnitude(operator, options.border)
        first = widths[0]
        # The first stage has one plain residual block more; it has no squeeze-and-excitation.
        entry = nn.Sequential(*conv_bn_relu(3, first), *conv_bn_relu(first, first), Residual(first, squeeze=False))
        entries = [entry, *(Down(a, c) for a, c in pairwise(widths))]
        self.stages = nn.ModuleList(Stage(e, c, options) for e, c in zip(entries, widths, strict=True))
        self.lateral = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(c, c, 1), nn.ReLU(inplace=True), nn.Conv2d(c, c, 3, padding=1), nn.ReLU(inplace=True)
            )
            for c in widths
        )
        guided = options.fusion == "tgfm"
        self.fusions = nn.ModuleList(TwoWayFusion(high, low, guided=guided) for low, high in pairwise(widths))
        self.head = nn.Sequential(nn.Conv2d(first, first, 1), nn.ReLU(inplace=True), nn.Conv2d(first, 1, 1))
        # Choice: the authors' `apply` skips the convolutions inside CA and SA, and so does this.
        skip = {m for g in self.modules() if isinstance(g, (ChannelAttention, SpatialAttention)) for m in g.modules()}
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module not in skip:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def forward(self, image: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 H W"]:
        x = image.expand(-1, 3, -1, -1)
        gradient = self.gradient(x)
        features = []
        for stage in self.stages:
            x = stage(x, gradient)
            features.append(x)
            gradient = F.max_pool2d(gradient, 2)
        laterals = [lateral(f) for lateral, f in zip(self.lateral, features, strict=True)]
        top = laterals.pop()
        for fusion, low in zip(reversed(self.fusions), reversed(laterals), strict=True):
            top = fusion(top, low)
        return self.head(top)


def loss(
    logits: Float[Tensor, "B 1 H W"], mask: Float[Tensor, "B 1 H W"], _step: Step, options: Options
) -> Float[Tensor, "B"]:
    """The loss that the options name, of each image."""
    if options.loss == "edge_hard_bce":
        return edge_hard_bce(logits, mask)
    # Differs from the paper: the sigmoid is here and in `decode`, not in the network, so that mixed
    # precision computes it in float32; the function is the same.
    return soft_iou(logits.float().sigmoid(), mask, empty=options.empty)


def decode(logits: Float[Tensor, "B 1 H W"], _options: Options) -> Prediction:
    """The probability map."""
    return Prediction(score=logits.float().sigmoid())


METHOD = Method(
    title="GGL-Net",
    paper="arXiv 2512.09497; GRSL 2023, doi 10.1109/LGRS.2023.3308783",
    supervision="mask",
    options=Options,
    build=GGLNet,
    loss=loss,
    decode=decode,
    multiple=16,  # Differs from PAL's framework, which pads to 32: the network needs 16
)
