"""Random changes of a training batch on its device, by kornia; mask and points are moved with the image.

Image and mask are warped as two channels of one tensor, so that they cannot part.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from kornia import augmentation as kornia
from torch import Tensor


@runtime_checkable
class Wanted(Protocol):
    """Probabilities and ranges; `irstd.params.Augment` documents the units."""

    flip: float
    transpose: float
    affine: float
    rotate_deg: float
    shift: float
    scale: float
    colour: float
    brightness: float
    contrast: float
    noise: float
    noise_std: tuple[float, float]


class Augmentation:
    """Changes a batch at random; draws from torch's global generator, so seed that.

    `flip` mirrors each axis with this probability and `transpose` turns by 90°, which together give all
    eight orientations. `affine` turns, shifts and scales at once; what comes in from outside is black.
    `colour` changes brightness and contrast, `noise` adds white noise; both keep grey levels in [0, 1].

    Differs from the GGL-Net team's recipe: each change has its own probability, where theirs draws three
    changes of the list for an image and then each one's probability.
    """

    def __init__(self, wanted: Wanted) -> None:
        moves: list[torch.nn.Module] = []
        if wanted.flip:
            moves += [kornia.RandomHorizontalFlip(p=wanted.flip), kornia.RandomVerticalFlip(p=wanted.flip)]
        if wanted.transpose:
            moves.append(kornia.RandomRotation90(times=(1, 1), p=wanted.transpose))
        if wanted.affine:
            moves.append(
                kornia.RandomAffine(
                    wanted.rotate_deg,
                    (wanted.shift, wanted.shift),
                    (1 - wanted.scale, 1 + wanted.scale),
                    p=wanted.affine,
                    align_corners=True,  # px are px: without it points and pixels part by a fraction of one
                )
            )
        colours: list[torch.nn.Module] = []
        if wanted.colour:
            colours += [
                kornia.RandomBrightness((max(0.0, 1 - wanted.brightness), 1 + wanted.brightness), p=wanted.colour),
                kornia.RandomContrast((1 - wanted.contrast, 1 + wanted.contrast), p=wanted.colour),
            ]
        self._moves = kornia.AugmentationSequential(*moves, data_keys=["input"]) if moves else None
        self._points = kornia.AugmentationSequential(*moves, data_keys=["input", "keypoints"]) if moves else None
        self._colours = kornia.AugmentationSequential(*colours, data_keys=["input"]) if colours else None
        self.noise, self.noise_std = wanted.noise, wanted.noise_std

    def __call__(
        self,
        image: Float[Tensor, "B 1 H W"],
        mask: Float[Tensor, "B 1 H W"],
        points: Float[Tensor, "B P 2"] | None = None,
    ) -> tuple[Float[Tensor, "B 1 H W"], Float[Tensor, "B 1 H W"], Float[Tensor, "B P 2"] | None]:
        """Image, mask and points, changed together.

        Args:
            image: grey levels in [0, 1].
            mask: 0 or 1, and so it comes back.
            points: (row, col) in px, NaN for none; those moved out of the image become NaN. None to skip.
        """
        if self._moves is not None:
            both = torch.cat([image, mask], 1)
            if points is None:
                both = self._moves(both)
            else:
                # kornia's points are (x, y)
                both, moved = self._points(both, points.flip(-1))
                points = inside(moved.flip(-1), both.shape[-2:])
            image, mask = both[:, :1], (both[:, 1:] > 0.5).to(image.dtype)
        if self._colours is not None:
            image = self._colours(image)
        if self.noise:
            least, most = self.noise_std
            chosen = torch.rand(len(image), 1, 1, 1, device=image.device) < self.noise
            strength = torch.empty(len(image), 1, 1, 1, device=image.device).uniform_(least, most) * chosen
            image = (image + strength * torch.randn_like(image)).clamp(0, 1)
        return image, mask, points


def inside(points: Float[Tensor, "B P 2"], size: tuple[int, int]) -> Float[Tensor, "B P 2"]:
    """`points` with those outside an image of `size` (height, width) px replaced by NaN."""
    limits = torch.tensor(size, dtype=points.dtype, device=points.device) - 0.5
    keep = ((points >= -0.5) & (points < limits)).all(-1, keepdim=True)
    return torch.where(keep, points, torch.nan)
