"""Networks as ONNX files, and their use in ONNX Runtime: what runs them without torch."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Size, nn

from irstd.errors import InputError
from irstd.layers.odconv import folded


def export(network: nn.Module, shape: tuple[int, int, int, int], path: Path) -> None:
    """Writes the network, in evaluation mode, as an ONNX file for images of one shape.

    Args:
        shape: of its input, (B, 1, H, W).
        path: ending in .onnx; the weights are inside.

    Raises:
        InputError: the packages that export are not installed.
    """
    try:
        import onnxscript  # noqa: F401, PLC0415 - torch's exporter needs it and says so less plainly
    except ModuleNotFoundError:
        raise InputError(
            "onnxscript is missing, so nothing can be exported; pip install 'irstd-workbench[onnx]'"
        ) from None
    network = folded(network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own packages
        images = torch.zeros(shape, device=next(network.parameters()).device)
        torch.onnx.export(
            network, (images,), path, dynamo=True, external_data=False, verbose=False,
            input_names=["images"], output_names=["outputs"],
        )  # fmt: skip


def load(path: Path, threads: int = 0) -> Callable[[Float[ndarray, "B 1 H W"]], ndarray]:
    """A call that maps images through an ONNX file on the CPU.

    Args:
        threads: 0 for as many as ONNX Runtime likes.

    Raises:
        InputError: ONNX Runtime is not installed.
    """
    try:
        import onnxruntime  # noqa: PLC0415 - not needed to train or to report
    except ModuleNotFoundError:
        raise InputError("onnxruntime is missing; pip install 'irstd-workbench[onnx]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images})[0]


def session(network: nn.Module, shape: tuple[int, ...] | Size, threads: int = 0) -> Callable[[ndarray], ndarray]:
    """The network exported and loaded at once, by way of a file that does not stay."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        export(network, tuple(shape), path)  # type: ignore[arg-type]
        return load(path, threads)
