"""Convolutions whose kernel is, or lies under, a Gaussian of learned width (arXiv 2604.09991, methods.md B.4).

`fixed`: the kernel is the Gaussian itself, of unit sum, and its width the only parameter. `envelope`: learned
weights are multiplied by the Gaussian, of height 1; with weight decay this is a prior whose variance falls with the
distance from the centre. At a large width it is an ordinary convolution.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

Mode = Literal["fixed", "envelope"]

SIGMA_PX = (0.01, 10.0)  # limits of a learned width, those of the paper's public code


def gaussian(squared: Float[Tensor, "*K"], sigma: Float[Tensor, ""]) -> Float[Tensor, "*K"]:
    """exp(-r² / 2σ²), of height 1 at the tap nearest the centre, however narrow it is.

    Args:
        squared: r² of each tap, px². sigma: px.
    """
    return torch.exp(-(squared - squared.min()) / (2 * sigma**2))


def taps(size: int, dilation: int = 1) -> Float[Tensor, "k"]:
    """Places of a kernel's taps along one axis, px from its centre.

    >>> taps(3).tolist(), taps(2).tolist(), taps(3, dilation=2).tolist()
    ([-1.0, 0.0, 1.0], [-0.5, 0.5], [-2.0, 0.0, 2.0])
    """
    return (torch.arange(size) - (size - 1) / 2) * dilation


class Remembered(nn.Module):
    """A module whose kernel is computed at each step in training, and once, until a parameter changes, in inference."""

    _memory: tuple[Any, Tensor] | None = None

    def kernel(self) -> Tensor:
        """The kernel that the parameters now give."""
        raise AssertionError("a subclass has it")

    def now(self) -> Tensor:
        """The kernel, from memory where that is safe: outside training, autograd, compilation and export."""
        parameters = list(self.parameters(recurse=False))
        traced = torch.compiler.is_compiling() or torch.compiler.is_exporting()
        if self.training or traced or torch.is_grad_enabled() or any(p.is_inference() for p in parameters):
            return self.kernel()
        # In-place changes raise the version; a move or a cast makes another tensor.
        stamp = [(p.data_ptr(), p._version, p.dtype) for p in parameters]  # noqa: SLF001
        if self._memory is None or self._memory[0] != stamp:
            self._memory = (stamp, self.kernel().detach())
        return self._memory[1]

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_memory"}


class _UnderGaussian(Remembered):
    """What the two- and the three-dimensional layer share; mixed in before nn.Conv2d or nn.Conv3d."""

    mode: Mode

    def _begin(self, mode: Mode, sigma: float, limits: tuple[float, float]) -> None:
        self.mode, self.limits = mode, limits
        self.log_sigma = nn.Parameter(torch.tensor(math.log(sigma)))
        if mode == "fixed":
            self.weight = None

    def sigma(self) -> Float[Tensor, ""]:
        """Width of the Gaussian, px."""
        return self.log_sigma.exp().clamp(*self.limits)

    def envelope(self) -> Tensor:
        """The Gaussian at each tap, of height 1."""
        raise AssertionError("a subclass has it")

    def kernel(self) -> Tensor:
        shape = self.envelope()
        if self.mode == "envelope":
            return self.weight * shape
        return (shape / shape.sum()).expand(self.out_channels, self.in_channels // self.groups, *shape.shape)

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.now(), self.bias)


class GaussianConv2d(_UnderGaussian, nn.Conv2d):
    """A convolution whose kernel is a Gaussian, or learned weights under one.

    (B, C, H, W) to (B, out_channels, h, w) as nn.Conv2d, with its stride, padding, dilation, groups and bias. `fixed`
    has one parameter (besides a bias), `envelope` one more than nn.Conv2d.

    Args:
        mode: `fixed`: each output channel is the sum of its group's input channels, blurred. `envelope`: see above.
        sigma: width at the start, px of the input: taps of a dilated kernel are so much farther apart.
        limits: smallest and largest width, px; its gradient is 0 beyond.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        *args: Any,
        mode: Mode = "envelope",
        sigma: float = 1.5,
        limits: tuple[float, float] = SIGMA_PX,
        **others: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, *args, **others)
        self._begin(mode, sigma, limits)
        rows, cols = (taps(k, d) for k, d in zip(self.kernel_size, self.dilation, strict=True))
        self.register_buffer("squared", rows[:, None] ** 2 + cols**2, persistent=False)

    def envelope(self) -> Float[Tensor, "kh kw"]:
        return gaussian(self.squared, self.sigma())


class GaussianConv3d(_UnderGaussian, nn.Conv3d):
    """The same over time: frames (B, C, T, H, W) to (B, out_channels, t, h, w) as nn.Conv3d.

    The Gaussian has a width in px and one in frames, and its centre moves with a learned velocity, so that a target
    that crosses the frames stays under it: exp(-|x - v t|² / 2σ² - t² / 2τ²). The extension to time that the paper
    names as future work; nothing of it is published, so all of it is a choice.

    Args:
        sigma: width at the start, px. duration: width along time at the start, frames.
        velocity: at the start, (rows, columns) px a frame.
        mode, limits: as in `GaussianConv2d`; the limits hold for both widths.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int, int],
        *args: Any,
        mode: Mode = "envelope",
        sigma: float = 1.5,
        duration: float = 1.5,
        velocity: tuple[float, float] = (0.0, 0.0),
        limits: tuple[float, float] = SIGMA_PX,
        **others: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, *args, **others)
        self._begin(mode, sigma, limits)
        self.log_duration = nn.Parameter(torch.tensor(math.log(duration)))
        self.velocity = nn.Parameter(torch.tensor(velocity))
        axes = [taps(k, d) for k, d in zip(self.kernel_size, self.dilation, strict=True)]
        self.register_buffer("places", torch.stack(torch.meshgrid(*axes, indexing="ij")), persistent=False)

    def envelope(self) -> Float[Tensor, "kt kh kw"]:
        time, row, col = self.places
        duration = self.log_duration.exp().clamp(*self.limits)
        squared = (row - self.velocity[0] * time) ** 2 + (col - self.velocity[1] * time) ** 2
        # In units of the width along time, so that one Gaussian does both.
        return gaussian(squared / self.sigma() ** 2 + (time / duration) ** 2, torch.ones_like(duration))
