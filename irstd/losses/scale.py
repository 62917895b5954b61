"""Losses that weigh the overlap by how far the predicted area is from the true one: the scale-loss family.

With p the predicted and t the true area (px, sums of probabilities and of the mask), m and M the smaller and the
larger of them, Δ = p - t, and q = m/M, each member is 1 - α(p, t) IoU:

    name        α                          paper
    diff        (m + |Δ|/2) / (M + |Δ|/2)  arXiv 2604.09991, taken to be its diff-based loss
    variance    (m + Δ²/4) / (M + Δ²/4)    SLS loss of MSHNet (arXiv 2403.19366)
    mobius      (3m + M) / (3M + m)        as `diff`, its public code's third
    linear      m / (M + |Δ|)              as `diff`, its fourth
    quadratic   m / (M + Δ²/2)             as `diff`, its fourth at another commit
    ratio       q
    log_ratio   q^2 = exp(-2 |ln(p/t)|)

All are 1 at equal areas. `variance` alone leads away from there where |Δ| > 2√t; `variance` and `quadratic` depend
on the unit of area, the others only on the ratio. The location term and the SD loss that embeds `variance` are
here too. All sums are in float32 or better: areas overflow half precision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from irstd.losses.overlap import Empty, empty_cost

Weight = Literal["diff", "variance", "mobius", "linear", "quadratic", "ratio", "log_ratio"]
Centroid = Literal["mass", "pixels"]

POWER = 2.0  # Choice: of `log_ratio`. Below 1 its slope at p = 0 is infinite; 1 is `ratio`
SD_SHARE = 0.5  # δ of the SD loss
SD_AREA_PX = 81.0  # from this area on, at 512 x 512 px, scale and location weigh most apart
SD_SIDE_PX = 512.0
HALF_MOST = torch.finfo(torch.float16).max


def _diff(least: Tensor, most: Tensor) -> Tensor:
    return (least + (most - least) / 2) / (most + (most - least) / 2)


def _variance(least: Tensor, most: Tensor) -> Tensor:
    spread = (most - least) ** 2 / 4
    return (least + spread) / (most + spread)


def _mobius(least: Tensor, most: Tensor) -> Tensor:
    return (3 * least + most) / (3 * most + least)


def _linear(least: Tensor, most: Tensor) -> Tensor:
    return least / (2 * most - least)


def _quadratic(least: Tensor, most: Tensor) -> Tensor:
    return least / (most + (most - least) ** 2 / 2)


def _ratio(least: Tensor, most: Tensor) -> Tensor:
    return least / most


def _log_ratio(least: Tensor, most: Tensor) -> Tensor:
    return (least / most) ** POWER


# All are functions of the smaller and the larger area; in this order everywhere.
WEIGHTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "diff": _diff, "variance": _variance, "mobius": _mobius, "linear": _linear,
    "quadratic": _quadratic, "ratio": _ratio, "log_ratio": _log_ratio,
}  # fmt: skip


def alpha(name: str, predicted: Float[Tensor, "*B"], true: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """The weight `name` of the areas, in (0, 1] for a predicted area above 0; 1 at equal areas.

    Args:
        predicted: px, at least 0. true: px, above 0.

    Raises:
        KeyError: no such weight.

    >>> alpha("diff", torch.tensor([10.0, 20.0, 40.0]), torch.tensor(20.0).expand(3))
    tensor([0.6000, 1.0000, 0.6000])
    """
    return WEIGHTS[name](torch.minimum(predicted, true), torch.maximum(predicted, true))


def slope(name: str, predicted: Float[Tensor, "*B"], true: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """dα/dp in closed form, per px; where the areas are equal, that of a smaller predicted area.

    Above 0 the loss asks for more area, below 0 for less.

    Raises:
        KeyError: no such weight.
    """
    p, t = predicted, true
    spread = (p - t) ** 2 / 4
    below, above = {
        "diff": lambda: (4 * t / (3 * t - p) ** 2, -4 * t / (3 * p - t) ** 2),
        "variance": lambda: ((t - spread) / (t + spread) ** 2, (spread - t) / (p + spread) ** 2),
        "mobius": lambda: (8 * t / (3 * t + p) ** 2, -8 * t / (3 * p + t) ** 2),
        "linear": lambda: (2 * t / (2 * t - p) ** 2, -2 * t / (2 * p - t) ** 2),
        "quadratic": lambda: (
            (t + 2 * spread + p * (t - p)) / (t + 2 * spread) ** 2,
            -t * (1 + p - t) / (p + 2 * spread) ** 2,
        ),
        "ratio": lambda: (1 / t, -t / p**2),
        "log_ratio": lambda: (POWER * (p / t) ** (POWER - 1) / t, -POWER * (t / p) ** POWER / p),
    }[name]()
    return torch.where(p <= t, below, above)


def _wide(values: Tensor) -> Tensor:
    wide = values.to(torch.promote_types(values.dtype, torch.float32))
    if values.dtype == torch.float16 and wide.requires_grad:
        # Gradients of a centroid without mass are beyond half precision's range.
        wide.register_hook(lambda gradients: gradients.clamp(-HALF_MOST, HALF_MOST))
    return wide


def _areas(p: Tensor, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Intersection and areas of each image, px."""
    return (p * g).sum((1, 2, 3)), p.sum((1, 2, 3)), g.sum((1, 2, 3))


