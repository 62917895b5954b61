"""White top-hat (Zeng, Li and Peng, Infrared Physics & Technology 48, 2006): what an opening takes away.

Nothing is learnt; the threshold is chosen on the held-out scenes. 0 parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from irstd.layers.contrast import dilation, erosion
from irstd.methods._classical import classical


@dataclass(frozen=True)
class Options:
    """side: of the square, px, odd: larger than the targets, smaller than what is not to be found."""

    side: int = 9


class TopHat(nn.Module):
    """Image minus its opening with a square."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, image: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 H W"]:
        """Response, grey levels of 1, never negative."""
        return image - dilation(erosion(image, self.side), self.side)


def build(options: Options) -> TopHat:
    """The filter."""
    return TopHat(options.side)


METHOD = classical("Top-hat", "https://doi.org/10.1016/j.infrared.2005.04.006", Options, build)
