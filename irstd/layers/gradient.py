"""The gradient magnitude of an image: what a small target's edge looks like to a network."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Operator = Literal["central", "sobel"]
Border = Literal["zeros", "replicate"]

# Derivative along a row; the derivative along a column is its transpose. Unit: grey levels per pixel.
KERNELS: dict[str, list[list[float]]] = {
    "central": [[0.0, 0.0, 0.0], [-0.5, 0.0, 0.5], [0.0, 0.0, 0.0]],
    "sobel": [[-0.125, 0.0, 0.125], [-0.25, 0.0, 0.25], [-0.125, 0.0, 0.125]],
}


class GradientMagnitude(nn.Module):
    """sqrt(Gx² + Gy²) of each channel, (B, C, H, W) to (B, C, H, W), in the image's unit per pixel.

    Args:
        operator: `central` differences (GGL-Net's code, arXiv 2512.09497) or `sobel`, whose kernel is
            scaled to the same unit.
        border: `zeros` repeats what was published and draws a frame of about half the grey level around
            the image; `replicate` does not.
    """

    def __init__(self, operator: Operator = "central", border: Border = "zeros") -> None:
        super().__init__()
        self.border = border
        along_row = torch.tensor(KERNELS[operator])
        kernel = torch.stack([along_row, along_row.T])[:, None]
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        batch, channels, height, width = image.shape
        mode = "constant" if self.border == "zeros" else "replicate"
        single = image.reshape(batch * channels, 1, height, width)
        rows, cols = F.conv2d(F.pad(single, (1, 1, 1, 1), mode), self.kernel.to(image.dtype)).unbind(1)
        # 1e-12 under the root keeps the derivative finite where the image is flat, for saliency maps;
        # it moves no value by more than 1e-6.
        return (rows.square() + cols.square() + 1e-12).sqrt().reshape(image.shape)
