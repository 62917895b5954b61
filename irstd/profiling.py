"""What a network costs: parameters, multiply-adds, latency, memory.

Papers print multiply-adds at 256×256 under the name FLOPs; here `gmac` and `gflop` = 2 × gmac stand side by
side, and count convolutions and matrix products only.
"""

from __future__ import annotations

import ctypes
import math
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def parameters(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def gmac(network: nn.Module, size: int = 256) -> float:
    """Multiply-adds, in 1e9, for one grey image of `size` × `size` px."""
    device = next(network.parameters()).device
    network.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 1, size, size, device=device))
    return counter.get_total_flops() / 2e9


@dataclass(frozen=True, slots=True)
class Latency:
    """median_ms: of one batch. fps: images a second at the median. memory_mb: peak beyond what was in use."""

    median_ms: float
    fps: float
    memory_mb: float


@torch.inference_mode()
def latency(network: nn.Module, size: int, batch: int, repeats: int) -> Latency:
    """Times the network alone on its device, after warming up; the clock is read when the device is done.

    Args:
        size: px. batch: images at a time. repeats: timed runs.
    """
    device = next(network.parameters()).device
    images = torch.rand(batch, 1, size, size, device=device)
    network.eval()
    before = _start_of_memory(device)
    times = []
    for run in range(-max(2, repeats // 5), repeats):
        start = time.perf_counter()
        network(images)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if run >= 0:
            times.append(time.perf_counter() - start)
    median = statistics.median(times)
    return Latency(median * 1e3, batch / median, _peak_of_memory(device) - before)


def _start_of_memory(device: torch.device) -> float:
    """Memory in use, MB, with the peak reset to it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device) / 2**20
    try:
        # Pages that the allocator kept would hide what the network needs.
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    except OSError:
        return math.nan  # no Linux: not measured, and so printed as missing
    return _status_mb("VmRSS")


def _peak_of_memory(device: torch.device) -> float:
    return torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else _status_mb("VmHWM")


def _status_mb(field: str) -> float:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return math.nan
    return next(int(line.split()[1]) / 2**10 for line in lines if line.startswith(field))
