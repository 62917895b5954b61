"""Training by batch size: images/s of our loop, where its time goes, and how near it comes to the device's ceiling.

A row a method and batch, in Markdown. Beside our loop (`irstd.training.loop._train_epoch`, with all that it does in an
epoch) runs the plain one of `tests.bench.training`: a `DataLoader` over PNG files, kornia on each image, the same
network, precision, batch and crops. The two alternate; the medians of the rounds count. Let nothing else run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from irstd import methods
from irstd.config import params
from irstd.data.augment import inside
from irstd.data.batches import Batch, Resident, epoch
from irstd.data.clicks import Clicks, PointView
from irstd.data.prepared import Prepared
from irstd.inference import devices, profiling
from irstd.methods import Method
from irstd.training import loop, steps
from tests.bench.training import AUGMENT, Files, drawn, library, plain, started

METHODS = ("ggl_net", "gaussian_pinwheel", "point_regression")
BATCHES = (4, 8, 16, 32, 64, 128)
SCENES, SCENE_SIDE = 32, 256  # drawn; px, as NUDT-SIRST's are, unless crops are larger
# Of each scene in an epoch. On a GPU an epoch is as long as those of the datasets (663 to 800 images), since each loop
# pays for starting one; a CPU takes minutes for so many, and starts one at no cost.
CROPS = {"cuda": 24, "cpu": 1}
SIDES = {"cuda": 256, "cpu": 64}  # px; a batch of 128 crops of 256 px takes minutes on a CPU
MATRICES = {"cuda": (2048, 4096, 8192, 16384), "cpu": (512, 1024, 2048)}  # sides of the products for the ceiling
FEWEST, MOST = 3, 15  # rounds
LAST = 9  # the epoch that is timed, of ten: past every warm-up, so that all of the network works
PARTS = ("crops", "augmentation", "forward", "loss", "backward", "optimiser")
COLUMNS = ("method", "batch", "images/s", *PARTS, "rest", "plain images/s", "ours / plain", "of ceiling", "rounds")
NO_MEMORY = ("out of memory", "can't allocate memory", "ALLOC_FAILED")  # CUDA's, the CPU's and cuDNN's words


@dataclass(frozen=True)
class Bench:
    """Where and how all settings run.

    precision: Lightning's name. side: of a crop, px. seconds: of measuring a setting. ceiling: FLOP/s.
    """

    on: torch.device
    precision: str
    side: int
    seconds: float
    ceiling: float
    prepared: Prepared


class Clicked(Files):
    """Images as PNG files, each cropped and augmented alone, with the centres of its targets instead of a mask.

    For the plain loop of a method supervised by points: no mask is read, and kornia moves the points.
    """

    def __init__(self, folder: Path, names: list[str], side: int, points: list[np.ndarray]) -> None:
        super().__init__(folder, names, "kornia", side)
        self.augmentation, self.points = library("keypoints"), points
        self.most = max(1, *map(len, points))

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = np.asarray(Image.open(self.files[index][0]))
        row, col = corner = [np.random.randint(0, s - self.side + 1) for s in image.shape]
        image = torch.from_numpy(np.ascontiguousarray(image[row : row + self.side, col : col + self.side]))
        points = torch.full((1, self.most, 2), torch.nan)  # so that images with few and many make one batch
        points[0, : len(self.points[index])] = torch.from_numpy(self.points[index] - corner)
        # kornia's points are (x, y)
        image, points = self.augmentation(image.float().div(255)[None, None], points.flip(-1))
        return image[0], inside(points[0].flip(-1), (self.side, self.side))


def elapsed(on: torch.device, call: Callable[[], Any]) -> tuple[Any, float]:
    """What `call` returns and how long it took, s, with all it gave the device to do, and nothing given before."""
    wait = partial(torch.cuda.synchronize, on) if on.type == "cuda" else lambda: None
    wait()
    start = time.perf_counter()
    out = call()
    wait()
    return out, time.perf_counter() - start


def one_epoch(run: loop._Run) -> None:
    """An epoch of our loop."""
    with tqdm(disable=True) as bar:
        loop._train_epoch(run, LAST, bar)


def in_parts(run: loop._Run, seconds: dict[str, float]) -> None:
    """An epoch of our loop, the same code; what it calls is timed, and added to `seconds` by part."""

    def timed(part: str, call: Callable) -> Callable:
        def timed_call(*args: Any, **keywords: Any) -> Any:
            out, took = elapsed(run.resident.device, partial(call, *args, **keywords))
            seconds[part] += took
            return out

        return timed_call

    def batches(*args: Any) -> Iterator[Batch]:
        return iter(timed("crops", partial(next, epoch(*args), None)), None)

    method = replace(run.method, targets=timed("loss", run.method.targets), loss=timed("loss", run.method.loss))
    model = nn.Sequential(run.model)  # `train` and `at_epoch` reach the network's modules through it
    model.forward = timed("forward", run.model)
    with (
        patch.object(loop, "epoch", batches),
        patch.object(run.fabric, "backward", timed("backward", run.fabric.backward)),
        patch.object(run.optim, "step", timed("optimiser", run.optim.step)),
        patch.object(run.optim, "zero_grad", timed("optimiser", run.optim.zero_grad)),
    ):
        one_epoch(replace(run, method=method, model=model, augmentation=timed("augmentation", run.augmentation)))


def loader(bench: Bench, method: Method, learn: list[int], batch: int) -> DataLoader:
    """What the plain loop reads of the scenes numbered `learn`."""
    # On a GPU a process a core reads ahead; on a CPU the arithmetic needs the cores.
    prepared, on_gpu = bench.prepared, bench.on.type == "cuda"
    raw, names = prepared.folder.with_name("raw"), [prepared.names[n] for n in learn]
    if method.supervision == "point":
        files = Clicked(raw, names, bench.side, [prepared.points[n] for n in learn])
    else:
        files = Files(raw, names, "kornia", bench.side)
    processes = {"num_workers": os.cpu_count(), "persistent_workers": True, "pin_memory": True} if on_gpu else {}
    return DataLoader(files, batch, shuffle=True, drop_last=True, **processes)


def loops(bench: Bench, method: Method, batch: int, seconds: dict[str, float]) -> tuple[int, dict[str, Callable]]:
    """Images of an epoch, and an epoch of each loop: `ours`, `plain`, and `parts`, which adds to `seconds`."""
    torch.manual_seed(0)
    network, prepared, on = method.build(method.options()), bench.prepared, bench.on
    learn = prepared.roles("made", 0.0)["train"]
    crops = max(CROPS[on.type], -(-batch // len(learn)))
    adamw = params.Optimiser("adamw", 1e-3)
    recipe = params.Recipe(LAST + 1, batch, adamw, augment=AUGMENT, size=bench.side, crops=crops)
    # As in a training, a method supervised by points cannot come by a mask.
    scenes = PointView(prepared, Clicks(prepared)) if method.supervision == "point" else prepared
    run = started(network, method, Resident(scenes, learn, on, least=bench.side), recipe, bench.precision)
    optimiser = torch.optim.AdamW(network.parameters(), adamw.lr)
    cast = torch.autocast(on.type, torch.bfloat16, enabled=bench.precision == "bf16-mixed")
    return run.steps * batch, {
        "ours": partial(one_epoch, run),
        "plain": partial(plain, network, method, loader(bench, method, learn * crops, batch), optimiser, cast),
        # On a GPU the host runs ahead of the device: without waiting, a clock around a part sees how long giving it to
        # the device takes. Waiting ends that overlap, so images/s cannot be measured in the same pass.
        "parts": partial(in_parts, run, seconds),
    }


def measured(bench: Bench, method: Method, batch: int) -> list[str]:
    """The numbers of a row, from images/s on."""
    parts: dict[str, float] = defaultdict(float)
    images, turns = loops(bench, method, batch, parts)
    for name in ("ours", "plain"):  # warm; the parts are those of ours
        turns[name]()
    took: dict[str, list[float]] = {name: [] for name in turns}
    start = time.perf_counter()
    while (done := len(took["parts"])) < FEWEST or (done < MOST and time.perf_counter() - start < bench.seconds):
        for name, turn in turns.items():
            took[name].append(elapsed(bench.on, turn)[1])
    ours, plainly = (images / statistics.median(took[name]) for name in ("ours", "plain"))
    # Sums over the rounds, since medians of parts do not add up to the whole.
    shares = [parts[part] / sum(took["parts"]) for part in PARTS]
    flop = 3 * 2 * profiling.gmac(method.build(method.options()), bench.side) * 1e9  # an image
    return [
        f"{ours:.1f}", *(f"{share:.1%}" for share in (*shares, 1 - sum(shares))),
        f"{plainly:.1f}", f"{ours / plainly:.2f} ×", f"{ours * flop / bench.ceiling:.1%}", str(done),
    ]  # fmt: skip


def row(bench: Bench, name: str, batch: int) -> list[str]:
    """The cells of a method and batch, or why there are none."""
    method = methods.get(name)
    if bench.side % method.multiple:
        return [name, str(batch), f"skipped: needs a side that is a multiple of {method.multiple} px"]
    try:
        return [name, str(batch), *measured(bench, method, batch)]
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(words in str(error) for words in NO_MEMORY):
            raise
        return [name, str(batch), "skipped: out of memory"]


def ceiling(on: torch.device, precision: str) -> float:
    """FLOP/s of the fastest of some products of square matrices."""
    kind = torch.bfloat16 if precision == "bf16-mixed" else torch.float32
    before = torch.get_float32_matmul_precision()
    if on.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32, which cuDNN's convolutions take of themselves
    best = 0.0
    for side in MATRICES[on.type]:
        a, b = torch.randn(2, side, side, device=on, dtype=kind)
        fastest = min(elapsed(on, partial(torch.matmul, a, b))[1] for _ in range(10))
        best = max(best, 2 * side**3 / fastest)
    torch.set_float32_matmul_precision(before)
    return best


def header(bench: Bench) -> str:
    """What the table was measured on, and what its columns mean."""
    on_gpu, images = bench.on.type == "cuda", SCENES * CROPS[bench.on.type]
    hardware = devices.hardware(bench.on)
    waiting = ", waiting for the device after each part" if on_gpu else ""
    reading = f"{os.cpu_count()} worker processes" if on_gpu else "in the loop's own process"
    return f"""{hardware}; {torch.get_num_threads()} threads, {bench.precision}, crops of {bench.side}×{bench.side} px; \
