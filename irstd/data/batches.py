"""Scenes held on the device as bytes, and batches cut from them there.

All scenes share one canvas as large as the largest of them, black beyond each scene's own size; a batch is
one gather, with no file, no worker process and no copy from the host. Flips and turns by 90° are in the
gather too: they are only where each pixel is read from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from irstd.data.augment import inside
from irstd.errors import InputError


@dataclass(frozen=True, slots=True)
class Batch:
    """image (B, 1, H, W) in [0, 1]; mask (B, 1, H, W), 0 or 1; points (B, P, 2) row and col in px, NaN for none.

    There is no mask where the scenes give none.
    """

    image: Tensor
    mask: Tensor | None
    points: Tensor


@runtime_checkable
class Scenes(Protocol):
    """What is read of a dataset, scene by scene: `irstd.data.prepared.Prepared` has it, and so has a `PointView`,
    which has no `mask`.
    """

    sizes: Any
    points: Any

    def image(self, number: int, /) -> Any:
        """Grey levels (H, W) of a scene."""


class Resident:
    """Some scenes of a prepared dataset, on a device; their masks too, where the dataset has a `mask`.

    Args:
        prepared: where they come from.
        numbers: which scenes.
        device: where to hold them.
        least: px; the canvas is at least this large, so that crops of this side fit.
        square: px; if given, each scene is resized to this square first (image bilinear, mask by area above
            one half), as the recipe `resize` does.
    """

    def __init__(
        self,
        prepared: Scenes,
        numbers: Sequence[int],
        device: torch.device | str = "cpu",
        *,
        least: int = 1,
        square: int | None = None,
    ) -> None:
        self.numbers = list(numbers)
        native = [prepared.sizes[n] for n in self.numbers]
        sizes = [(square, square)] * len(native) if square else native
        sides = [max(least, *(s[axis] for s in sizes)) for axis in (0, 1)]
        most = max([1, *(len(prepared.points[n]) for n in self.numbers)])
        self.masked = hasattr(prepared, "mask")
        if self.masked and getattr(prepared, "labels", "masks") != "masks":
            raise InputError(
                f"the dataset has {prepared.labels} only, no masks; train a method of points, such as point_regression"
            )
        canvas = np.zeros((1 + self.masked, len(native), *sides), np.uint8)
        points = np.full((len(native), most, 2), np.nan, np.float32)
        for index, (number, (height, width)) in enumerate(zip(self.numbers, sizes, strict=True)):
            layers = [prepared.image(number)]
            if self.masked:
                layers.append(prepared.mask(number).astype(np.uint8) * 255)
            centres = prepared.points[number]
            if square:
                layers, centres = _resized(layers, centres, square)
            canvas[:, index, :height, :width] = layers
            points[index, : len(centres)] = centres
        self.sizes = torch.tensor(sizes)
        self._host_points = torch.from_numpy(points)
        self._canvas = torch.from_numpy(canvas).to(device)
        self._points = self._host_points.to(device)

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def device(self) -> torch.device:
        return self._canvas.device

    def crops(
        self,
        indices: Tensor,
        side: int,
        target_share: float,
        generator: torch.Generator,
        *,
        mined: float = 0.0,
        places: Tensor | None = None,
    ) -> Tensor:
        """Top left corners (B, 2) of a square crop of each scene in `indices`, at random places.

        Args:
            indices: (B,) on the host, places in `numbers`.
            side: px.
            target_share: probability that a crop is placed to hold a target, if its scene has one.
            generator: of the host; so that no draw waits for the device.
            mined: probability that another crop is placed to hold one of its scene's `places`, if it has one.
            places: (N, K, 2) row and col in px of every scene, on the host, NaN for none.
        """
        count = len(indices)
        room = (self.sizes[indices] - side).clamp(min=0)
        corner = (torch.rand(count, 2, generator=generator) * (room + 1)).long()
        wanted = torch.rand(count, generator=generator) < target_share
        near, there = _around(self._host_points[indices], side, room, generator)
        if mined and places is not None:
            hard = torch.rand(count, generator=generator) < mined
            false, some = _around(places[indices], side, room, generator)
            corner = torch.where((hard & some)[:, None], false, corner)
        return torch.where((wanted & there)[:, None], near, corner)

    def cut(self, indices: Tensor, corner: Tensor, side: int, turns: Tensor | None = None) -> Batch:
        """Square pieces of `side` px of the scenes in `indices`, from `corner` (row, col) on.

        Args:
            indices, corner: (B,), (B, 2) on the host.
            turns: (B, 3) true on the host where a piece is mirrored top to bottom, left to right, and then
                transposed; together all eight orientations.
        """
        moved = (indices, corner, torch.zeros(len(indices), 3, dtype=torch.bool) if turns is None else turns)
        indices, corner, turns = (t.to(self.device, non_blocking=True) for t in moved)
        steps = torch.arange(side, device=self.device)
        # Where rows and columns are read from, each forwards or backwards ...
        lines = torch.where(turns[:, :2, None], side - 1 - steps, steps) + corner[..., None]
        down, along = lines[:, 0, :, None], lines[:, 1, None, :]
        # ... and, transposed, with their axes exchanged.
        over = turns[:, 2, None, None]
        rows, cols = torch.where(over, down.mT, down), torch.where(over, along.mT, along)
        cut: UInt8[Tensor, "L B h w"] = self._canvas[:, indices[:, None, None], rows, cols]
        layers = cut.float().div(255)[:, :, None]
        points = self._points[indices] - corner[:, None]
        points = torch.where(turns[:, None, :2], side - 1 - points, points)
        points = torch.where(over, points.flip(-1), points)
        return Batch(layers[0], layers[1] if self.masked else None, inside(points, (side, side)))


def _around(points: Tensor, side: int, room: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Corners (B, 2) of crops that hold one of each scene's points (B, P, 2) wherever in them, and which have one."""
    there = (~points.isnan().any(-1)).float()
    none = there.sum(1) == 0
    chosen = torch.multinomial(there + none[:, None], 1, generator=generator)
    centre = points[torch.arange(len(points)), chosen[:, 0]].nan_to_num()
    near = (centre - torch.rand(len(points), 2, generator=generator) * (side - 1)).round().long()
    return near.clamp(min=torch.zeros_like(room), max=room), ~none


