"""Networks as files of ONNX and OpenVINO, and their use: what runs them without torch."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Size, Tensor, nn

from irstd.errors import InputError
from irstd.inference import in_onnx
from irstd.layers.odconv import folded
from irstd.methods import Method
from irstd.metrics.regions import regions


class Scores(nn.Module):
    """A method's network and what its outputs say of each pixel; of one that gives points, its outputs alone.

    maps: whether `forward` gives scores in [0, 1].
    """

    def __init__(self, method: Method, options: Any, network: nn.Module) -> None:
        super().__init__()
        self.method, self.options, self.network = method, options, network
        with torch.no_grad():
            side = max(64, method.multiple)
            outputs = network.eval()(torch.zeros(1, 1, side, side))
            self.maps = method.decode(outputs, options).score is not None

    def points(self, given: ndarray, threshold: float) -> Float[ndarray, "_N 2"]:
        """Row and col (px) of what is found in one image, from what `forward` gave of it, (1, C, H, W)."""
        if self.maps:
            return regions(given[0, 0] > threshold).centroids
        found = self.method.decode(torch.from_numpy(given), self.options).points
        assert found is not None
        one = found[0].numpy()
        return one[one[:, 2] > threshold, :2].astype(float)

    def forward(self, images: Float[Tensor, "B 1 H W"]) -> Tensor:
        """Scores, or the network's outputs."""
        outputs = self.network(images)
        if not self.maps:
            return outputs
        scores = self.method.decode(outputs, self.options).score
        assert scores is not None
        return scores


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
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # else it warns of operators that are not used
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own packages
        images = torch.zeros(shape, device=next(network.parameters()).device)
        torch.onnx.export(
            network, (images,), path, dynamo=True, external_data=False, verbose=False,
            input_names=["images"], output_names=["outputs"],
        )  # fmt: skip


def quantise(path: Path, out: Path, images: Float[ndarray, "N 1 H W"]) -> None:
    """Writes an ONNX file whose products are of 8 bits, with ranges as the images have them.

    Raises:
        InputError: ONNX Runtime is not installed.
    """
    try:
        from onnxruntime import quantization  # noqa: PLC0415 - not needed to train or to report
    except ModuleNotFoundError:
        raise InputError("onnxruntime is missing; pip install 'irstd-workbench[onnx]'") from None

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(images)

        def get_next(self) -> dict[str, ndarray] | None:
            one = next(self.left, None)
            return None if one is None else {"images": one[None]}

    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        # Shapes of this file are known, but for the batch; guessing symbols for them fails on networks that resize.
        quantization.quant_pre_process(path, prepared, skip_symbolic_shape=True)
        products = ["Conv", "ConvTranspose", "MatMul", "Gemm"]
        quantization.quantize_static(prepared, out, Reader(), per_channel=True, op_types_to_quantize=products)


def load(path: Path, threads: int = 0) -> Callable[[Float[ndarray, "B 1 H W"]], ndarray]:
    """A call that maps images through an ONNX file on the CPU; see `irstd.inference.in_onnx.opened`."""
    session = in_onnx.opened(path, threads)
    return lambda images: session.run(None, {"images": images})[0]


def _openvino() -> Any:
    try:
        import openvino  # noqa: PLC0415 - not needed to train or to report
    except ModuleNotFoundError:
        raise InputError("openvino is missing; pip install 'irstd-workbench[openvino]'") from None
    return openvino


def to_openvino(path: Path, out: Path) -> None:
    """Writes an ONNX file as OpenVINO's two: `out`, ending in .xml, and the weights beside it, in .bin.

    Raises:
        InputError: OpenVINO is not installed.
    """
    openvino = _openvino()
    # As it is: half precision would change scores.
    openvino.save_model(openvino.Core().read_model(path), out, compress_to_fp16=False)


def load_openvino(path: Path, threads: int = 0) -> Callable[[Float[ndarray, "B 1 H W"]], ndarray]:
    """A call that maps images through files of OpenVINO on the CPU, in single precision.

    Args:
        threads: 0 for as many as OpenVINO likes.

    Raises:
        InputError: OpenVINO is not installed.
    """
    # Else it takes bfloat16 where the processor has it.
    hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    compiled = _openvino().Core().compile_model(path, "CPU", hints)
    return lambda images: compiled(images)[0]


def session(network: nn.Module, shape: tuple[int, ...] | Size, threads: int = 0) -> Callable[[ndarray], ndarray]:
    """The network exported and loaded at once, by way of a file that does not stay."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        export(network, tuple(shape), path)  # type: ignore[arg-type]
        return load(path, threads)
