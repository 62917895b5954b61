"""What the oriented kernels of a network have learnt, and how they answer targets that turn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from kornia.geometry.transform import rotate
from torch import Tensor, nn

from irstd.layers.attention import SpatialAttention
from irstd.layers.gaussian import GaussianConv2d
from irstd.layers.pinwheel import OrientedGaussian2d

SIDE_PX = 31  # of the drawn target's image
LONG_PX, SHORT_PX = 3.0, 0.8  # deviations of the drawn target along and across
STEP_DEG = 5


def oriented(network: nn.Module) -> dict[str, OrientedGaussian2d]:
    """The oriented layers of a network by name, in its order."""
    return {name: module for name, module in network.named_modules() if isinstance(module, OrientedGaussian2d)}


def directions(layer: OrientedGaussian2d) -> list[float]:
    """Degrees of each candidate's first arm, from along a row towards larger rows."""
    return torch.rad2deg(layer.angle + layer.turns).tolist()


def _table(rows: Sequence[tuple[Any, ...]], *columns: str) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns))


@torch.no_grad()
def kernels(network: nn.Module) -> pd.DataFrame:
    """Every tap of every candidate's kernel: layer, candidate, row, col, value."""
    return _table(
        [
            (name, candidate, row, col, float(value))
            for name, layer in oriented(network).items()
            for candidate, kernel in enumerate(layer.kernel()[:, 0])
            for row, line in enumerate(kernel)
            for col, value in enumerate(line)
        ],
        "layer", "candidate", "row", "col", "value",
    )  # fmt: skip


@torch.no_grad()
def learnt(network: nn.Module) -> pd.DataFrame:
    """Width, angle and softness of every layer: layer, sigma_px, angle_deg, softness_px."""
    return _table(
        [
            (name, float(one.sigma()), math.degrees(float(one.angle)), float(one.log_softness.exp()))
            for name, one in oriented(network).items()
        ],
        "layer", "sigma_px", "angle_deg", "softness_px",
    )  # fmt: skip


@torch.no_grad()
def choices(network: nn.Module, image: Float[Tensor, "1 1 H W"]) -> dict[str, Tensor]:
    """For each oriented layer, which candidate every pixel of its map chooses: (h, w) whole numbers."""
    seen: dict[str, Tensor] = {}
    hooks = [
        layer.register_forward_pre_hook(
            lambda module, given, name=name: seen.update({name: module.chosen(module.responses(given[0]))[0, 0]})
        )
        for name, layer in oriented(network).items()
    ]
    network.eval()(image)
    for hook in hooks:
        hook.remove()
    return seen


def shares(network: nn.Module, images: Sequence[Tensor], masks: Sequence[Tensor]) -> pd.DataFrame:
    """How often each candidate is chosen: layer, candidate, its direction, share of all pixels, and of targets'.

    Args:
        images: (1, 1, H, W) in [0, 1], sides a multiple of 16. masks: (1, 1, H, W), 1 on targets.
    """
    total: dict[tuple[str, int], list[float]] = {}
    for image, mask in zip(images, masks, strict=True):
        for name, chosen in choices(network, image).items():
            on = nn.functional.adaptive_max_pool2d(mask, chosen.shape)[0, 0] > 0
            for candidate in range(oriented(network)[name].candidates):
                counts = total.setdefault((name, candidate), [0, 0, 0, 0])
                here = chosen == candidate
                for place, value in enumerate((here.sum(), here.numel(), (here & on).sum(), on.sum())):
                    counts[place] += int(value)
    degrees = {name: directions(layer) for name, layer in oriented(network).items()}
    return _table(
        [
            (name, k, degrees[name][k], c[0] / c[1], c[2] / c[3] if c[3] else math.nan)
            for (name, k), c in total.items()
        ],
        "layer", "candidate", "direction_deg", "share", "share_on_targets",
    )  # fmt: skip


def drawn(degrees: float, side: int = SIDE_PX) -> Float[Tensor, "1 1 h w"]:
    """An elongated Gaussian target through the middle of an image, at an angle from along a row towards larger rows."""
    places = torch.arange(side) - (side - 1) / 2
    row, col = torch.meshgrid(places, places, indexing="ij")
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    along, across = cos * col + sin * row, -sin * col + cos * row
    return torch.exp(-(along**2) / (2 * LONG_PX**2) - across**2 / (2 * SHORT_PX**2))[None, None]


@torch.no_grad()
def turning_target(layers: dict[str, OrientedGaussian2d]) -> pd.DataFrame:
    """Answers at the middle of a target turned through 360°, as the schema `turning` says."""
    middle, rows = SIDE_PX // 2, []
    for name, layer in layers.items():
        along = directions(layer)
        for degrees in range(0, 360, STEP_DEG):
            answers = layer.responses(drawn(float(degrees)))
            chosen = int(layer.chosen(answers).expand(1, 1, SIDE_PX, SIDE_PX)[0, 0, middle, middle])
            rows += [
                (name, degrees, k, along[k], float(answers[0, k, middle, middle]), int(k == chosen))
                for k in range(layer.candidates)
            ]
    return _table(rows, "layer", "angle_deg", "candidate", "direction_deg", "response", "chosen")


def attentions() -> dict[str, nn.Module]:
    """Kernels to compare, as they start: MSHNet's random 7×7, a Gaussian, and masks of one to four bars."""
    torch.manual_seed(0)
    plain = SpatialAttention(bias=False).conv
    single = nn.Conv2d(1, 1, 7, padding=3, bias=False)
    single.weight.data = plain.weight.data.sum(1, keepdim=True)
    return {
        "7×7 convolution": single,
        "Gaussian": GaussianConv2d(1, 1, 7, padding=3, bias=False, mode="fixed"),
        "1 bar, 4 angles": OrientedGaussian2d(),
        "1 bar, 8 angles": OrientedGaussian2d(candidates=8),
        "2 bars, 4 angles": OrientedGaussian2d(arms=2),
        "4 bars, 4 angles": OrientedGaussian2d(arms=4),
        "4 blades, 4 angles": OrientedGaussian2d(arms=4, chiral=True),
    }


@torch.no_grad()
def equivariance(layers: dict[str, nn.Module]) -> pd.DataFrame:
    """How far f(turned image) is from turned f(image): kernel, angle_deg, error.

    The error is the root mean square of the difference over that of f, in a disc that no corner turns into. The image
    is a smooth one made from a seed; the turn is bilinear, which alone gives the small error of the Gaussian.
    """
    noise = torch.randn(1, 1, 129, 129, generator=torch.Generator().manual_seed(0))
    image = GaussianConv2d(1, 1, 15, padding=7, bias=False, mode="fixed", sigma=2.0)(noise)
    places = torch.arange(129) - 64
    disc = (places[:, None] ** 2 + places**2) < 50**2
    rows = []
    for name, layer in layers.items():
        answer = layer(image)
        for degrees in range(0, 181, STEP_DEG):
            angle = torch.tensor([float(degrees)])
            difference = (layer(rotate(image, angle)) - rotate(answer, angle))[0, 0][disc]
            size = answer[0, 0][disc].square().mean().sqrt()
            rows.append((name, degrees, float(difference.square().mean().sqrt() / size)))
    return _table(rows, "kernel", "angle_deg", "error")
