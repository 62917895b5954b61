"""What classical detectors share: filters over windows, and a response as a score."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

ROUNDING = 1e-10  # a response no larger is rounding, also where it is a square of grey levels of 1


def stretched(response: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 H W"]:
    """A response as a score in [0, 1]: its share of the image's largest, as users of these detectors take it.

    Negative responses are 0, and so is all of an image without a positive one. Scores of different images can thus
    not be compared: the largest response is 1, whether or not there is a target.
    """
    positive = response.clamp(min=0)
    largest = positive.amax((1, 2, 3), keepdim=True)
    return torch.where(largest > ROUNDING, positive / largest.clamp(min=ROUNDING), 0)


def shifted(image: Float[Tensor, "B 1 H W"], down: int, right: int) -> Float[Tensor, "B 1 H W"]:
    """The image at `down` px below and `right` px to the right of each pixel; beyond the border its mirror image."""
    reach = max(abs(down), abs(right))
    height, width = image.shape[-2:]
    # Mirrors end at the next border; a window larger than the image repeats its last pixels.
    mirrored = F.pad(image, [reach] * 4, mode="reflect" if reach < min(height, width) else "replicate")
    return mirrored[..., reach + down : reach + down + height, reach + right : reach + right + width]


def erosion(image: Float[Tensor, "B 1 H W"], side: int) -> Float[Tensor, "B 1 H W"]:
    """Least value in a square of `side` px (odd) around each pixel, inside the image."""
    return -F.max_pool2d(-image, side, 1, side // 2)


def dilation(image: Float[Tensor, "B 1 H W"], side: int) -> Float[Tensor, "B 1 H W"]:
    """Largest value in a square of `side` px (odd) around each pixel, inside the image."""
    return F.max_pool2d(image, side, 1, side // 2)


def mean(image: Float[Tensor, "B 1 H W"], side: int) -> Float[Tensor, "B 1 H W"]:
    """Mean over a square of `side` px (odd) around each pixel, inside the image."""
    return F.avg_pool2d(image, side, 1, side // 2, count_include_pad=False)
