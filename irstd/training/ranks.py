"""One training on several devices: every rank computes a part of each batch, and all have the same weights.

All ranks draw the same batch and change it the same way, cut their part out for the network, and exchange the outputs,
so that a loss sees the whole batch: those that pool over it mean the same on any number of devices. Batch normalisation
counts all parts too. What one device would have learnt comes out, but for the order of sums.
"""

from __future__ import annotations

import os
from typing import Any

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from lightning_fabric.strategies import DDPStrategy
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils import _pytree as pytree

from irstd.errors import InputError


def by_torchrun() -> bool:
    """Whether `torchrun` started this process, as one of several or alone."""
    return dist.is_torchelastic_launched()


def world(devices: int) -> int:
    """How many processes share a training: what `torchrun` says, else one for each of `devices`."""
    return int(os.environ["WORLD_SIZE"]) if by_torchrun() else devices


def first(devices: int) -> bool:
    """Whether this process is the one that writes; known before `fabric` has made the others."""
    if by_torchrun():
        return os.environ["RANK"] == "0"
    return devices == 1 or os.environ.get("LOCAL_RANK", "0") == "0"


def fabric(on: torch.device, in_precision: str, devices: int) -> Fabric:
    """Fabric for one device or several; of several the other processes are started here, unless `torchrun` did.

    No cluster's own launcher is asked: in an allocation of several tasks a training of one device is one process.

    Raises:
        InputError: so many devices are not there, or one of them is named.
    """
    count, kind = world(devices), "cuda" if on.type == "cuda" else "cpu"
    if count == 1:
        return Fabric(
            accelerator=kind, devices=[on.index or 0] if kind == "cuda" else 1, precision=in_precision,
            plugins=[LightningEnvironment()],
        )  # fmt: skip
    here = int(os.environ["LOCAL_WORLD_SIZE"]) if by_torchrun() else devices
    if kind == "cuda" and (on.index is not None or torch.cuda.device_count() < here):
        raise InputError(
            f"params.yaml: train.devices: {here} are to share a training, but torch sees {torch.cuda.device_count()} "
            "CUDA devices, or train.device names one; lower it, or set train.device to auto"
        )
    made = Fabric(
        accelerator=kind, devices=here, num_nodes=count // here, precision=in_precision,
        plugins=[TorchElasticEnvironment() if by_torchrun() else LightningEnvironment()],
        # Buffers are equal anyway, and the first rank validates alone. A warm-up leaves heads unused.
        strategy=DDPStrategy(find_unused_parameters=True, forward_sync_buffers=False),
    )  # fmt: skip
    made.launch()
    return made


def part(tensor: Tensor, rank: int, count: int) -> Tensor:
    """The rows of a batch that a rank computes."""
    size = len(tensor) // count
    return tensor[rank * size : (rank + 1) * size]


def whole(outputs: Any, rank: int, count: int, size: int) -> Any:
    """A network's outputs for the whole batch, from its parts: those of other ranks are constants.

    A loss of it has the gradients of this rank's part alone, so that the sum over ranks is the gradient of the whole.

    Args:
        outputs: tensors of `size` rows each, in any nesting of lists, tuples and dicts.

    Raises:
        InputError: there is something else in them.
    """

    def gathered(own: Any) -> Tensor:
        if not isinstance(own, Tensor) or not own.dim() or len(own) != size:
            raise InputError(
                "params.yaml: train.devices: the network's outputs are not tensors of a row for each image, so they "
                "cannot be put together from several devices; set it to 1"
            )
        parts = [torch.empty_like(own, memory_format=torch.contiguous_format) for _ in range(count)]
        dist.all_gather(parts, own.detach().contiguous())
        parts[rank] = own
        return torch.cat(parts)

    return pytree.tree_map(gathered, outputs)


def total(number: float, fabric: Fabric) -> float:
    """Sum of a number over all ranks."""
    if fabric.world_size == 1:
        return number
    return float(fabric.all_reduce(torch.tensor(number, dtype=torch.float64), reduce_op="sum"))


def synchronised(network: nn.Module, on: torch.device) -> nn.Module:
    """The network with batch normalisation over all ranks, its parameters and buffers the same objects."""
    if on.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, _BatchNorm):
                setattr(module, name, _SummedBatchNorm(child))
    return network


class _Summed(torch.autograd.Function):
    """The sum of a tensor over all ranks; so is its gradient, since every rank's outputs depend on it."""

    @staticmethod
    def forward(_ctx: Any, own: Tensor) -> Tensor:
        total = own.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:
        return _Summed.forward(_ctx, gradient)


class _SummedBatchNorm(_BatchNorm):
    """Batch normalisation over all ranks, on CPUs; torch's own is for GPUs only."""

    def __init__(self, of: _BatchNorm) -> None:
        super().__init__(of.num_features, of.eps, of.momentum, of.affine, of.track_running_stats)
        self._parameters, self._buffers, self.training = of._parameters, of._buffers, of.training  # noqa: SLF001

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 - torch's name
        pass

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        if not self.training:
            return super().forward(input)
        axes = [axis for axis in range(input.dim()) if axis != 1]
        shape = [-1 if axis == 1 else 1 for axis in range(input.dim())]
        count = input.numel() // input.shape[1] * dist.get_world_size()
        mean = _Summed.apply(input.sum(axes)) / count
        apart = input - mean.view(shape)
        variance = _Summed.apply(apart.square().sum(axes)) / count
        if self.track_running_stats and self.running_mean is not None and self.running_var is not None:
            self.num_batches_tracked += 1
            share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean.detach().to(self.running_mean.dtype), share)
            unbiased = variance.detach() * count / (count - 1)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), share)
        found = apart * (variance + self.eps).rsqrt().view(shape)
        return found * self.weight.view(shape) + self.bias.view(shape) if self.affine else found
