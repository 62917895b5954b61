"""High-resolution cross-feature enhancement (HCEM; 10.3788/gzxb20265502.0210002): every level hears every other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from irstd.layers.shuffle import depthwise


class CrossFeature(nn.Module):
    """Levels of halving resolution, each replaced by a gated sum of all, brought to its size and channels.

    A coarser level is mapped by a 1×1 convolution and enlarged; a finer one goes through separable
    convolutions of stride 2. The gates, one a pair, come from the means of all levels' channels: a softmax
    over the sources times their number, so that it starts near a plain sum.

    Args:
        channels: of each level, finest first.
        outputs: how many of the levels are made, finest first; all if None.
        hidden: width of the gate's hidden layer.
    """

    def __init__(self, channels: Sequence[int], outputs: int | None = None, hidden: int = 8) -> None:
        super().__init__()
        made = range(len(channels) if outputs is None else outputs)
        self.paths = nn.ModuleList(
            nn.ModuleList(self._path(channels, source, target) for source in range(len(channels))) for target in made
        )
        self.gates = nn.ModuleList(
            nn.Sequential(nn.Linear(sum(channels), hidden), nn.ReLU(inplace=True), nn.Linear(hidden, len(channels)))
            for _ in made
        )

    @staticmethod
    def _path(channels: Sequence[int], source: int, target: int) -> nn.Module:
        a, c = channels[source], channels[target]
        if source == target:
            return nn.Identity()
        if source > target:
            return nn.Sequential(nn.Conv2d(a, c, 1, bias=False), nn.BatchNorm2d(c))
        layers: list[nn.Module] = []
        for step in range(target - source):
            last = step == target - source - 1
            out = c if last else a
            layers += [*depthwise(a, 2), nn.Conv2d(a, out, 1, bias=False), nn.BatchNorm2d(out)]
            layers += [] if last else [nn.ReLU(inplace=True)]
        return nn.Sequential(*layers)

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        means = torch.cat([level.mean((2, 3)) for level in levels], 1)
        out = []
        for target, (paths, gate) in enumerate(zip(self.paths, self.gates, strict=True)):
            weights: Float[Tensor, "B N"] = len(levels) * torch.softmax(gate(means), 1)
            size = levels[target].shape[-2:]
            total = None
            for source, (path, level) in enumerate(zip(paths, levels, strict=True)):
                y = path(level)
                if source > target:
                    y = F.interpolate(y, size, mode="bilinear")  # Choice: pixel centres stay (not align_corners)
                y = weights[:, source, None, None, None] * y
                total = y if total is None else total + y
            out.append(F.relu(total))
        return out
