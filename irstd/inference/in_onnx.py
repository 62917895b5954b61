"""A file of `irstd export` as what `irstd.inference.tiles` asks of a network, in ONNX Runtime: needs no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from irstd.errors import InputError
from irstd.inference.tiles import continued

KEY = "irstd"  # of the metadata
SHARE = 8  # of a tile's side is discarded of each of its sides


@dataclass(frozen=True, slots=True)
class Piece:
    """See `irstd.inference.predict.Predicted`."""

    score: Float[ndarray, "H W"] | None
    points: None = None


def opened(path: Path, threads: int = 0) -> Any:
    """ONNX Runtime's session of a file, on the CPU.

    Args:
        threads: 0 for as many as ONNX Runtime likes.

    Raises:
        InputError: ONNX Runtime is not installed, or the file is no ONNX.
    """
    try:
        import onnxruntime  # noqa: PLC0415 - not needed to train or to report
    except ModuleNotFoundError:
        raise InputError("onnxruntime is missing; pip install 'irstd-workbench[predict]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except (RuntimeError, ValueError, onnxruntime.capi.onnxruntime_pybind11_state.InvalidProtobuf) as error:
        raise InputError(f"{path} cannot be read as ONNX ({str(error).splitlines()[0]}); export it again") from None


def write_label(path: Path, label: dict[str, Any]) -> None:
    """Writes into an ONNX file what it is of."""
    import onnx  # noqa: PLC0415 - only to write

    model = onnx.load(path)
    onnx.helper.set_model_props(model, {KEY: json.dumps(label)})
    onnx.save(model, path)


class InOnnx:
    """A network in a file of one size; smaller pictures are padded by their mirror image, larger ones taken in tiles.

    Attributes:
        label: what the file says of itself, as `irstd.inference.weights.Label`, and `title` of its method.

    Raises:
        InputError: the file is not one of `irstd export`, gives no scores, or ONNX Runtime is not installed.
    """

    multiple = 1

    def __init__(self, path: Path) -> None:
        self.session = opened(path)
        self.label = json.loads(self.session.get_modelmeta().custom_metadata_map.get(KEY, "{}"))
        if not self.label:
            raise InputError(f"{path} does not say what it is of; make it by `irstd export`")
        if not self.label["maps"]:
            raise InputError(
                f"{path} gives {self.label['title']}'s own maps, in which torch finds points; name the weights "
                f"themselves, {self.label['dataset']}/{self.label['row']}"
            )
        self.tile: tuple[int, int] = tuple(self.session.get_inputs()[0].shape[2:])
        self.margin = min(self.tile) // SHARE

    def takes(self, height: int, width: int) -> bool:
        return height <= self.tile[0] and width <= self.tile[1]

    def __call__(self, grey: UInt8[ndarray, "H W"]) -> Piece:
        height, width = grey.shape
        images = continued(grey, self.tile)[None, None] / np.float32(255)
        (scores,) = self.session.run(None, {"images": images})
        return Piece(np.ascontiguousarray(scores[0, 0, :height, :width]))
