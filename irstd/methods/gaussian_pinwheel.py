"""Gaussian-pinwheel U-Net with the diff-based scale loss (arXiv 2604.09991), on the network of MSHNet.

MSHNet (CVPR 2024, arXiv 2403.19366) is a residual U-Net whose blocks have channel and spatial attention, with heads at
four scales and a final one on all of them. Here the 7×7 convolution of each spatial attention is a Gaussian of learned
width, behind a mask whose angle is chosen at each pixel. 4,063,993 parameters; 4,065,513 with the 7×7 convolutions.

The paper is known from its abstract and from a public repository that matches it (methods.md B); what that leaves
open is marked as a choice. Every part is an option, so that an ablation is a row of params.yaml.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from irstd.layers.attention import ChannelAttention, SpatialAttention, mean_and_maximum
from irstd.layers.gaussian import GaussianConv2d
from irstd.layers.pinwheel import Estimator, OrientedGaussian2d, PinwheelConv2d, Selection
from irstd.losses.overlap import Empty, soft_iou
from irstd.losses.scale import Centroid, Weight, scale_loss
from irstd.methods import Method, Prediction, Step

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, as MSHNet's code
REDUCTION = 16  # of channel attention
WARM_SHARE = 0.2  # of a training, at most, is warm-up: where epochs are few, six would be half of them


@dataclass(frozen=True)
class Options:
    """Options of network and loss.

    width: channels at full size; each of the four halvings doubles them.
    attention: spatial attention of every block: the `pinwheel`, the `gaussian` alone, MSHNet's 7×7 convolution
        (`plain`), or `none`.
    arms, candidates, chiral: of the mask: bars, angles tried, one-sided bars. See `irstd.layers.pinwheel`.
    selection: the angle is chosen at each `pixel` or for the whole `image`.
    estimator: `straight_through` the hard choice, or `soft` throughout.
    sigma: width of the Gaussian at the start, px.
    first: of the first block's first convolution: `plain` 3×3, or the predecessor's pinwheel convolution (`pconv`).
    loss: member of the scale-loss family, `sd` for the SD loss, `soft_iou` for no weight and no location.
    location: whether the loss has its location term.
    centroid: of that term; `pixels` is MSHNet's, which divides by the number of pixels instead of the mass.
    warm_epochs: of the full-size head alone, by IoU alone; never more than a fifth of the training. MSHNet's code
        says 5 and means six: it counts epochs from 0 and ends the warm-up after number 5.
    empty: how crops without a target count; see `irstd.losses.scale`.
    """

    width: int = 16
    attention: Literal["pinwheel", "gaussian", "plain", "none"] = "pinwheel"
    arms: int = 1
    candidates: int = 4
    chiral: bool = False
    selection: Selection = "pixel"
    estimator: Estimator = "straight_through"
    sigma: float = 1.5
    first: Literal["plain", "pconv"] = "plain"
    loss: Weight | Literal["sd", "soft_iou"] = "diff"
    location: bool = True
    centroid: Centroid = "mass"
    warm_epochs: int = 6
    empty: Empty = "own"


class GaussianAttention(nn.Module):
    """Gate (B, 1, H, W) in (0, 1): mean and maximum over the channels, each blurred by one kernel, and added."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        if options.attention == "gaussian":
            self.blur: nn.Module = GaussianConv2d(1, 1, 7, padding=3, bias=False, mode="fixed", sigma=options.sigma)
        else:
            self.blur = OrientedGaussian2d(
                7, options.arms, options.candidates, selection=options.selection, estimator=options.estimator,
                chiral=options.chiral, sigma=options.sigma,
            )  # fmt: skip

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 1 H W"]:
        # One kernel for both, so they can be added first.
        return self.blur(mean_and_maximum(x)).sigmoid()


class Block(nn.Module):
    """Two convolutions, channel and spatial attention, and a shortcut."""

    def __init__(self, a: int, c: int, options: Options, *, pconv: bool = False) -> None:
        super().__init__()
        first = PinwheelConv2d(a, c) if pconv else nn.Conv2d(a, c, 3, padding=1)
        self.body = nn.Sequential(
            first, nn.BatchNorm2d(c), nn.ReLU(inplace=True), nn.Conv2d(c, c, 3, padding=1), nn.BatchNorm2d(c)
        )
        self.channel = ChannelAttention(c, REDUCTION)
        self.spatial: nn.Module | None = None
        if options.attention == "plain":
            self.spatial = SpatialAttention(bias=False)
        elif options.attention != "none":
            self.spatial = GaussianAttention(options)
        self.shortcut = nn.Identity() if a == c else nn.Sequential(nn.Conv2d(a, c, 1), nn.BatchNorm2d(c))

    def forward(self, x: Float[Tensor, "B A H W"]) -> Float[Tensor, "B C H W"]:
        y = self.body(x)
        y = y * self.channel(y)
        if self.spatial is not None:
            y = y * self.spatial(y)
        return F.relu(y + self.shortcut(x))


