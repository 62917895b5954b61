"""What a network costs: parameters, multiply-adds, latency, memory.

Papers print multiply-adds at 256×256 under the name FLOPs; here `gmac` and `gflop` = 2 × gmac stand side by
side, and count convolutions and matrix products only.
"""

from __future__ import annotations

import ctypes
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from irstd.methods import Labels, Method, Step

Form = Literal["torch", "compiled", "onnxruntime", "graph"]


def parameters(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def gmac(network: nn.Module, size: int = 256) -> float:
    """Multiply-adds, in 1e9, for one grey image of `size` × `size` px."""
    device = next((p.device for p in network.parameters()), torch.device("cpu"))  # a filter has no parameters
    network.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 1, size, size, device=device))
    return counter.get_total_flops() / 2e9


def size_of(build: Callable[[], nn.Module]) -> tuple[int, float | None]:
    """Parameters and `gmac` of what `build` makes; None in place of multiply-adds where there are no parameters.

    It is built and run as it is used. On torch's device `meta`, shapes alone, it is no faster, and what `build` imports
    for the first time (ultralytics has tensors as attributes of a class) would stay there as long as the process.
    """
    network = build()
    count = parameters(network)
    return count, gmac(network) if count else None


def trial(method: Method, options: Any, size: int, batch: int) -> Callable[[nn.Module], Tensor]:
    """The loss of a network of `method` on noise with a target of 4 × 4 px in each of `batch` images of `size` px."""
    image, mask = torch.rand(batch, 1, size, size), torch.zeros(batch, 1, size, size)
    mask[..., 8:12, 8:12] = 1
    labels = Labels(mask if method.supervision == "mask" else None, torch.full((batch, 1, 2), 9.5))
    # Of the last epoch, when nothing warms up any more.
    return lambda network: method.loss(network(image), method.targets(labels), Step(9, 10, 9), options).mean()


def training_flop(method: Method, options: Any, size: int) -> int:
    """Floating-point operations of a step, forwards and backwards, for each image; counted as in `gmac`, times two."""
    network, loss = method.build(options).train(), trial(method, options, size, 2)
    with FlopCounterMode(display=False) as counter:
        loss(network).backward()
    return counter.get_total_flops() // 2


def busy(seconds: float = 1.0) -> float:
    """Share of this machine's processors that is at work now, in [0, 1]; this process waits meanwhile."""
    import psutil  # noqa: PLC0415 - not needed to train

    return psutil.cpu_percent(seconds) / 100


def runner(network: nn.Module, form: Form, images: Tensor, threads: int = 0) -> Callable[[], object]:
    """A call that maps `images` through the network in one of the forms it can run in.

    `torch`: as it is. `compiled`: by torch.compile. `onnxruntime`: exported to ONNX, in ONNX Runtime on the CPU.
    `graph`: captured in a CUDA graph, one launch for all kernels.

    Args:
        images: (B, 1, H, W), on the network's device; all forms are made for this shape.
        threads: of ONNX Runtime; 0 for as many as it likes.

    Raises:
        RuntimeError: the form does not exist on this device.
    """
    network.eval()
    on_gpu = images.device.type == "cuda"
    if form == "torch":
        return lambda: network(images)
    if form == "compiled":
        compiled = torch.compile(network)
        return lambda: compiled(images)
    if form == "graph":
        if not on_gpu:
            raise RuntimeError("a CUDA graph needs a GPU")
        return _captured(network, images)
    if on_gpu:
        raise RuntimeError("ONNX Runtime is measured on the CPU only")
    from irstd.inference.export import session  # noqa: PLC0415 - onnx is slow to load and often not needed

    run, given = session(network, images.shape, threads), images.numpy()
    return lambda: run(given)


def _captured(network: nn.Module, images: Tensor) -> Callable[[], object]:
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # capturing wants kernels and workspaces chosen before
        for _ in range(3):
            network(images)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = network(images)

    def replay() -> Tensor:
        graph.replay()
        return outputs

    return replay


@dataclass(frozen=True, slots=True)
class Latency:
    """median_ms: of one batch. fps: images a second at the median. memory_mb: peak beyond what was in use."""

    median_ms: float
    fps: float
    memory_mb: float


@torch.inference_mode()
def latency(network: nn.Module, size: int, batch: int, repeats: int, form: Form = "torch", threads: int = 0) -> Latency:
    """Times the network alone on its device, after warming up; the clock is read when the device is done.

    Args:
        size: px. batch: images at a time. repeats: timed runs. form, threads: see `runner`.

    Raises:
        RuntimeError: the form does not exist on this device.
    """
    device = next(network.parameters()).device
    images = torch.rand(batch, 1, size, size, device=device)
    # A graph takes its memory when it is captured; what exporting and compiling take is not the network's.
    before = _start_of_memory(device) if form == "graph" else 0.0
    call = runner(network, form, images, threads)
    before = before if form == "graph" else _start_of_memory(device)
    times = []
    for run in range(-max(2, repeats // 5), repeats):
        start = time.perf_counter()
        call()
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
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again
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
