"""Inference of the methods side by side at 256×256, and the forms of ODConv's sum: one network after the other, in turn.

Each form runs in a process of its own, since threads that wait by spinning take the core that another needs; the
processes alternate, and the medians count. Let nothing else run.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

ROUNDS, REPEATS, SIDE = 3, 10, 256
METHODS = ("ggl_net", "point_regression", "gaussian_pinwheel")
FORMS = ("torch", "onnxruntime")
BATCHES = (1, 8)
SUMS = ("grouped", "each", "taps")
ONE = """
import sys, torch
from irstd import methods
from irstd.inference import profiling
from irstd.layers.odconv import ODConv2d
name, form, batch, odconv = sys.argv[1:]
torch.set_num_threads(2)
method = methods.get(name)
network = method.build(method.options())
for module in network.modules():
    if isinstance(module, ODConv2d):
        module.form = odconv
print(profiling.latency(network, {side}, int(batch), {repeats}, form, 2).median_ms)
"""


def once(method: str, form: str, batch: int, odconv: str) -> float:
    """Milliseconds of a batch, in a process of its own."""
    code = ONE.format(side=SIDE, repeats=REPEATS)
    words = [sys.executable, "-W", "ignore", "-c", code, method, form, str(batch), odconv]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    """Prints a table of images/s, and how each form compares with the first of its method and batch."""
    cases = [(m, f, b, "auto") for m in METHODS for b in BATCHES for f in FORMS]
    cases += [("point_regression", "torch", 8, odconv) for odconv in SUMS]
    times: dict[tuple, list[float]] = {case: [] for case in cases}
    for _ in range(ROUNDS):
        for case in cases:
            times[case].append(once(*case))
    print(f"{SIDE}x{SIDE} px, 2 threads, medians of {ROUNDS} interleaved processes of {REPEATS} batches")
    print(f"{'method':18} {'runs in':12} {'batch':>5} {'ODConv':>8} {'ms/batch':>9} {'images/s':>9}")
    for (method, form, batch, odconv), found in times.items():
        median = statistics.median(found)
        print(f"{method:18} {form:12} {batch:5} {odconv:>8} {median:9.1f} {1000 * batch / median:9.1f}")


if __name__ == "__main__":
    main()
