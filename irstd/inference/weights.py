"""Weights that can be passed on: one safetensors file in half precision that says how to build and use its network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors import torch as tensors
from torch import Tensor, nn

from irstd import methods
from irstd.config import params
from irstd.errors import InputError
from irstd.inference.half import halved, restored
from irstd.inference.tiles import Geometry
from irstd.methods import Method

KEY = "irstd"  # of the metadata; one entry, since safetensors writes several in an order that changes


@dataclass(frozen=True, slots=True)
class Label:
    """What a file of weights says of itself.

    row: of params.yaml, a `method` with its `options`. epoch: that was chosen. threshold: of the score, exceeded by
    what counts as predicted. geometry, side: how images are handed to the network, see `irstd.inference.predict`.
    commit, hardware: of the training.
    """

    method: str
    row: str
    dataset: str
    split: str
    seed: int
    epoch: int
    budget: str
    options: dict[str, Any]
    threshold: float
    geometry: Geometry
    side: int
    commit: str | None
    hardware: str | None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A network with its weights, on the CPU, and what is needed to use it."""

    label: Label
    method: Method
    options: Any
    network: nn.Module


def pack(weights: Mapping[str, Tensor], label: Label) -> bytes:
    """The bytes of a file; the same for the same weights and label.

    Raises:
        InputError: as `irstd.inference.half.halved`.
    """
    kept = halved(weights, f"{label.row} on {label.dataset}")
    return tensors.save(kept, metadata={KEY: json.dumps(asdict(label))})


def read_label(path: Path) -> Label:
    """What a file of weights says of itself, without reading the weights.

    Raises:
        InputError: there is no such file, or it is not of weights that `pack` packed.
    """
    if not path.is_file():
        raise InputError(f"there are no weights at {path}; name a file that `irstd` published")
    try:
        with safe_open(path, "pt") as file:
            return Label(**json.loads((file.metadata() or {})[KEY]))
    except (SafetensorError, KeyError, TypeError, ValueError):
        raise InputError(
            f"{path.name} is no file of published weights; those in runs/train become one by `dvc repro pack-weights`"
        ) from None


def load(path: Path) -> Loaded:
    """The network of a file of published weights, in single precision, ready to predict.

    Raises:
        InputError: as `read_label`; or its method is not installed, or has changed since.
    """
    label = read_label(path)
    method = methods.get(label.method)
    try:
        options = params.check(method.options, label.options, "options")
        network = method.build(options)
        network.load_state_dict(restored(tensors.load_file(path)))
    except (InputError, RuntimeError):
        raise InputError(
            f"{path.name} does not fit today's {method.title}; check out the commit of its training "
            f"({label.commit or 'not recorded'}), or train it again"
        ) from None
    return Loaded(label, method, options, network.eval())
