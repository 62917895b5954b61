"""Learnt local contrast: how far a pixel is above the mean around it, at two scales, weighed by three numbers."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import avg_pool2d

from irstd.losses.overlap import soft_iou
from irstd.methods import Method, Prediction

SCALE = 100.0  # of the logits: with usual learning rates a few steps then suffice


@dataclass(frozen=True)
class Options:
    """side: of the larger surroundings, px, odd."""

    side: int = 15


class Contrast(nn.Module):
    """A pixel and its 3x3 mean, each minus the mean of the surroundings, over their deviation."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side
        self.weight = nn.Parameter(torch.full((2,), 0.01))
        self.bias = nn.Parameter(torch.tensor(-0.04))

    def forward(self, image):
        """Logits (B, 1, H, W) of images (B, 1, H, W)."""

        def mean(x, side):
            return avg_pool2d(x, side, 1, side // 2, count_include_pad=False)

        around = mean(image, self.side)
        deviation = (mean(image**2, self.side) - around**2).clamp(min=1e-5).sqrt()
        near = (image - around) / deviation, (mean(image, 3) - around) / deviation
        return SCALE * (self.weight[0] * near[0] + self.weight[1] * near[1] + self.bias)


def build(options):
    """The network."""
    return Contrast(options.side)


def loss(outputs, targets, _step, _options):
    """One minus the soft intersection over union of each image."""
    return soft_iou(outputs.sigmoid(), targets)


def decode(outputs, _options):
    """Outputs to scores."""
    return Prediction(outputs.sigmoid())


METHOD = Method(
    title="Learnt contrast (example)",
    paper="an example",
    supervision="mask",
    options=Options,
    build=build,
    loss=loss,
    decode=decode,
    multiple=1,
)
