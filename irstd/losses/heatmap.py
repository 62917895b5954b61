"""Targets and losses of point regression: Gaussian heatmaps at continuous centres, offsets, scales.

A heatmap of stride s has its cells' centres on px s * (cell + 1/2) - 1/2, the unbiased map (UDP, CVPR 2020):
flipping the image flips cells and centres alike.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def to_cells(px: Tensor, stride: float | int) -> Tensor:  # noqa: PYI041 - a checker of types takes no int for a float
    """Coordinates in px as coordinates in cells; both are whole at centres.

    >>> to_cells(torch.tensor([0.5, 2.5]), 2).tolist()
    [0.0, 1.0]
    """
    return (px + 0.5) / stride - 0.5


def to_px(cells: Tensor, stride: float | int) -> Tensor:  # noqa: PYI041 - a checker of types takes no int for a float
    """Coordinates in cells as coordinates in px: undoes `to_cells`."""
    return (cells + 0.5) * stride - 0.5


def _axes(like: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    return tuple(torch.arange(side, device=like.device, dtype=torch.float32) for side in (height, width))


def gaussian_heatmap(
    centres: Float[Tensor, "B P 2"], sigma: float | Float[Tensor, "B P"], height: int, width: int
) -> Float[Tensor, "B 1 h w"]:
    """At each cell the highest of the Gaussians of unit peak around the centres.

    The highest, not the mean: targets close to each other keep their peaks.

    Args:
        centres: (row, col) in cells, anywhere between them; NaN for none.
        sigma: spread in cells, one for all or one each.
    """
    rows, cols = _axes(centres, height, width)
    spread = torch.as_tensor(sigma, device=centres.device).expand(centres.shape[:2])[..., None]
    # A centre that is not there is infinitely far away.
    there = torch.nan_to_num(centres.float(), nan=torch.inf)
    # The Gaussian is a product of its lines, so the exponentials are taken along the lines only.
    down = torch.exp(-((rows - there[..., :1]) ** 2) / (2 * spread**2))
    along = torch.exp(-((cols - there[..., 1:]) ** 2) / (2 * spread**2))
    return torch.einsum("bph,bpw->bphw", down, along).amax(1, keepdim=True)


def nearest_cells(centres: Float[Tensor, "B P 2"], height: int, width: int) -> Float[Tensor, "B 1 h w"]:
    """1 at the cell nearest to each centre (in cells, NaN for none), 0 elsewhere."""
    rows, cols = _axes(centres, height, width)
    limit = torch.tensor([height - 1, width - 1], device=centres.device)
    # A centre in the outer half of a border cell belongs to that cell.
    cell = torch.minimum(centres.round().clamp(min=0), limit)
    return ((rows == cell[..., :1])[..., None] & (cols == cell[..., 1:])[..., None, :]).any(1, keepdim=True).float()


def focal(
    logits: Float[Tensor, "B 1 h w"],
    heatmap: Float[Tensor, "B 1 h w"],
    peaks: Float[Tensor, "B 1 h w"],
    alpha: float = 2.0,
    beta: float = 4.0,
) -> Float[Tensor, "B"]:
    """Penalty-reduced focal loss (CornerNet, ECCV 2018, Eq. 1), of each image, over its number of peaks.

    -(1-p)^alpha log p at peaks, -(1-y)^beta p^alpha log(1-p) elsewhere; an image without a target counts as
    one with one.
    """
    logits = logits.float()
    p = logits.sigmoid()
    found = (1 - p) ** alpha * F.logsigmoid(logits)
    clear = (1 - heatmap) ** beta * p**alpha * F.logsigmoid(-logits)
    total = -torch.where(peaks > 0, found, clear).sum((1, 2, 3))
    return total / peaks.sum((1, 2, 3)).clamp(min=1)


def weighted_mse(
    logits: Float[Tensor, "B 1 h w"], heatmap: Float[Tensor, "B 1 h w"], weight: float = 10.0
) -> Float[Tensor, "B"]:
    """Squared error of the probabilities, a cell weighted 1 + weight * heatmap, summed, of each image.

    P2P-HDNet (arXiv 2408.01976) takes the plain squared error; targets of a few cells drown in it.
    """
    error = (logits.float().sigmoid() - heatmap) ** 2 * (1 + weight * heatmap)
    return error.sum((1, 2, 3))


def around_peaks(
    values: Float[Tensor, "B C h w"], wanted: Float[Tensor, "B P C"], centres: Float[Tensor, "B P 2"], reach: int = 1
) -> Float[Tensor, "B"]:
    """Mean absolute error of `values` at the cells around each centre, of each image; 0 without centres.

    Args:
        values: what the network says at each cell.
        wanted: what it should say at each centre's nearest cell.
        centres: in cells, NaN for none.
        reach: cells to each side that count as well. Choice: one, where CenterNet takes the peak's cell alone. A
            peak found one cell off must still be led to the centre, so values of two channels are taken for
            offsets and change with the cell.
    """
    height, width = values.shape[-2:]
    there = ~centres.isnan().any(-1)
    cell = centres.nan_to_num().round()
    steps = torch.arange(-reach, reach + 1, device=values.device)
    shift = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1).view(-1, 2)
    places = cell[:, :, None] + shift  # (B, P, K, 2)
    limit = torch.tensor([height - 1, width - 1], device=values.device)
    valid = ((places >= 0) & (places <= limit)).all(-1) & there[..., None]
    index = torch.minimum(places.clamp(min=0), limit).long()
    flat = (index[..., 0] * width + index[..., 1]).flatten(1)  # (B, P*K)
    channels = values.shape[1]
    said = values.float().flatten(2).gather(2, flat[:, None].expand(-1, channels, -1))
    said = said.view(len(values), channels, *valid.shape[1:]).permute(0, 2, 3, 1)  # (B, P, K, C)
    truth = wanted.nan_to_num()[:, :, None].expand(said.shape)
    if channels == 2:
        truth = truth - shift
    error = ((said - truth).abs().sum(-1) * valid).sum((1, 2))
    return error / valid.sum((1, 2)).clamp(min=1)