def _polar(p: Float[Tensor, "B 1 H W"], centroid: Centroid) -> tuple[Tensor, Tensor]:
    """Distance of each centroid from the image's corner, sides counting 1, and its angle."""
    height, width = p.shape[-2:]
    rows = torch.arange(height, device=p.device, dtype=p.dtype) / height
    cols = torch.arange(width, device=p.device, dtype=p.dtype) / width
    mass = p.sum((1, 2, 3)) + 1e-6 if centroid == "mass" else height * width
    row, col = ((p.sum(3) * rows).sum((1, 2)) / mass, (p.sum(2) * cols).sum((1, 2)) / mass)
    # 1e-8 under the root and beside the column: finite gradients where nothing is predicted.
    return (row**2 + col**2 + 1e-8).sqrt(), torch.atan(row / (col + 1e-8))


def location(
    probability: Float[Tensor, "B 1 H W"], mask: Float[Tensor, "B 1 H W"], centroid: Centroid = "mass"
) -> Float[Tensor, "B"]:
    """How far the centroids are apart, in polar coordinates about the image's corner: MSHNet's location term.

    1 - min(d_p, d_t) / max(d_p, d_t) + (4/π²)(θ_p - θ_t)², in [0, 2).

    Args:
        centroid: `mass` is the centroid. `pixels` repeats MSHNet's code, which divides by the number of pixels
            instead of the mass, so that the term punishes a wrong area as well.
    """
    given, true = _polar(_wide(probability), centroid), _polar(mask.to(_wide(probability).dtype), centroid)
    nearness = torch.minimum(given[0], true[0]) / torch.maximum(given[0], true[0])
    return 1 - nearness + (4 / torch.pi**2) * (given[1] - true[1]) ** 2


def scale_loss(
    probability: Float[Tensor, "B 1 H W"],
    mask: Float[Tensor, "B 1 H W"],
    weight: Weight | None = "diff",
    *,
    locate: bool = True,
    centroid: Centroid = "mass",
    small: bool = False,
    empty: Empty = "own",
) -> Float[Tensor, "B"]:
    """1 - α IoU of each image, plus the location term.

    Choice: an image without a target has no IoU to speak of, and 1 - α IoU has no gradient there. Its loss is the mean
    probability, so that crops of background teach too, and it has no location.

    Args:
        probability: in [0, 1], of any precision. mask: 1 on targets, 0 elsewhere.
        weight: of the family; None for α = 1, as in warm-up.
        locate: whether to add the location term.
        small: the SD loss of masks (arXiv 2412.16986): scale weighs 1 + β and location 1 - β, with β growing with
            the true area, averaged over the images with a target, to at most one half.
        empty: how images without a target count, `own` being the mean probability; with `batch` areas and
            intersections are summed over the batch first, and all images have the one scale term.

    >>> mask = torch.zeros(1, 1, 8, 8); mask[..., 2:4, 2:4] = 1
    >>> scale_loss(mask, mask), scale_loss(0 * mask, mask, locate=False)
    (tensor([0.]), tensor([1.]))
    """
    p = _wide(probability)
    g = mask.to(p.dtype)
    both, predicted, true = _areas(p, g)
    without = true == 0
    if empty == "batch" and not without.all():
        both, predicted, true = (t.sum().expand(len(p)) for t in (both, predicted, true))
    safe = torch.where(true == 0, 1, true)
    factor = 1 if weight is None else alpha(weight, predicted, safe)
    scale = 1 - factor * both / (predicted + safe - both)
    where = location(p, g, centroid) if locate else torch.zeros_like(scale)
    if small:
        per_px = SD_SIDE_PX**2 / (mask.shape[-2] * mask.shape[-1]) * SD_SHARE / SD_AREA_PX
        beta = (true * per_px).clamp(max=SD_SHARE).sum() / (~without).sum().clamp(min=1)
        scale, where = (1 + beta) * scale, (1 - beta) * where
    if empty == "batch" and not without.all():
        return scale + where.masked_fill(without, 0)
    alone = empty_cost(p, empty) if empty in ("area", "bce") else p.mean((1, 2, 3))
    return torch.where(without, alone.to(scale.dtype), scale + where)
