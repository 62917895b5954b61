"""From heatmaps to points: local maxima with windows that adapt, thresholds, merging, sub-pixel steps.

On the device and for the whole batch at once; all coordinates are (row, col).
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from kornia.filters import gaussian_blur2d
from torch import Tensor

Subpixel = Literal["offset", "dark", "none"]


def local_maxima(
    heat: Float[Tensor, "B 1 h w"], window: int = 3, spread: Float[Tensor, "B 1 h w"] | None = None, largest: int = 9
) -> Bool[Tensor, "B 1 h w"]:
    """True where a cell is the highest of the square window around it; equal neighbours both are.

    Args:
        window: side of the square, cells, odd.
        spread: of the target at each cell, in cells; its window grows to 2 * ceil(spread) + 1, at most `largest`.
    """

    def highest(side: int) -> Tensor:
        return heat == F.max_pool2d(heat, side, 1, side // 2)

    found = highest(window)
    if spread is not None:
        side = 2 * spread.ceil() + 1
        for larger in range(window + 2, largest + 1, 2):
            found &= (side < larger) | highest(larger)
    return found


def dark(heat: Float[Tensor, "B 1 h w"], blur: float, flat: Tensor) -> Float[Tensor, "B K 2"]:
    """Step in cells from each cell to the maximum nearby, by Newton's method on the blurred logarithm.

    DARK (CVPR 2020), for a Gaussian exact. Differs from its code: where the Hessian is not negative definite,
    or within two cells of the border, there is no step, and a step is cut at one cell.

    Args:
        blur: deviation of the Gaussian blur, cells; 0 for none.
        flat: (B, K) numbers of the cells, in raster order.
    """
    height, width = heat.shape[-2:]
    if blur:
        side = 2 * round(3 * blur) + 1
        heat = gaussian_blur2d(heat, (side, side), (blur, blur))
    log = heat.clamp(min=1e-10).log().flatten(1)
    row, col = flat // width, flat % width
    inner = (row >= 2) & (row < height - 2) & (col >= 2) & (col < width - 2)

    def at(down: int, along: int) -> Tensor:
        place = torch.where(inner, flat + down * width + along, flat)
        return log.gather(1, place)

    slope = torch.stack([at(1, 0) - at(-1, 0), at(0, 1) - at(0, -1)], -1) / 2
    down = (at(2, 0) - 2 * at(0, 0) + at(-2, 0)) / 4
    along = (at(0, 2) - 2 * at(0, 0) + at(0, -2)) / 4
    across = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4
    determinant = down * along - across**2
    bent = inner & (determinant > 0) & (down < 0)
    safe = torch.where(bent, determinant, 1)
    step = -torch.stack(
        [along * slope[..., 0] - across * slope[..., 1], down * slope[..., 1] - across * slope[..., 0]], -1
    )
    return torch.where(bent[..., None], step / safe[..., None], 0).clamp(-1, 1)


def merged(points: Float[Tensor, "B K 2"], there: Bool[Tensor, "B K"], within: float) -> Bool[Tensor, "B K"]:
    """Which points stay when those nearer than `within` to a better one that stays are dropped.

    Args:
        points: the better ones first. there: which of them are points at all.
    """
    # Not by matrix products, whose rounding depends on how many points there are.
    near = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist") < within
    kept = there.clone()
    for number in range(int(there.sum(1).max()) if there.numel() else 0):
        near_it = near[:, number] & kept[:, number, None]
        near_it[:, : number + 1] = False
        kept &= ~near_it
    return kept


def peaks(
    heat: Float[Tensor, "B 1 h w"],
    offset: Float[Tensor, "B 2 h w"],
    spread: Float[Tensor, "B 1 h w"] | None = None,
    *,
    least: float = 0.05,
    relative: float = 1.0,
    window: int = 3,
    merge: float = 1.5,
    subpixel: Subpixel = "offset",
    blur: float = 1.0,
    most: int = 256,
) -> list[Float[Tensor, "N 3"]]:
    """The points of each image, (row, col) in cells and score, best first.

    Args:
        heat: in [0, 1].
        offset: from each cell's centre to the target's, cells; used by `offset`.
        spread: of the target, cells; makes the windows adapt.
        least: a peak scores more.
        relative: a peak scores at least (1 - relative) times the image's best; 1 for no such limit.
        window: of local maxima, cells.
        merge: of points nearer than this, cells, the best stays. Choice: after the sub-pixel step, so that two
            peaks led to one centre become one.
        subpixel: how the place within a cell is found; `dark` blurs by `blur` cells first.
        most: points an image, at most.
    """
    _, _, height, width = heat.shape
    score = torch.where(local_maxima(heat, window, spread), heat, 0).flatten(1)
    score, flat = score.topk(min(most, height * width), 1)
    best = score[:, :1]
    there = (score > least) & (score >= (1 - relative) * best)
    # All further work is for so many points as any image has.
    count = max(1, int(there.sum(1).max()))
    score, flat, there = score[:, :count], flat[:, :count], there[:, :count]
    cells = torch.stack([flat // width, flat % width], -1).to(heat.dtype)
    if subpixel == "offset":
        cells = cells + offset.flatten(2).gather(2, flat[:, None].expand(-1, 2, -1)).transpose(1, 2)
    elif subpixel == "dark":
        cells = cells + dark(heat, blur, flat)
    kept = merged(cells, there, merge)
    return [torch.cat([c[k], s[k, None]], 1) for c, s, k in zip(cells, score, kept, strict=True)]
