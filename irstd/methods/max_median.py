"""Max-median filter (Deshpande et al., SPIE 3809, 1999): the image minus the largest of four directional medians.

A median along a line keeps edges and lines in its direction and drops what is shorter than half of it: targets.
Nothing is learnt; the threshold is chosen on the held-out scenes. 0 parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from irstd.layers.contrast import shifted
from irstd.methods._classical import classical

DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))


@dataclass(frozen=True)
class Options:
    """length: of the lines, px, odd: more than twice the targets' diameter."""

    length: int = 15


class MaxMedian(nn.Module):
    """Image minus the largest of its medians along four directions."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.reach = length // 2

    def forward(self, image: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 H W"]:
        """Response, grey levels of 1."""
        steps = range(-self.reach, self.reach + 1)
        medians = [
            torch.stack([shifted(image, down * step, right * step) for step in steps]).median(0).values
            for down, right in DIRECTIONS
        ]
        return image - torch.stack(medians).amax(0)


def build(options: Options) -> MaxMedian:
    """The filter."""
    return MaxMedian(options.length)


METHOD = classical("Max-median", "https://doi.org/10.1117/12.364049", Options, build)
