"""A Gaussian kernel behind a rotated mask of arms, one of several angles chosen at each pixel.

The rotated pinwheel mask of arXiv 2604.09991 as methods.md B.5 generalises it from the public code. That code's
star of eight arms repeats itself after 45°, so that its angles differ by next to nothing; here the number of arms is
a parameter, and one bar the default. `PinwheelConv2d`, the predecessor without angles, is here for comparison.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from irstd.layers.gaussian import SIGMA_PX, Remembered, gaussian, taps

Selection = Literal["pixel", "image"]
Estimator = Literal["straight_through", "soft"]

SOFTNESS = (1e-3, 1.0)  # limits of a learned softness, px: those of the public code


def period(arms: int, *, chiral: bool = False) -> float:
    """Angle after which a mask of so many arms repeats itself, radians; an arm that is not chiral has both sides."""
    return (2 if chiral else 1) * math.pi / arms


def arm_mask(
    angle: Float[Tensor, "n"],
    softness: Float[Tensor, ""],
    size: int = 7,
    arms: int = 1,
    half_width: float = 0.5,
    *,
    chiral: bool = False,
) -> Float[Tensor, "n k k"]:
    """Soft mask in (0, 1) of bars through the centre of a square kernel, for each angle.

    Args:
        angle: of the first arm, radians from along a row towards larger rows.
        softness: of its edges, px.
        size: side of the kernel, odd, px; arms reach half a px beyond the outermost tap of the middle row.
        arms: bars at equal angles: 1 is a bar, 2 a cross, 4 the star.
        half_width: of a bar, px.
        chiral: arms on one side of the centre only, each shifted by one px, as the blades of a pinwheel and the strips
            of `PinwheelConv2d`; the mask is no longer its own mirror image. Choice: by half a px, edges would go
            through taps.
    """
    row, col = torch.meshgrid(taps(size).to(angle), taps(size).to(angle), indexing="ij")
    step = period(arms, chiral=chiral)
    turned = angle[:, None] + torch.arange(arms, device=angle.device) * step
    cos, sin = turned.cos()[..., None, None], turned.sin()[..., None, None]
    along, across = cos * col + sin * row, -sin * col + cos * row
    sideways = half_width - ((across - 1).abs() if chiral else across.abs())
    edge = torch.minimum(sideways, along - 0.5) if chiral else sideways
    # The nearest arm: the farthest inside of all edges.
    inside = (edge.amax(1) / softness).sigmoid() * ((size / 2 - (row**2 + col**2).sqrt()) / softness).sigmoid()
    centre = (row == 0) & (col == 0)
    return torch.where(centre, 1.0, inside)


def largest(answers: Float[Tensor, "B n H W"]) -> Float[Tensor, "B 1 H W"]:
    """Of each pixel's answers the one of largest absolute value; several times faster than argmax and gather."""
    high, low = answers.amax(1, keepdim=True), answers.amin(1, keepdim=True)
    return torch.where(high >= -low, high, low)


class _Largest(torch.autograd.Function):
    """`largest`, with the gradients that it would have if its choice were soft: the straight-through estimator.

    y = Σ_k (chosen_k + π_k - const(π_k)) y_k, with π the softmax of |y_k| / temperature: a function of its own
    since automatic differentiation would keep five maps where one is enough.
    """

    @staticmethod
    def forward(ctx: Any, answers: Tensor, temperature: float) -> Tensor:
        taken = largest(answers)
        ctx.save_for_backward(answers, taken)
        ctx.temperature = temperature
        return taken

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        answers, taken = ctx.saved_tensors
        size = answers.abs()
        shares = (size / ctx.temperature).softmax(1)
        # d/dy_k of Σ π_j y_j, the y_j held: π_k (y_k - Σ π_j y_j) sign(y_k) / T, and |y_k| = y_k sign(y_k).
        routed = (shares * answers).sum(1, keepdim=True)
        through = shares.mul_(size.addcmul_(routed, answers.sign(), value=-1)).div_(ctx.temperature)
        return through.add_(answers == taken).mul_(gradient), None