def _resized(layers: list[np.ndarray], centres: np.ndarray, square: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Image, and mask if there is one, on a square grid, and the centres moved along (pixel centres stay centres)."""
    native = layers[0].shape
    stack: Float[Tensor, "L 1 H W"] = torch.from_numpy(np.stack(layers))[:, None].float()
    image, *mask = F.interpolate(stack, (square, square), mode="bilinear", antialias=square < max(native))
    out = [image[0].round().numpy(), *((m[0] > 127.5).numpy() * 255.0 for m in mask)]
    return [layer.astype(np.uint8) for layer in out], (centres + 0.5) * (square / np.array(native)) - 0.5


def seed_of(*parts: int | str) -> int:
    """A seed for one stream of random numbers; streams of different parts have nothing in common."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()) >> 1


def phase(recipe: Any, number: int) -> tuple[int, int]:
    """Side of a crop (px) and batch in epoch `number`, counted from 0."""
    done = number / max(recipe.epochs, 1)
    current = next((p for p in recipe.phases if done < p.until), recipe)
    return current.size, current.batch


def steps(scenes: int, recipe: Any, number: int) -> tuple[int, int]:
    """Batches of epoch `number`, and images in each, with so many scenes to learn from."""
    batch = min(phase(recipe, number)[1], scenes * recipe.crops)
    return scenes * recipe.crops // batch, batch


def epoch(resident: Resident, recipe: Any, seed: int, number: int, places: Tensor | None = None) -> Iterator[Batch]:
    """The batches of one epoch: every scene `recipe.crops` times, in an order of its own.

    The last batch is dropped where it is smaller. Flips and turns are those of `recipe.augment`.

    Args:
        recipe: an `irstd.config.params.Recipe`.
        seed: of the run. number: of the epoch; with both, the batches are the same, whatever came before.
        places: where `recipe.mined` places crops, as `Resident.crops` says.
    """
    generator = torch.Generator().manual_seed(seed_of("batches", seed, number))
    order = torch.cat([torch.randperm(len(resident), generator=generator) for _ in range(recipe.crops)])
    side, (_, batch) = phase(recipe, number)[0], steps(len(resident), recipe, number)
    augment = recipe.augment
    probability = torch.tensor([augment.flip, augment.flip, augment.transpose])
    for start in range(0, len(order) - batch + 1, batch):
        chosen = order[start : start + batch]
        corner = torch.zeros(batch, 2, dtype=torch.long)
        if recipe.geometry != "resize":
            corner = resident.crops(chosen, side, recipe.target_share, generator, mined=recipe.mined, places=places)
        turns = torch.rand(batch, 3, generator=generator) < probability
        yield resident.cut(chosen, corner, side, turns)
