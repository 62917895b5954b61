"""Point regression that is given each target's area besides its centre: what masks add to points.

The same network, budget and decoding as `point_regression`, but Gaussians as wide as their targets, a scale
that is trained, and windows of local maxima that adapt to it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from irstd.methods import Labels, point_regression
from irstd.methods.point_regression import decode


def centres_and_areas(labels: Labels) -> Float[Tensor, "B P 3"]:
    """Row and column of each target's centre, px, and its area, px: the pixels of the mask nearest to it.

    What a crop shows of a target whose centre it cuts off counts as the nearest other target's.
    """
    assert labels.mask is not None
    points, mask = labels.points, labels.mask[:, 0]
    height, width = mask.shape[1:]
    rows = torch.arange(height, device=mask.device)[:, None]
    cols = torch.arange(width, device=mask.device)
    there = torch.nan_to_num(points, nan=torch.inf)[..., None, None]
    far = (rows - there[:, :, 0]) ** 2 + (cols - there[:, :, 1]) ** 2
    nearest = far.argmin(1)
    areas = torch.stack([((nearest == k) & (mask > 0)).sum((1, 2)) for k in range(points.shape[1])], 1)
    # An area of none is a target whose pixels all lie outside the crop.
    known = (areas > 0) & ~points.isnan().any(-1)
    return torch.cat([points, torch.where(known, areas, torch.nan)[..., None]], -1)


METHOD = replace(
    point_regression.METHOD,
    title="Point regression, masks",
    supervision="mask",
    decode=partial(decode, adaptive=True),
    targets=centres_and_areas,
)