def up(x: Float[Tensor, "B C h w"], factor: int = 2) -> Float[Tensor, "B C H W"]:
    """Larger by `factor`, corner on corner."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=True)


class GaussianPinwheelUNet(nn.Module):
    """Images (B, 1, H, W) in [0, 1], sides a multiple of 16, to logits: the final map first.

    In training the maps of the four scales follow, (B, 1, H, W) to (B, 1, H/8, W/8); while warming up, the full-size
    one of them stands alone.
    """

    def __init__(self, options: Options) -> None:
        super().__init__()
        widths = [options.width * 2**k for k in range(5)]
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None], persistent=False)

        def blocks(a: int, c: int, count: int, *, pconv: bool = False) -> nn.Sequential:
            return nn.Sequential(Block(a, c, options, pconv=pconv), *(Block(c, c, options) for _ in range(count - 1)))

        self.entry = nn.Conv2d(3, widths[0], 1)
        self.encoder = nn.ModuleList([blocks(widths[0], widths[0], 1, pconv=options.first == "pconv")])
        self.encoder.extend(blocks(a, c, 2) for a, c in pairwise(widths))
        steps = list(pairwise(widths))
        self.decoder = nn.ModuleList(
            blocks(low + high, low, count) for (low, high), count in zip(steps, (1, 2, 2, 2), strict=True)
        )
        self.sides = nn.ModuleList(nn.Conv2d(c, 1, 1) for c in widths[:4])
        self.final = nn.Conv2d(4, 1, 3, padding=1)
        self.warm = False

    def get_extra_state(self) -> Tensor:
        """Whether it is warming up: weights of an epoch of warm-up have no final head yet."""
        return torch.tensor(self.warm)

    def set_extra_state(self, state: Tensor) -> None:
        self.warm = bool(state)

    def forward(self, image: Float[Tensor, "B 1 H W"]) -> tuple[Float[Tensor, "B 1 _h _w"], ...]:
        x = self.entry((image - self.mean) / self.deviation)
        levels = []
        for stage in self.encoder:
            x = stage(F.max_pool2d(x, 2) if levels else x)
            levels.append(x)
        top = levels.pop()
        decoded = []
        for stage, low in zip(reversed(self.decoder), reversed(levels), strict=True):
            top = stage(torch.cat([low, up(top)], 1))
            decoded.insert(0, top)
        if self.warm:
            return (self.sides[0](top),)
        sides = [head(x) for head, x in zip(self.sides, decoded, strict=True)]
        final = self.final(torch.cat([s if not k else up(s, 2**k) for k, s in enumerate(sides)], 1))
        return (final, *sides) if self.training else (final,)


def loss(
    maps: tuple[Float[Tensor, "B 1 _h _w"], ...], mask: Float[Tensor, "B 1 H W"], _step: Step, options: Options
) -> Float[Tensor, "B"]:
    """Mean over the five maps of the loss that the options name; in warm-up the IoU of the one map there is."""
    if len(maps) == 1:
        return scale_loss(maps[0].float().sigmoid(), mask, None, locate=False, empty=options.empty)

    def each(logits: Tensor) -> Tensor:
        probability = logits.float().sigmoid()
        truth = F.max_pool2d(mask, mask.shape[-1] // logits.shape[-1])
        if options.loss == "soft_iou":
            return soft_iou(probability, truth, empty=options.empty)
        small = options.loss == "sd"
        weight = "variance" if small else options.loss
        return scale_loss(
            probability, truth, weight, locate=options.location, centroid=options.centroid, small=small,
            empty=options.empty,
        )  # fmt: skip

    return torch.stack([each(logits) for logits in maps]).mean(0)


def decode(maps: tuple[Float[Tensor, "B 1 H W"], ...], _options: Options) -> Prediction:
    """The probability map of the final head, or, of weights from the warm-up, of the full-size one."""
    return Prediction(score=maps[0].float().sigmoid())


def at_epoch(network: nn.Module, step: Step, options: Options) -> None:
    """Ends the warm-up."""
    until = min(options.warm_epochs, WARM_SHARE * step.epochs)
    for module in network.modules():
        if isinstance(module, GaussianPinwheelUNet):
            module.warm = step.epoch < until


def watch(
    network: nn.Module, maps: tuple[Float[Tensor, "B 1 _h _w"], ...], mask: Float[Tensor, "B 1 H W"]
) -> dict[str, Tensor]:
    """Areas of the images with a target, px, and the widths and angles of the attentions, by name."""
    there = (mask.sum((1, 2, 3)) > 0).float()
    area = maps[0].detach().float().sigmoid().sum((1, 2, 3))
    images = there.sum().clamp(min=1)
    seen = {
        "predicted area": (area * there).sum() / images,
        "true area": mask.sum((1, 2, 3)).mul(there).sum() / images,
    }
    for name, module in network.named_modules():
        if isinstance(module, (GaussianConv2d, OrientedGaussian2d)):
            seen[f"sigma {name}"] = module.sigma().detach()
        if isinstance(module, OrientedGaussian2d):
            seen[f"angle {name}"] = module.angle.detach()
    return seen


METHOD = Method(
    title="Gaussian-pinwheel U-Net",
    paper="arXiv 2604.09991; base MSHNet, CVPR 2024, arXiv 2403.19366",
    supervision="mask",
    options=Options,
    build=GaussianPinwheelUNet,
    loss=loss,
    decode=decode,
    at_epoch=at_epoch,
    watch=watch,
    multiple=16,
)
