"""Images in, predictions out: padded or resized as the method was trained, back at native resolution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor, nn

from irstd.errors import InputError
from irstd.inference import tiles
from irstd.methods import Method, Prediction


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a method says of one image.

    score: (H, W) in [0, 1] at native resolution, or None.
    points: (N, 3) of row, col (px, native) and score, or None if the method only gives a map.
    boxes: (N, 5) of top, left, bottom, right (px, native) and score, or None if the method is no detector.
    """

    score: Float[ndarray, "H W"] | None
    points: Float[ndarray, "N 3"] | None
    boxes: Float[ndarray, "M 5"] | None = None


def predict(
    network: nn.Module,
    method: Method,
    options: Any,
    images: Sequence[UInt8[ndarray, "_H _W"]],
    *,
    device: torch.device | str = "cpu",
    geometry: tiles.Geometry = "crop",
    side: int = 256,
    batch: int = 8,
) -> Iterator[Predicted]:
    """The prediction for each image, in order; `network` is put into evaluation mode.

    Args:
        options: of the method, as `network` was built with.
        images: grey levels.
        geometry: `crop`: each image whole, padded to the method's multiple (`irstd.inference.tiles.padded`); `tiles`:
            the same in overlapping squares of `side` px, so that means over an image are taken over as much of it as
            in training; `resize`: squeezed to a square of `side` px and the scores stretched back.
        batch: at most so many consecutive images of one size, or tiles, at a time.

    Raises:
        InputError: a detector of boxes is to be used in tiles.
    """
    network.eval()
    if geometry == "tiles":
        for image in images:
            yield _of_tiles(image, side, network, method, options, device=device, batch=batch)
        return
    start = 0
    while start < len(images):
        stop = start + 1
        while stop < min(len(images), start + batch) and images[stop].shape == images[start].shape:
            stop += 1
        alike = images[start:stop]
        given = alike if geometry == "resize" else [tiles.padded(image, method.multiple) for image in alike]
        stack = torch.from_numpy(np.stack(given))[:, None].to(device).float().div(255)
        yield from _native(stack, alike[0].shape, network, method, options, geometry, side)
        start = stop


def _of_tiles(
    image: UInt8[ndarray, "H W"], side: int, network: nn.Module, method: Method, options: Any, **where: Any
) -> Predicted:
    """One image in tiles of `side` px, several of them at a time."""
    full = tiles.padded(image, method.multiple)
    cuts = tiles.cut(full.shape, image.shape, (side, side), tiles.margin(side, method.multiple))
    pieces = [np.ascontiguousarray(full[row[0] : row[1], col[0] : col[1]]) for row, col in cuts]
    said = list(predict(network, method, options, pieces, **where))
    if any(one.boxes is not None for one in said):
        raise InputError("`geometry: tiles` joins maps and points, not boxes; set `geometry: crop`")
    return Predicted(*tiles.joined(image.shape, cuts, said))


@torch.inference_mode()
def _native(
    stack: Float[Tensor, "B 1 _ _"], shape: tuple[int, ...], network: nn.Module, method: Method, options: Any,
    geometry: str, side: int,
) -> list[Predicted]:  # fmt: skip
    height, width = shape
    if geometry == "resize":
        stack = F.interpolate(stack, (side, side), mode="bilinear", antialias=side < max(height, width))
        scale = torch.tensor([height / side, width / side])
    else:
        scale = torch.ones(2)
    prediction: Prediction = method.decode(network(stack), options)
    scores = prediction.score
    if scores is not None and geometry == "resize":
        scores = F.interpolate(scores, (height, width), mode="bilinear")
    found = []
    for number in range(len(stack)):
        score = None if scores is None else scores[number, 0, :height, :width].float().cpu().numpy()
        points = None
        if prediction.points is not None:
            placed = prediction.points[number].float().cpu()
            placed = torch.cat([(placed[:, :2] + 0.5) * scale - 0.5, placed[:, 2:]], 1)
            points = tiles.within(placed.numpy(), shape)
        boxes = None
        if prediction.boxes is not None:
            around = prediction.boxes[number].float().cpu()
            corners = (around[:, :4] + 0.5) * scale.repeat(2) - 0.5
            edge = torch.tensor([height, width]).repeat(2) - 0.5
            around = torch.cat([corners.clamp(min=-0.5).minimum(edge), around[:, 4:]], 1)
            # Of a box in the padding nothing is left.
            boxes = around[(around[:, 2:4] > around[:, :2]).all(1)].numpy()
        found.append(Predicted(score, points, boxes))
    return found
