"""Where networks run."""

from __future__ import annotations

import torch

from irstd.errors import InputError


def device(name: str) -> torch.device:
    """The device that `auto`, `cpu`, `cuda` or `cuda:N` means here.

    Raises:
        InputError: a CUDA device is asked for and is not there, or the name is none of these.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(name)
    except RuntimeError:
        chosen = None
    if chosen is None or chosen.type not in ("cpu", "cuda"):
        raise InputError(f"params.yaml: train.device: {name!r} is no device; use auto, cpu, cuda or cuda:N") from None
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"params.yaml: train.device: {name!r} is asked for, but torch sees {torch.cuda.device_count()} CUDA "
            "devices here; set it to auto or cpu"
        )
    return chosen
