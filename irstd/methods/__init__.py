"""What a method is, and how one is found: the folder is the registry.

A method is a file here, or an entry point of the group `irstd.methods` in anybody's package, that holds a
`METHOD`. Loop, augmentation, optimiser, evaluation and report know nothing else about it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pkgutil import iter_modules
from typing import Any, Literal

from torch import Tensor, nn

from irstd.errors import InputError, hint

GROUP = "irstd.methods"


@dataclass(frozen=True, slots=True)
class Labels:
    """The truth of a batch, as far as a method's supervision lets it see.

    mask: (B, 1, H, W) float, 1 on targets; None for a method supervised by points.
    points: (B, P, 2) float, (row, col) in px of each target's centre, NaN where an image has fewer.
    """

    mask: Tensor | None
    points: Tensor


@dataclass(frozen=True, slots=True)
class Step:
    """Where in the training a loss is computed: epochs and steps count from 0."""

    epoch: int
    epochs: int
    step: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a method says of a batch.

    score: (B, 1, H, W) in [0, 1] at the input's resolution, or None if the method only gives points.
    points: for each image (N, 3) of row, col (px, sub-pixel) and score; None if it only gives a map, and
        the centroids of the map's regions are used.
    boxes: for each image (N, 5) of top, left, bottom, right (px; a box around one pixel is one px wide, from half a
        px before its centre to half a px after) and score; None unless the method is a detector.
    """

    score: Tensor | None = None
    points: list[Tensor] | None = None
    boxes: list[Tensor] | None = None


def mask_targets(labels: Labels) -> Tensor:
    """The mask itself: the `targets` of most methods with mask supervision."""
    assert labels.mask is not None
    return labels.mask


def nothing(_network: nn.Module, _outputs: Any, _targets: Any) -> dict[str, Tensor]:
    """No quantity is followed: the `watch` of most methods."""
    return {}


def unchanged(_network: nn.Module, _step: Step, _options: Any) -> None:
    """Nothing changes over a training: the `at_epoch` of most methods."""


@dataclass(frozen=True, slots=True)
class Method:
    """Everything the workbench knows about a method.

    Attributes:
        title: as figures and tables print it.
        paper: where it is published.
        supervision: `mask` or `point`; a point method is never handed a mask.
        options: frozen dataclass of the options of network and loss, all with defaults; params.yaml is checked
            against it.
        build: options to network; the network maps images (B, 1, H, W) in [0, 1] to its outputs.
        loss: (outputs, targets, step, options) to one value per image, (B,).
        decode: (outputs, options) to Prediction.
        targets: labels to what the loss compares with.
        at_epoch: (network, step, options), called before each epoch of a training; for what changes over it.
        watch: (network, outputs, targets) to scalars worth following over a training, detached, by name; the
            mean over each epoch is kept.
        threshold: of the score, exceeded by what counts as predicted; None to choose it on the validation
            scenes, with the epoch.
        multiple: image sides must be a multiple of this; the loop pads, and crops predictions back.
    """

    title: str
    paper: str
    supervision: Literal["mask", "point"]
    options: type
    build: Callable[[Any], nn.Module]
    loss: Callable[[Any, Any, Step, Any], Tensor]
    decode: Callable[[Any, Any], Prediction]
    targets: Callable[[Labels], Any] = mask_targets
    at_epoch: Callable[[nn.Module, Step, Any], None] = unchanged
    watch: Callable[[nn.Module, Any, Any], dict[str, Tensor]] = nothing
    threshold: float | None = 0.5
    multiple: int = 32


def _plugins() -> dict[str, EntryPoint]:
    return _installed(tuple(sys.path))


@cache
def _installed(_path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """Entry points of our group; asking every package takes a while, so it is done once for each search path."""
    return {e.name: e for e in entry_points(group=GROUP)}


def available() -> list[str]:
    """Names of all methods, ours and those that other packages register, in alphabetical order."""
    ours = [m.name for m in iter_modules(__path__) if not m.name.startswith("_")]
    return sorted({*ours, *_plugins()})


def module_name(name: str) -> str:
    """The module that holds the method `name`.

    Raises:
        InputError: no such method.
    """
    if name not in available():
        raise InputError(f"there is no method {name!r}; {hint(name, available())}")
    plugin = _plugins().get(name)
    return plugin.module if plugin else f"{__name__}.{name}"


def get(name: str) -> Method:
    """The method called `name`; imports its module and no other method's.

    Raises:
        InputError: no such method.

    >>> method = get("point_regression")
    >>> method.supervision, sum(p.numel() for p in method.build(method.options()).parameters())
    ('point', 239810)
    """
    return import_module(module_name(name)).METHOD