medians of interleaved epochs of {images} images, or of one batch where that is more.

- Parts: shares of the time of epochs of their own{waiting}; 100 % but for rounding. `loss` is with its targets, `rest` \
with what the method's `watch` follows.
- Plain: a DataLoader over PNG files ({reading}), kornia on each image, the same network and precision. For \
point_regression it reads points, which kornia moves, and no mask.
- Of ceiling: 3 × forward, the usual count for forward + backward, at 2 FLOP a multiply-add of convolutions and matrix \
products, over the best square torch.matmul here, {bench.ceiling / 1e12:.3g} TFLOP/s.
"""


def line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join([*cells, *[''] * (len(COLUMNS) - len(cells))])} |"


def main() -> None:
    """Prints the table, row by row."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.throughput", description=__doc__)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--side", type=int, help="of a crop, px; 256 on CUDA, 64 on a CPU")
    parser.add_argument("--threads", type=int, default=2, help="of torch on the host")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", choices=("auto", "32", "bf16"), default="auto")
    parser.add_argument("--seconds", type=float, default=15.0, help=f"of measuring a setting; {FEWEST} rounds at least")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    on = devices.device(asked.device)
    precision, side = steps.precision(asked.precision, on), asked.side or SIDES[on.type]
    with tempfile.TemporaryDirectory() as name:
        prepared = drawn(Path(name), SCENES, max(side, SCENE_SIDE))
        bench = Bench(on, precision, side, asked.seconds, ceiling(on, precision), prepared)
        print(header(bench))
        print(line(COLUMNS), "|" + " --- |" * len(COLUMNS), sep="\n", flush=True)
        for method in asked.methods:
            for batch in asked.batches:
                torch.cuda.empty_cache()  # what the last setting kept may be missing to this one
                print(line(row(bench, method, batch)), flush=True)


if __name__ == "__main__":
    main()
