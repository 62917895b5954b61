"""Where networks run: devices, their names, and the versions of the packages that compute."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from irstd.errors import InputError

# Those that a result depends on; and distributions that hold one as well.
PACKAGES = ("torch", "kornia", "lightning-fabric", "numpy", "scipy", "opencv-python-headless")
HELD_BY = {"lightning-fabric": ("lightning",)}


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


def hardware(on: torch.device) -> str:
    """Name of a GPU; or the CPU's, as the system names it, and its number of cores."""
    if on.type == "cuda":
        return torch.cuda.get_device_name(on)
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass
    return f"{name}, {os.cpu_count()} cores"


def versions() -> dict[str, str]:
    """Version of each package that a result depends on."""
    found = {}
    for name in PACKAGES:
        found[name] = "none"
        for distribution in (name, *HELD_BY.get(name, ())):
            with suppress(PackageNotFoundError):
                found[name] = version(distribution)
                break
    return found
