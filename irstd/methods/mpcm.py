"""Multiscale patch-based contrast measure (Wei, You and Li, Pattern Recognition 58, 2016).

A patch is compared with its eight neighbours; opposite differences are multiplied, so that an edge, brighter on one
side and darker on the other, is negative, and the least of the four products counts: bright and dark spots both
respond. Nothing is learnt; the threshold is chosen on the held-out scenes. 0 parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from irstd.layers.contrast import mean, shifted
from irstd.methods._classical import classical

HALF_TURN = ((-1, -1), (-1, 0), (-1, 1), (0, 1))  # the other four directions are their opposites


@dataclass(frozen=True)
class Options:
    """sides: of the patches, px, odd. dark: whether dark spots respond as bright ones do, as in the paper."""

    sides: tuple[int, ...] = (3, 5, 7, 9)
    dark: bool = True


class MPCM(nn.Module):
    """Least product of opposite differences, the largest over the sizes of the patch."""

    def __init__(self, sides: tuple[int, ...], *, dark: bool) -> None:
        super().__init__()
        self.sides, self.dark = sides, dark

    def forward(self, image: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 H W"]:
        """Response, squared grey levels of 1."""
        return torch.stack([self._at(image, side) for side in self.sides]).amax(0)

    def _at(self, image: Float[Tensor, "B 1 H W"], side: int) -> Float[Tensor, "B 1 H W"]:
        patch = mean(image, side)
        products = []
        for down, right in HALF_TURN:
            apart = [patch - shifted(patch, way * down * side, way * right * side) for way in (1, -1)]
            if not self.dark:
                apart = [difference.clamp(min=0) for difference in apart]
            products.append(apart[0] * apart[1])
        return torch.stack(products).amin(0)


def build(options: Options) -> MPCM:
    """The filter."""
    return MPCM(options.sides, dark=options.dark)


METHOD = classical("MPCM", "https://doi.org/10.1016/j.patcog.2016.04.002", Options, build)
