"""Other convolutions put into a network that is already built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from irstd.errors import InputError
from irstd.layers.gaussian import GaussianConv2d


@dataclass(frozen=True, slots=True)
class Replaced:
    """names: of the convolutions replaced, in the network's order. before, after: parameters of the whole network."""

    names: tuple[str, ...]
    before: int
    after: int

    def __str__(self) -> str:
        added = self.after - self.before
        return f"{len(self.names)} convolutions replaced, {self.before:,} parameters {added:+,}"


def under_gaussian(conv: nn.Conv2d, sigma: float = 1.5, *, project: bool = True) -> GaussianConv2d:
    """The convolution with its weights under a Gaussian: one parameter more.

    Args:
        sigma: width at the start, px.
        project: divide the weights by the Gaussian, so that what it computes stays the same at the start; else they
            are kept as they are, and taps far from the centre count for less.

    Raises:
        InputError: the Gaussian is so narrow that some weight would be magnified beyond a thousand times.
    """
    size, padding = conv.kernel_size, conv.padding
    made = GaussianConv2d(
        conv.in_channels, conv.out_channels, size, conv.stride, padding, conv.dilation, conv.groups,
        conv.bias is not None, conv.padding_mode, sigma=sigma,
    ).to(conv.weight)  # fmt: skip
    with torch.no_grad():
        shape = made.envelope()
        if project and shape.min() < 1e-3:
            raise InputError(
                f"under a Gaussian of sigma {sigma} px some weights of a {size[0]}×{size[1]} kernel would have to grow "
                "more than a thousand times; make sigma larger, or do not project"
            )
        made.weight.copy_(conv.weight / shape if project else conv.weight)
        if conv.bias is not None:
            made.bias.copy_(conv.bias)
    return made.train(conv.training)


def replace_convs(
    model: nn.Module, select: Callable[[str, nn.Conv2d], bool], by: Callable[[nn.Conv2d], nn.Module] = under_gaussian
) -> Replaced:
    """Puts `by(conv)` in place of the chosen convolutions of `model`, in place.

    A convolution used in two places is replaced by one module in both.

    Args:
        select: from its name in `model` and the convolution to whether it is replaced.
        by: makes the new layer of the old.

    Raises:
        InputError: no convolution is chosen, or the model is itself one.

    >>> network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1))
    >>> replace_convs(network, lambda name, conv: conv.kernel_size == (3, 3)).names
    ('0',)
    >>> type(network[0]).__name__
    'GaussianConv2d'
    """
    before = sum(p.numel() for p in model.parameters())
    found = [(n, m) for n, m in model.named_modules(remove_duplicate=False) if isinstance(m, nn.Conv2d)]
    chosen = [(name, conv) for name, conv in found if select(name, conv)]
    if not chosen:
        raise InputError(f"none of the {len(found)} convolutions of {type(model).__name__} was chosen; fix `select`")
    made: dict[nn.Conv2d, nn.Module] = {}
    for name, conv in chosen:
        if not name:
            raise InputError("the model is itself a convolution, which cannot be replaced in place; call `by` on it")
        parent, _, last = name.rpartition(".")
        if conv not in made:
            made[conv] = by(conv)
        setattr(model.get_submodule(parent), last, made[conv])
    return Replaced(tuple(name for name, _ in chosen), before, sum(p.numel() for p in model.parameters()))
