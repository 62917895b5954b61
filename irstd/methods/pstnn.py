"""Partial sum of the tensor nuclear norm (Zhang and Peng, Remote Sensing 11(4) 382, 2019).

An image is cut into patches, stacked into a tensor, and split into a background of low rank and a sparse target:
the largest singular values of each frontal slice in the Fourier domain are kept as they are, the others shrunk; the
sparse part is shrunk most where a corner-like structure is weak. Constants are those of the authors' demonstration.
Nothing is learnt; the threshold is chosen on the held-out scenes. 0 parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Complex, Float
from kornia.filters import gaussian_blur2d
from torch import Tensor, nn

from irstd.methods._classical import classical

GREY = 255.0  # the constants are for grey levels of 255
SMALL = 0.01  # in the weights, eq. 21
GROWTH = 1.05  # of the penalty, each iteration


@dataclass(frozen=True)
class Options:
    """patch, step: side of the patches and distance between them, px. sparsity: lambda is this over the square root
    of patch times number of patches. penalty: mu at the start. rank: singular values of at least this share of the
    largest are kept. tolerance, iterations: when to stop.
    """

    patch: int = 40
    step: int = 40
    sparsity: float = 0.7
    penalty: float = 2e-3
    rank: float = 0.1
    tolerance: float = 1e-3
    iterations: int = 500


class PSTNN(nn.Module):
    """The sparse part of each image."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.options = options

    def forward(self, image: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 H W"]:
        """Response, grey levels of 255; each image converges by itself."""
        return torch.stack([self._target(one) for one in image.double() * GREY]).to(image.dtype)

    def _target(self, image: Float[Tensor, "1 H W"]) -> Float[Tensor, "1 H W"]:
        options, (height, width) = self.options, image.shape[-2:]
        tops, lefts = (starts(side, options.patch, options.step) for side in (height, width))
        side = options.patch
        grown = F.pad(image[None], (0, max(0, side - width), 0, max(0, side - height)), mode="replicate")
        prior = corner_strength(grown)

        def patches(of: Tensor) -> Float[Tensor, "N P P"]:
            return torch.stack([of[0, 0, t : t + side, x : x + side] for t in tops for x in lefts])

        sparse = split(patches(grown), patches(prior), options)
        total, seen = torch.zeros_like(grown[0]), torch.zeros_like(grown[0])
        for patch, (top, left) in zip(sparse, ((t, x) for t in tops for x in lefts), strict=True):
            total[0, top : top + side, left : left + side] += patch
            seen[0, top : top + side, left : left + side] += 1
        return (total / seen)[:, :height, :width]


def starts(side: int, patch: int, step: int) -> list[int]:
    """Where patches begin along a side, the last one at its end."""
    last = max(0, side - patch)
    return sorted({*range(0, last + 1, step), last})


def corner_strength(image: Float[Tensor, "1 1 H W"]) -> Float[Tensor, "1 1 H W"]:
    """Prior in [0, 1]: product over sum of the structure tensor's eigenvalues, times the larger one (section 3.2)."""
    smooth = gaussian_blur2d(image, (3, 3), (2.0, 2.0), border_type="replicate")
    down, right = torch.gradient(smooth, dim=(2, 3))
    squares = torch.cat([right * right, down * down, right * down], 1)
    a, b, c = gaussian_blur2d(squares, (3, 3), (9.0, 9.0), border_type="replicate").split(1, 1)
    root = ((a - b) ** 2 + 4 * c * c).sqrt()
    larger, smaller = (a + b + root) / 2, (a + b - root) / 2
    strength = torch.where(larger + smaller > 0, larger * smaller / (larger + smaller).clamp(min=1e-30), 0) * larger
    low, high = strength.min(), strength.max()
    return (strength - low) / (high - low) if high > low else torch.zeros_like(strength)


def split(data: Float[Tensor, "N P P"], prior: Float[Tensor, "N P P"], options: Options) -> Float[Tensor, "N P P"]:
    """The sparse part of a tensor of patches, by the alternating direction method of multipliers (algorithm 2)."""
    values = torch.linalg.svdvals(data.flatten(1))
    kept = max(1, int((values >= options.rank * values[0]).sum()))
    sparsity = options.sparsity / (data.shape[-1] * len(data)) ** 0.5
    penalty = options.penalty
    sparse, dual, weight = torch.zeros_like(data), torch.zeros_like(data), torch.ones_like(data)
    norm, before = data.norm(), 0
    for _ in range(options.iterations):
        low = _shrunk(data - sparse - dual / penalty, kept, 1 / penalty)
        left = data - low - dual / penalty
        sparse = left.sign() * (left.abs() - weight * sparsity / penalty).clamp(min=0)
        weight = kept / (sparse.abs() + SMALL) / prior  # infinite where the prior is 0: nothing sparse there
        apart = low + sparse - data
        now = int((sparse > 0).sum())
        if apart.norm() < options.tolerance * norm or before == now > 0:
            break
        dual, penalty, before = dual + penalty * apart, min(GROWTH * penalty, 1e10), now
    return sparse


def _shrunk(tensor: Float[Tensor, "N P P"], kept: int, by: float) -> Float[Tensor, "N P P"]:
    """All but the `kept` largest singular values of each slice lowered by `by`, in the Fourier domain of patches."""
    slices: Complex[Tensor, "M P P"] = torch.fft.rfft(tensor, dim=0)
    # Eigenvectors of the small Gram matrices are several times as fast as singular vectors, and values small enough
    # to suffer from the squaring are lowered to 0.
    squares, vectors = torch.linalg.eigh(slices.mH @ slices)  # ascending
    values = squares.clamp(min=0).sqrt()
    lowered = (values - by).clamp(min=0)
    lowered[:, -kept:] = values[:, -kept:]
    factors = torch.where(values > 0, lowered / values.clamp(min=1e-30), 0)
    return torch.fft.irfft(slices @ (vectors * factors[:, None]) @ vectors.mH, len(tensor), dim=0)


def build(options: Options) -> PSTNN:
    """The decomposition."""
    return PSTNN(options)


METHOD = classical("PSTNN", "https://doi.org/10.3390/rs11040382", Options, build)
