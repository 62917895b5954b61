"""What a step of a training is made of besides its loss: precision, optimiser, learning rate."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from irstd.errors import InputError


def precision(name: str, on: torch.device) -> str:
    """Lightning's name of the precision; `auto` is bf16 on a CUDA device that has it.

    Raises:
        InputError: 16 on a CPU.
    """
    if name == "16" and on.type == "cpu":
        raise InputError("params.yaml: train.precision: a CPU has no 16; use auto, 32 or bf16")
    if name == "auto":
        name = "bf16" if on.type == "cuda" and torch.cuda.is_bf16_supported() else "32"
    return {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}[name]


def optimiser(network: nn.Module, wanted: Any, *, fused: bool = True) -> torch.optim.Optimizer:
    """The optimiser of a recipe; fused where that exists and can be relied on, unless `fused` is false."""
    decay = {"lr": wanted.lr, "weight_decay": wanted.weight_decay}
    parameters = list(network.parameters())
    match wanted.name:
        case "adam":
            return torch.optim.Adam(parameters, **decay, fused=fused)
        case "adamw":
            return torch.optim.AdamW(parameters, **decay, fused=fused)
        case "adagrad":
            return torch.optim.Adagrad(parameters, **decay)
        case _:
            # Never fused: that fails where a parameter has its first gradient later than others, as after a warm-up.
            return torch.optim.SGD(parameters, **decay, momentum=wanted.momentum)


def learning_rate(at: float, epochs: int, lr: float, schedule: Any) -> float:
    """Learning rate at `at` epochs into a training: linear warm-up, then constant or half a cosine to zero."""
    if at < schedule.warmup_epochs:
        return lr * at / schedule.warmup_epochs
    if schedule.name == "constant":
        return lr
    done = (at - schedule.warmup_epochs) / max(epochs - schedule.warmup_epochs, 1e-9)
    return lr * (1 + math.cos(math.pi * min(done, 1.0))) / 2
