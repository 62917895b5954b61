"""Random changes of a training batch on its device, by kornia; mask and points are moved with the image.

Image and mask are warped as two channels of one tensor, so that they cannot part. Only the images that a
change is drawn for are touched. Flips and turns by 90° are not here: a batch is cut from the scenes already
turned (`irstd.data.batches`), which costs nothing.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from kornia.enhance import adjust_brightness, adjust_contrast
from kornia.geometry import get_affine_matrix2d, transform_points, warp_affine
from torch import Tensor
from torch.nn import functional as F


@runtime_checkable
class Wanted(Protocol):
    """Probabilities and ranges; `irstd.config.params.Augment` documents the units."""

    affine: float
    rotate_deg: float
    shift: float
    scale: float
    colour: float
    brightness: float
    contrast: float
    noise: float
    noise_std: tuple[float, float]
    border: str
    paste: float


class Augmentation:
    """Changes a batch at random; draws from torch's global generator of the host, so seed that.

    `affine` turns, shifts and scales at once; what comes in from outside is black or, with `border: reflection`, the
    image mirrored, its mask along with it, but not its points. `paste` comes first: a crop gets the targets of its
    neighbour in the batch, at their places there, levelled to their new surroundings. `colour` changes brightness
    and, drawn apart, contrast; `noise` adds white noise; both keep grey levels in [0, 1].

    Differs from the GGL-Net team's recipe: each change has its own probability, where theirs draws three
    changes of the list for an image and then each one's probability.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted

    def __call__(
        self,
        image: Float[Tensor, "B 1 H W"],
        mask: Float[Tensor, "B 1 H W"] | None,
        points: Float[Tensor, "B P 2"],
    ) -> tuple[Float[Tensor, "B 1 H W"], Float[Tensor, "B 1 H W"] | None, Float[Tensor, "B Q 2"]]:
        """Image, mask and points, changed together, in place.

        Args:
            image: grey levels in [0, 1].
            mask: 0 or 1, and so it comes back; or None.
            points: (row, col) in px, NaN for none; those moved out of the image become NaN. With `paste` twice
                as many come back.
        """
        wanted, count = self.wanted, len(image)
        if mask is not None and len(chosen := _draw(count, wanted.paste, image)):
            points = self._paste(chosen, image, mask, points)
        if len(chosen := _draw(count, wanted.affine, image)):
            matrix = self._matrix(len(chosen), image)
            height, width = image.shape[-2:]
            layers = image[chosen] if mask is None else torch.cat([image[chosen], mask[chosen]], 1)
            # `align_corners` keeps points and pixels aligned: without it they are a fraction of a pixel apart
            layers = warp_affine(layers, matrix[:, :2], (height, width), align_corners=True, padding_mode=wanted.border)
            image[chosen] = layers[:, :1]
            if mask is not None:
                mask[chosen] = (layers[:, 1:] > 0.5).to(mask.dtype)
            moved = transform_points(matrix, points[chosen].flip(-1)).flip(-1)  # kornia's points are (x, y)
            points[chosen] = inside(moved, (height, width))
        if len(chosen := _draw(count, wanted.colour, image)):
            image[chosen] = adjust_brightness(image[chosen], _uniform(chosen, -wanted.brightness, wanted.brightness))
        if len(chosen := _draw(count, wanted.colour, image)):
            image[chosen] = adjust_contrast(image[chosen], _uniform(chosen, 1 - wanted.contrast, 1 + wanted.contrast))
        if len(chosen := _draw(count, wanted.noise, image)):
            strength = _uniform(chosen, *wanted.noise_std)[:, None, None, None]
            image[chosen] = (image[chosen] + strength * torch.randn_like(image[chosen])).clamp(0, 1)
        return image, mask, points

    @staticmethod
    def _paste(
        chosen: Tensor, image: Float[Tensor, "B 1 H W"], mask: Float[Tensor, "B 1 H W"], points: Float[Tensor, "B P 2"]
    ) -> Float[Tensor, "B Q 2"]:
        """Puts the targets of each chosen image's neighbour into it, where it has none; all points together.

        Only targets that are whole in the neighbour and clear of the image's own are taken, as one: all or none.
        """
        giver = (chosen + 1) % len(image)
        grey, target, own = image[giver], mask[giver], mask[chosen]
        grown = F.max_pool2d(target, 3, 1, 1)
        ring = F.max_pool2d(target, 9, 1, 4) - grown
        inner = torch.zeros_like(target)
        inner[..., 5:-5, 5:-5] = 1
        clear = ((F.max_pool2d(target, 9, 1, 4) * own).sum((1, 2, 3)) == 0) & (
            (target * (1 - inner)).sum((1, 2, 3)) == 0
        )
        clear &= target.sum((1, 2, 3)) > 0
        lift = (ring * (image[chosen] - grey)).sum((1, 2, 3)) / ring.sum((1, 2, 3)).clamp(min=1)
        put = (grown > 0) & clear[:, None, None, None]
        given = points[giver]
        # Half of the levels in the one pixel around a target, so that it has no seam.
        share = torch.where(target > 0, 1.0, 0.5) * put
        image[chosen] = torch.lerp(image[chosen], (grey + lift[:, None, None, None]).clamp(0, 1), share)
        mask[chosen] = torch.maximum(own, target * put)
        more = torch.full_like(points, torch.nan)
        more[chosen] = torch.where(clear[:, None, None], given, torch.nan)
        return torch.cat([points, more], 1)

    def _matrix(self, count: int, image: Tensor) -> Float[Tensor, "N 3 3"]:
        """Random rotation, shift and scale about the image's centre."""
        side = torch.tensor([image.shape[-1], image.shape[-2]], dtype=torch.float32)
        wanted = self.wanted
        matrix = get_affine_matrix2d(
            translations=(torch.rand(count, 2) * 2 - 1) * wanted.shift * side,
            center=((side - 1) / 2).expand(count, 2),
            scale=(1 + (torch.rand(count, 1) * 2 - 1) * wanted.scale).expand(count, 2),
            angle=(torch.rand(count) * 2 - 1) * wanted.rotate_deg,
        )
        return matrix.to(image.device, non_blocking=True)


def _draw(count: int, probability: float, image: Tensor) -> Tensor:
    """Numbers of the images that a change is drawn for. Drawn on the host, which so never waits."""
    if not probability:
        return torch.zeros(0, dtype=torch.long)
    chosen = (torch.rand(count) < probability).nonzero()[:, 0]
    return chosen.to(image.device, non_blocking=True)


def _uniform(chosen: Tensor, least: float, most: float) -> Tensor:
    return (least + torch.rand(len(chosen)) * (most - least)).to(chosen.device, non_blocking=True)


def inside(points: Float[Tensor, "B P 2"], size: tuple[int, int]) -> Float[Tensor, "B P 2"]:
    """`points` with those outside an image of `size` (height, width) px replaced by NaN."""
    limits = torch.tensor(size, dtype=points.dtype, device=points.device) - 0.5
    keep = ((points >= -0.5) & (points < limits)).all(-1, keepdim=True)
    return torch.where(keep, points, torch.nan)
