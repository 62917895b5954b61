"""What the Gaussian-pinwheel parts cost: attention in a training step, and a Gaussian convolution in inference.

Variants alternate in one run; the medians of the ratios count. Let nothing else run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch import nn

from irstd.layers.replace import under_gaussian
from irstd.methods import Step
from irstd.methods import gaussian_pinwheel as unet

BATCH, SIDE, STEPS, RUNS = 8, 128, 15, 60
ATTENTIONS = ("plain", "none", "gaussian", "pinwheel")  # the first is what the others are set against


def alternating(calls: Mapping[str, Callable[[], object]], rounds: int, each: int = 1) -> dict[str, list[float]]:
    """Seconds of each call in each round, after two rounds of warming up.

    Args:
        each: calls in a row that share the clock, so that short ones find their weights in the cache.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(-2, rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(each):
                call()
            if number >= 0:
                times[name].append((time.perf_counter() - start) / each)
    return times


def report(title: str, times: Mapping[str, list[float]]) -> None:
    """Prints medians, and medians of the ratios to the first."""
    first = next(iter(times))
    print(f"\n{title}")
    for name, seconds in times.items():
        ratio = statistics.median(a / b for a, b in zip(seconds, times[first], strict=True))
        print(f"  {name:24} {1e3 * statistics.median(seconds):9.2f} ms   {ratio:6.3f} of {first}")


def training_step(attention: str) -> Callable[[], None]:
    """A whole step of the U-Net with this attention: forward, loss, backward, optimiser."""
    torch.manual_seed(0)
    options = unet.Options(attention=attention)
    network = unet.GaussianPinwheelUNet(options).train()
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3, fused=True)
    image, mask = torch.rand(BATCH, 1, SIDE, SIDE), (torch.rand(BATCH, 1, SIDE, SIDE) > 0.99).float()

    def step() -> None:
        optimiser.zero_grad()
        unet.loss(network(image), mask, Step(9, 10, 0), options).mean().backward()
        optimiser.step()

    return step


def main() -> None:
    steps = {attention: training_step(attention) for attention in ATTENTIONS}
    report(f"training step, {BATCH} crops of {SIDE}², by spatial attention", alternating(steps, STEPS))
    for channels, side in ((16, 256), (64, 64), (256, 16)):
        plain = nn.Conv2d(channels, channels, 3, padding=1).eval()
        swapped = under_gaussian(plain)
        image = torch.rand(1, channels, side, side)
        calls = {"nn.Conv2d": lambda c=plain, x=image: c(x), "GaussianConv2d": lambda c=swapped, x=image: c(x)}
        with torch.inference_mode():
            times = alternating(calls, RUNS, each=10)
        report(f"inference, 3×3, {channels} channels at {side}²", times)


if __name__ == "__main__":
    main()
