"""What sensors and weather do to a picture, at stated strengths: noise, stripes, blur, contrast, fainter targets."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, UInt8
from kornia.enhance import adjust_contrast_with_mean_subtraction
from kornia.filters import gaussian_blur2d
from kornia.morphology import dilation
from numpy import ndarray
from torch import Tensor

from irstd.data.batches import seed_of

AROUND_PX = 5.0  # spread of the surroundings that the background under a target is taken from

Change = Callable[[Tensor, Tensor, float, torch.Generator], Tensor]


def noise(image: Tensor, _mask: Tensor, level: float, generator: torch.Generator) -> Tensor:
    """Independent Gaussian noise of a standard deviation of `level` grey levels."""
    return image + torch.randn(image.shape, generator=generator) * (level / 255)


def stripes(image: Tensor, _mask: Tensor, level: float, generator: torch.Generator) -> Tensor:
    """An offset of its own for each column, of a standard deviation of `level` grey levels: uncorrected detectors."""
    return image + torch.randn((1, 1, 1, image.shape[-1]), generator=generator) * (level / 255)


def blur(image: Tensor, _mask: Tensor, level: float, _generator: torch.Generator) -> Tensor:
    """A Gaussian point-spread function of a standard deviation of `level` px."""
    return _blurred(image, level)


def contrast(image: Tensor, _mask: Tensor, level: float, _generator: torch.Generator) -> Tensor:
    """Deviations from the image's mean times `level`."""
    return adjust_contrast_with_mean_subtraction(image, level)


def scr(image: Tensor, mask: Tensor, level: float, _generator: torch.Generator) -> Tensor:
    """Targets `level` times as far above their background, and so their signal-to-clutter ratio.

    Under a target, and the ring of one pixel around it, the background is taken from its surroundings, smoothed; what
    deviates from it there, clutter and noise too, is multiplied as the target is. All other pixels stay.
    """
    targets = dilation(mask, torch.ones(3, 3))
    seen = _blurred(1 - targets, AROUND_PX)
    background = _blurred(image * (1 - targets), AROUND_PX) / seen.clamp(min=1e-6)
    return torch.where((targets > 0) & (seen > 1e-6), background + level * (image - background), image)


def _blurred(image: Tensor, sigma: float) -> Tensor:
    size = 2 * int(3 * sigma + 0.5) + 1
    return gaussian_blur2d(image, (size, size), (sigma, sigma), border_type="replicate")


CHANGES: dict[str, Change] = {"noise": noise, "stripes": stripes, "blur": blur, "contrast": contrast, "scr": scr}


def changed(
    image: UInt8[ndarray, "H W"], mask: Bool[ndarray, "H W"], change: str, level: float, name: str
) -> UInt8[ndarray, "H W"]:
    """An image changed; drawn numbers follow from the change, its level and the scene's name.

    Args:
        mask: true on targets.
        change: of `CHANGES`. level: its strength.
    """
    generator = torch.Generator().manual_seed(seed_of(change, f"{level:g}", name))
    grey: Float[Tensor, "1 1 H W"] = torch.from_numpy(image)[None, None].float() / 255
    after = CHANGES[change](grey, torch.from_numpy(mask)[None, None].float(), level, generator)
    return (after[0, 0].clamp(0, 1) * 255).round().byte().numpy()