class OrientedGaussian2d(Remembered):
    """One map blurred along the direction that answers most, (B, 1, H, W) to (B, 1, H, W).

    The kernel is a Gaussian of learned width behind a mask at a learned angle, of unit sum; n turned copies of it
    are tried, and the one of largest absolute response is taken. Three parameters: logarithms of width and of the
    mask's softness, and the angle.

    Args:
        size: side of the kernel, odd, px.
        arms, half_width, chiral: of the mask, see `arm_mask`.
        candidates: n; angles are spread evenly over the mask's period.
        selection: the angle is chosen for each `pixel`, or for the whole `image` by the mean response.
        estimator: `straight_through`: binary masks and a hard choice, with gradients of soft ones. `soft`: soft masks
            and a mean of the responses weighted by their softmax, so that all gradients are true ones; what the paper
            names as future work.
        sigma, angle, softness: at the start; px, radians, px.
        temperature: of the softmax over absolute responses; small is hard.

    Raises:
        ValueError: the size is even.

    >>> blur = OrientedGaussian2d(size=7, arms=1, candidates=4)
    >>> blur(torch.zeros(2, 1, 32, 48)).shape, sum(p.numel() for p in blur.parameters())
    (torch.Size([2, 1, 32, 48]), 3)
    """

    def __init__(
        self,
        size: int = 7,
        arms: int = 1,
        candidates: int = 4,
        *,
        selection: Selection = "pixel",
        estimator: Estimator = "straight_through",
        chiral: bool = False,
        half_width: float = 0.5,
        sigma: float = 1.5,
        angle: float = 0.0,
        softness: float = 0.1,
        temperature: float = 0.1,
    ) -> None:
        super().__init__()
        if size % 2 == 0:
            raise ValueError(f"size is {size}; an oriented kernel turns about its middle tap, so make it odd")
        self.size, self.arms, self.candidates, self.chiral = size, arms, candidates, chiral
        self.selection, self.estimator = selection, estimator
        self.half_width, self.temperature = half_width, temperature
        self.log_sigma = nn.Parameter(torch.tensor(math.log(sigma)))
        self.angle = nn.Parameter(torch.tensor(angle))
        self.log_softness = nn.Parameter(torch.tensor(math.log(softness)))
        turns = torch.arange(candidates) * period(arms, chiral=chiral) / candidates
        self.register_buffer("turns", turns, persistent=False)
        self.register_buffer("squared", taps(size)[:, None] ** 2 + taps(size) ** 2, persistent=False)

    def sigma(self) -> Float[Tensor, ""]:
        """Width of the Gaussian, px."""
        return self.log_sigma.exp().clamp(*SIGMA_PX)

    def masks(self) -> Float[Tensor, "n k k"]:
        """The mask at each candidate angle; binary, with a soft one's gradients, unless the estimator is `soft`."""
        softness = self.log_softness.exp().clamp(*SOFTNESS)
        angles = self.angle + self.turns
        soft = arm_mask(angles, softness, self.size, self.arms, self.half_width, chiral=self.chiral)
        if self.estimator == "soft":
            return soft
        # Not (hard - soft) + soft: rounding would leave it almost binary.
        return (soft > 0.5).to(soft.dtype) + (soft - soft.detach())

    def kernel(self) -> Float[Tensor, "n 1 k k"]:
        """The kernel at each candidate angle, of unit sum."""
        shape = gaussian(self.squared, self.sigma()) * self.masks()
        return (shape / shape.sum((1, 2), keepdim=True))[:, None]

    def responses(self, x: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B n H W"]:
        """What each candidate angle answers."""
        return F.conv2d(x, self.now(), padding=self.size // 2)

    def chosen(self, responses: Float[Tensor, "B n H W"]) -> Int[Tensor, "B 1 h w"]:
        """Number of the angle that answers most, at each pixel, or (h = w = 1) in each image."""
        return self._strength(responses).argmax(1, keepdim=True)

    def forward(self, x: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 H W"]:
        answers = self.responses(x)
        if self.candidates == 1:
            return answers
        if self.estimator == "soft":
            return (self._shares(answers) * answers).sum(1, keepdim=True)
        if self.selection == "pixel":
            return _Largest.apply(answers, self.temperature) if torch.is_grad_enabled() else largest(answers)
        taken = answers.gather(1, self.chosen(answers).expand(-1, 1, *answers.shape[2:]))
        # Adds nothing but gradients: how the choice would move if it were soft.
        routed = (self._shares(answers) * answers.detach()).sum(1, keepdim=True)
        return taken + (routed - routed.detach())

    def _strength(self, answers: Tensor) -> Tensor:
        size = answers.abs()
        return size if self.selection == "pixel" else size.mean((2, 3), keepdim=True)

    def _shares(self, answers: Tensor) -> Tensor:
        return (self._strength(answers) / self.temperature).softmax(1)


class PinwheelConv2d(nn.Module):
    """PConv (AAAI 2025, arXiv 2412.16986): four strips around each pixel, (B, a, H, W) to (B, c, H/s, W/s).

    The input, padded towards each side in turn, goes through a 1×k or a k×1 convolution, each used twice, as the
    authors' code does (the paper counts four); the four results are joined by a 2×2 convolution. Every convolution is
    followed by batch normalisation and SiLU and has no bias.

    Args:
        a, c: channels in and out; c a multiple of 4.
        length: k, px. stride: s.
    """

    def __init__(self, a: int, c: int, length: int = 3, stride: int = 1) -> None:
        super().__init__()
        if c % 4:
            raise ValueError(f"{c} channels cannot be parted among four strips; take a multiple of 4")
        self.pads = [(length, 0, 1, 0), (0, length, 0, 1), (0, 1, length, 0), (1, 0, 0, length)]

        def convolution(a: int, c: int, size: tuple[int, int], stride: int = 1) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(a, c, size, stride, bias=False), nn.BatchNorm2d(c), nn.SiLU(inplace=True))

        self.along = convolution(a, c // 4, (1, length), stride)
        self.down = convolution(a, c // 4, (length, 1), stride)
        self.join = convolution(c, c, (2, 2))

    def forward(self, x: Float[Tensor, "B a H W"]) -> Float[Tensor, "B c h w"]:
        strips = (self.along, self.along, self.down, self.down)
        return self.join(torch.cat([f(F.pad(x, pad)) for f, pad in zip(strips, self.pads, strict=True)], 1))
