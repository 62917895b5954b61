"""Weights in half precision, to be passed on. Needs torch alone."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from irstd.errors import InputError


def halved(weights: Mapping[str, Tensor], whose: str) -> dict[str, Tensor]:
    """Kernels and matrices in half precision, vectors as they are.

    Vectors are a hundredth of the size, and among them are the variances of normalisations, which may lie outside of
    half precision's range.

    Args:
        whose: for the error.

    Raises:
        InputError: a kernel has a value beyond half precision's range, or one that is not finite.
    """
    kept: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        small = tensor.half() if tensor.is_floating_point() and tensor.dim() > 1 else tensor
        if not torch.isfinite(small).all():
            raise InputError(
                f"the weights {name!r} of {whose} do not fit half precision, or are not finite; train that cell again"
            )
        kept[name] = small.contiguous()
    return kept


def restored(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `halved` gave, in single precision again."""
    return {name: tensor.float() if tensor.dim() > 1 else tensor for name, tensor in weights.items()}
