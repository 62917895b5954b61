"""Published weights as what `irstd.inference.tiles` asks of a network, in torch."""

from __future__ import annotations

import torch
from jaxtyping import UInt8
from numpy import ndarray

from irstd.inference import tiles
from irstd.inference.predict import Predicted, predict
from irstd.inference.weights import Loaded

MOST_PX = 1920 * 1200  # of a picture taken whole; GGL-Net takes about 1 kB of memory a pixel
TILE_PX, MARGIN_PX = 768, 96  # side of a tile, and how much of each side is discarded; multiples of 32


class InTorch:
    """A network of loaded weights.

    Args:
        loaded: its network is put on `device`.
        most_px: pictures of up to so many px are taken whole.
        tile, margin: sides of tiles and of what is discarded of each, px, multiples of the method's `multiple`; of
            weights that say `geometry: tiles` these, and what is taken whole, are as in training.
    """

    def __init__(
        self,
        loaded: Loaded,
        device: torch.device | str = "cpu",
        *,
        most_px: int = MOST_PX,
        tile: int = TILE_PX,
        margin: int = MARGIN_PX,
    ) -> None:
        self.loaded, self.device = loaded, device
        self.multiple = loaded.method.multiple
        if loaded.label.geometry == "tiles":
            tile = loaded.label.side
            margin = tiles.margin(tile, self.multiple)
        self.most_px, self.tile, self.margin = most_px, (tile, tile), margin
        # A fifth quicker, also on a CPU.
        loaded.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def takes(self, height: int, width: int) -> bool:
        if self.loaded.label.geometry == "tiles":
            return height <= self.tile[0] and width <= self.tile[1]
        return height * width <= self.most_px or self.loaded.label.geometry == "resize"

    def __call__(self, grey: UInt8[ndarray, "H W"]) -> Predicted:
        loaded = self.loaded
        (found,) = predict(
            loaded.network, loaded.method, loaded.options, [grey],
            device=self.device, geometry="resize" if loaded.label.geometry == "resize" else "crop",
            side=loaded.label.side,
        )  # fmt: skip
        return found
