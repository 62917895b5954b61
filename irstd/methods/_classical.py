"""What classical detectors have in common: a filter whose response is the score, and nothing to learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from irstd.layers.contrast import stretched
from irstd.losses.unlearnt import unlearnt
from irstd.methods import Method, Prediction


def decode(outputs: Float[Tensor, "B 1 H W"], _options: Any) -> Prediction:
    """Each image's response over its largest."""
    return Prediction(stretched(outputs))


def classical(title: str, paper: str, options: type, build: Callable[[Any], nn.Module]) -> Method:
    """A method of a filter without parameters; its threshold is chosen on the held-out scenes.

    Args:
        title, paper, options, build: as of `Method`; the network maps images of any size to their response.
    """
    return Method(
        title=title, paper=paper, supervision="mask", options=options, build=build, loss=unlearnt, decode=decode,
        threshold=None, multiple=1,
    )  # fmt: skip
