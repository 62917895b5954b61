"""Omni-dimensional dynamic convolution (ODConv, ICLR 2022, arXiv 2209.07947): a kernel of its own for each image.

    y = a_f * ((sum_i a_w,i  a_s * W_i) conv (a_c * x))

Four attentions, computed from the means of the input's channels, scale the kernels (a_w, softmax over n), their
taps (a_s), input channels (a_c) and output channels (a_f). All four can be folded into the kernel, since each
scales one of its axes; what is left is one convolution with another kernel for each image of the batch.
"""

from __future__ import annotations

import copy
import itertools
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from irstd.errors import InputError

Form = Literal["auto", "grouped", "each", "taps"]
Norm = Literal["batch", "layer"]


def convolve_each(
    x: Float[Tensor, "B C H W"],
    kernels: Float[Tensor, "B O c kh kw"],
    bias: Float[Tensor, "O"] | None = None,
    *,
    stride: int = 1,
    groups: int = 1,
    form: Form = "auto",
) -> Float[Tensor, "B O h w"]:
    """Convolves each image with its own kernel, padded to keep its size (at stride 1).

    Three forms of one sum, equal but for rounding:

    `grouped`: the batch folded into the groups of one convolution, as the authors' code does.
    `each`: one ordinary convolution an image.
    `taps`: the shifted images stacked, one batched matrix product; stride 1 and one group only.

    `auto`: an ordinary convolution for a batch of one; else, on a CPU, where grouped convolutions of large maps
    are slow, `each` for maps over 64×64, with gradients from 24×24 on, and `grouped` below (measured; `make bench`
    compares them), and on a GPU `grouped`, as in the authors' code (not measured here).
    """
    batch, channels, height, width = x.shape
    out, size = kernels.shape[1], kernels.shape[-2:]
    padding = (size[0] // 2, size[1] // 2)
    if form == "auto":
        # A gradient in another memory format than its map's, as grouped ones are, slows the layers below as well.
        large = x.device.type == "cpu" and height * width >= (24 * 24 if x.requires_grad else 64 * 64 + 1)
        form = "each" if batch == 1 or large else "grouped"
    if form == "each":
        pairs = zip(x.split(1), kernels, strict=True)
        pieces = [F.conv2d(one, kernel, bias, stride, padding, 1, groups) for one, kernel in pairs]
        return pieces[0] if batch == 1 else torch.cat(pieces)
    if form == "grouped":
        folded = x.reshape(1, batch * channels, height, width)
        every = None if bias is None else bias.repeat(batch)
        y = F.conv2d(folded, kernels.flatten(0, 1), every, stride, padding, 1, batch * groups)
        return y.view(batch, out, *y.shape[-2:])
    if stride != 1 or groups != 1:
        raise ValueError("the form `taps` has stride 1 and one group")
    padded = F.pad(x, (padding[1], padding[1], padding[0], padding[0]))
    shifted = [padded[:, :, r : r + height, c : c + width] for r in range(size[0]) for c in range(size[1])]
    matrix = kernels.permute(0, 1, 3, 4, 2).flatten(2)
    y = torch.bmm(matrix, torch.cat(shifted, 1).flatten(2)).view(batch, out, height, width)
    return y if bias is None else y + bias[:, None, None]


class ODConv2d(nn.Module):
    """Convolution without bias whose kernel depends on the image.

    Args:
        size: kernel height and width, odd.
        kernels: n, how many kernels are mixed; for one there is no mixing.
        reduction: width of the attentions' hidden layer as a share of the input channels, at least `least`.
        norm: of that layer: over the batch, as published for batches of hundreds, or over the layer itself,
            which is the same in training and use, whatever the batch.

    The logits are divided by `temperature`, a buffer: 1, unless the training anneals it.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: tuple[int, int],
        *,
        stride: int = 1,
        groups: int = 1,
        kernels: int = 1,
        reduction: float = 1 / 16,
        least: int = 16,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.stride, self.groups, self.form = stride, groups, "auto"
        self.shape = (kernels, outputs, inputs // groups, *size)
        hidden = max(int(inputs * reduction), least)
        taps = size[0] * size[1]
        # All kernels in four axes: a fifth would forbid the memory format channels-last.
        self.weight = nn.Parameter(torch.empty(kernels * outputs, inputs // groups, *size))
        self.squeeze = nn.Linear(inputs, hidden, bias=False)
        self.norm = nn.BatchNorm1d(hidden) if norm == "batch" else nn.LayerNorm(hidden)
        self.channel = nn.Linear(hidden, inputs)
        # As in the paper: no attention over what there is only one of, nor over depthwise filters.
        self.filter = None if groups == inputs == outputs else nn.Linear(hidden, outputs)
        self.spatial = nn.Linear(hidden, taps) if taps > 1 else None
        self.kernel = nn.Linear(hidden, kernels) if kernels > 1 else None
        self.register_buffer("temperature", torch.ones(()))
        for module in (self.squeeze, self.channel, self.filter, self.spatial, self.kernel):
            if module is not None:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for one in self.weight.detach().view(self.shape):
            nn.init.kaiming_normal_(one, mode="fan_out", nonlinearity="relu")

    def kernels_of(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B O c kh kw"]:
        """The kernel of each image, all attentions folded in.

        Raises:
            InputError: a batch of one in training, whose attention cannot be normalised over the batch.
        """
        if self.training and len(x) == 1 and isinstance(self.norm, nn.BatchNorm1d):
            raise InputError(
                "this ODConv normalises its attention over the batch, so it cannot train on a batch of one; set the "
                "recipe's batch to 2 or more, or the normalisation to `layer`"
            )
        groups, (_, outputs, per_group, *taps) = self.groups, self.shape
        hidden = F.relu(self.norm(self.squeeze(x.mean((2, 3)))))
        # In the order of the kernel's axes (B, n, O, c, kh, kw); those without an attention are missing.
        channel = torch.sigmoid(self.channel(hidden) / self.temperature)
        channel = channel.view(-1, 1, groups, 1, per_group).expand(-1, 1, groups, outputs // groups, per_group)
        kernels = self.weight.view(self.shape) * channel.reshape(-1, 1, outputs, per_group, 1, 1)
        if self.filter is not None:
            kernels = kernels * torch.sigmoid(self.filter(hidden) / self.temperature)[:, None, :, None, None, None]
        if self.spatial is not None:
            spatial = torch.sigmoid(self.spatial(hidden) / self.temperature)
            kernels = kernels * spatial.view(-1, 1, 1, 1, *taps)
        if self.kernel is None:
            return kernels[:, 0]
        mix = torch.softmax(self.kernel(hidden) / self.temperature, 1)
        return (kernels * mix[:, :, None, None, None, None]).sum(1)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B O h w"]:
        return convolve_each(x, self.kernels_of(x), stride=self.stride, groups=self.groups, form=self.form)


def anneal(network: nn.Module, progress: float, start: float) -> None:
    """Sets the temperature of every `ODConv2d` in `network`: `start` at progress 0, linearly to 1 at 1 and beyond.

    High at first, so that all kernels learn before they specialise (ODConv's ImageNet recipe).
    """
    value = max(1.0, start + (1.0 - start) * progress)
    for module in network.modules():
        if isinstance(module, ODConv2d):
            module.temperature.fill_(value)


class FoldedODConv2d(nn.Module):
    """An `ODConv2d` of one group with the batch normalisation that follows it, for use only: the same outputs with
    fewer and larger operations, which no exporter finds where kernels are computed.

    The four attentions come from one linear layer, the temperature is in its weights, the kernels are mixed by
    one matrix product, and the normalisation is in kernels and bias.
    """

    def __init__(self, layer: ODConv2d, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.stride, self.form, self.shape = layer.stride, layer.form, layer.shape
        kernels, outputs, inputs, *taps = self.shape
        self.squeeze, self.norm = layer.squeeze, layer.norm
        heads = [layer.channel, layer.filter, layer.spatial, layer.kernel]
        # An attention that there is not is one that says 1: sigmoid(30) and a softmax over one.
        sizes = (inputs, outputs, taps[0] * taps[1], kernels)
        hidden = layer.channel.in_features
        weights = [
            layer.weight.new_zeros(n, hidden) if h is None else h.weight / layer.temperature
            for h, n in zip(heads, sizes, strict=True)
        ]
        biases = [
            layer.weight.new_full((n,), 30.0) if h is None else h.bias / layer.temperature
            for h, n in zip(heads, sizes, strict=True)
        ]
        self.heads = nn.Linear(hidden, sum(sizes))
        self.heads.weight.data, self.heads.bias.data = torch.cat(weights).detach(), torch.cat(biases).detach()
        self.sizes = sizes
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        scaled = layer.weight.view(self.shape) * scale[:, None, None, None]
        self.register_buffer("weight", scaled.reshape(kernels, -1).detach())
        self.register_buffer("bias", (norm.bias - norm.running_mean * scale).detach())

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B O h w"]:
        _, outputs, inputs, *taps = self.shape
        hidden = F.relu(self.norm(self.squeeze(x.mean((2, 3)))))
        *scales, mix = self.heads(hidden).split(self.sizes, 1)
        channel, out, spatial = (torch.sigmoid(scale) for scale in scales)
        kernels = (torch.softmax(mix, 1) @ self.weight).view(-1, outputs, inputs, taps[0] * taps[1])
        kernels = kernels * out[:, :, None, None] * (channel[:, :, None] * spatial[:, None])[:, None]
        kernels = kernels.view(-1, outputs, inputs, *taps)
        return convolve_each(x, kernels, self.bias, stride=self.stride, form=self.form)


def folded(network: nn.Module) -> nn.Module:
    """A copy of `network` in evaluation mode with `FoldedODConv2d` in place of each `ODConv2d` of one group and the
    batch normalisation after it.
    """
    network = copy.deepcopy(network).eval()
    for sequence in [m for m in network.modules() if isinstance(m, nn.Sequential)]:
        for (first, layer), (second, norm) in itertools.pairwise(list(sequence.named_children())):
            if isinstance(layer, ODConv2d) and layer.groups == 1 and isinstance(norm, nn.BatchNorm2d):
                setattr(sequence, first, FoldedODConv2d(layer, norm))
                setattr(sequence, second, nn.Identity())
    return network
