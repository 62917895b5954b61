"""Train what `pipelines.pack_campaign` packed, on a machine that is lent for minutes.

    python -m pipelines.campaign FOLDER OUT SECONDS WORKERS [RUN ...] [step=eager|compiled|graphs]

The runs are begun in the order of FOLDER/queue.json, WORKERS at once. After SECONDS of it all of them stop, at the end
of an epoch or 30 s later. What finished lies in OUT, weights in half precision, in few files that are small enough to
be carried: `campaign.json` and `part-0` to `part-3`, rewritten whenever a run ends, so that a command that is killed
leaves what there was. The rest goes on from its checkpoints, in runs/campaign, when called again on the same machine.
Needs torch, lightning-fabric, NumPy, SciPy and kornia only.

On a GPU the step is compiled, or besides captured as CUDA graphs (`graphs`, not yet tried). Processes on one GPU take
turns: six of them on an H200 reached 530 images/s of 256 px together, GGL-Net 130 of them beside the five others. So
compare one worker with several, and the forms of the step, for some seconds before hours are planned.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import math
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch._dynamo as torch_dynamo

from irstd import methods
from irstd.data.prepared import Prepared
from irstd.errors import InputError
from irstd.inference import devices
from irstd.inference.half import halved
from irstd.layers.odconv import ODConv2d
from irstd.training import loop, steps
from pipelines import RUNS, repeatable, run

STATE = RUNS / "campaign"
PART = 15 * 2**20  # bytes of a file that is carried
PARTS = 4  # so many are carried at once, at most
GRACE_S = 30.0  # that an epoch may take beyond the end, before its process is stopped
STEPS = {"compiled": None, "graphs": "reduce-overhead", "eager": None}  # form of a step: torch.compile's name of it
SIDE = 8192  # of the matrices by which the device's rate is measured


def objects(text: str) -> Any:
    """JSON with attributes in place of keys, and tuples in place of lists."""
    return _tuples(json.loads(text, object_hook=lambda given: SimpleNamespace(**given)))


def _tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_tuples, value))
    if isinstance(value, SimpleNamespace):
        return SimpleNamespace(**{key: _tuples(one) for key, one in vars(value).items()})
    return value


def unpacked(path: Path, folder: Path) -> Prepared:
    """The scenes that `pipelines.pack_campaign.packed` packed, as a prepared dataset in `folder`."""
    if not (folder / "images.npy").exists():
        with np.load(io.BytesIO(lzma.decompress(path.read_bytes()))) as held:
            folder.mkdir(parents=True, exist_ok=True)
            for table in ("scenes", "targets"):
                (folder / f"{table}.csv").write_bytes(held[table].tobytes())
            grey, start = held["grey"], 0
            for height, width in Prepared(folder).sizes:
                image = grey[start : start + height * width].reshape(height, width)
                # In bytes, sums are modulo 256, as the differences were.
                image[...] = image.cumsum(1, dtype=np.uint8).cumsum(0, dtype=np.uint8)
                start += height * width
            np.save(folder / "masks.npy", held["masks"])
            loop.save(folder / "images.npy", lambda beside: _saved(beside, grey))  # last: with it, all is there
    return Prepared(folder)


def _saved(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as file:
        np.save(file, array)


def rate(on: torch.device) -> float:
    """Operations per second of a product of bf16 matrices; the median of five."""
    side = SIDE if on.type == "cuda" else 512
    left, right = (torch.randn(side, side, device=on, dtype=torch.bfloat16) for _ in range(2))
    taken = []
    for _ in range(8):
        since = time.perf_counter()
        (left @ right).sum().item()
        taken.append(time.perf_counter() - since)
    return 2 * side**3 / statistics.median(taken[3:])


def train(folder: Path, state: Path, number: int, end: float, step: str) -> None:
    """Trains a run of the queue until it is done or `end` (seconds of the epoch) has come; its process ends then."""
    text = (folder / "queue.json").read_text()
    given, wanted = json.loads(text)["runs"][number], objects(text).runs[number]
    facts, recipe = wanted.facts, wanted.facts.recipe
    on = devices.device("auto")
    in_precision = steps.precision(facts.precision, on)
    repeatable(facts.threads, on.type)
    torch.backends.cudnn.benchmark = True  # crops have few sizes: the fastest kernel for each is worth finding
    prepared = unpacked(folder / f"{facts.dataset}.npz.xz", state / facts.dataset)
    places = {name: place for place, name in enumerate(prepared.names)}
    clicks = None if given["clicks"] is None else {k: np.array(v).reshape(-1, 2) for k, v in given["clicks"].items()}
    chosen = methods.get(facts.module)
    options = chosen.options(**vars(facts.options))
    status = state / f"{given['name']}.json"

    first: list[tuple[float, int]] = []  # when the first epoch here ended, and pixels until then; it warms up

    def on_epoch(row: dict[str, Any]) -> None:
        now = time.monotonic(), row["pixels"]
        if not first:
            first.append(now)
        speed = (now[1] - first[0][1]) / recipe.size**2 / max(now[0] - first[0][0], 1e-9)
        here = {"epoch": row["epoch"], "loss": row["loss"], "images_per_s": speed}
        loop.save(status, lambda beside: beside.write_text(json.dumps(here)))
        if time.time() > end and row["epoch"] < recipe.epochs:
            raise SystemExit(0)

    torch.manual_seed(facts.seed)
    network = chosen.build(options)
    if on.type == "cuda" and step != "eager":
        # Most of a step is passes over memory, and most kernels are small: joined, both are fewer.
        torch_dynamo.config.suppress_errors = True  # what cannot be compiled runs as it is
        if not any(isinstance(module, ODConv2d) for module in network.modules()):
            # Its temperature changes with each epoch: it would be compiled again.
            network.compile(dynamic=False, mode=STEPS[step])
        chosen = replace(chosen, loss=torch.compile(chosen.loss, dynamic=False))
    fitted = loop.fit(
        chosen, options, network, recipe, prepared, training=[places[n] for n in wanted.learn],
        validation=[places[n] for n in wanted.choose], seed=facts.seed, on=on, clicks=clicks,
        in_precision=in_precision, checkpoint=state / f"{given['name']}.pt", checkpoint_s=wanted.checkpoint_s,
        on_epoch=on_epoch,
    )  # fmt: skip
    made = {
        **given["facts"],
        "versions": devices.versions(),
        "precision": in_precision,
        "threads": facts.threads if on.type == "cpu" else None,
        "best_epoch": fitted.best_epoch,
        "threshold": fitted.threshold,
        "hardware": devices.hardware(on),
        "wall_s": round(fitted.wall_s, 1),
        "commit": json.loads(text)["commit"],
        "weights": "half precision",
    }
    whole = {"weights": halved(fitted.best, given["name"]), "history": fitted.history, "made": json.dumps(made)}
    data = io.BytesIO()
    torch.save(whole, data)
    loop.save(state / f"{given['name']}.done", lambda beside: beside.write_bytes(lzma.compress(data.getvalue())))


def deliver(queue: list[dict[str, Any]], state: Path, out: Path, measured: dict[str, Any]) -> None:
    """Writes what is done to `out`, as much as may be carried, and what is to be said of every run."""
    stream, rows = b"", []
    for entry in queue:
        name, recipe = entry["name"], entry["facts"]["recipe"]
        row = {"name": name, "epochs": recipe["epochs"], "state": "waits"}
        status, done = state / f"{name}.json", state / f"{name}.done"
        if status.exists():
            row |= {"state": "under way", **json.loads(status.read_text())}
        if (failed := state / f"{name}.failed").exists():
            row |= {"state": "failed", "why": failed.read_text()}
        if done.exists():
            data = done.read_bytes()
            if fits := len(stream) + len(data) <= PART * PARTS:
                row |= {"start": len(stream), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
                stream += data
            row["state"] = "done" if fits else "done, too large for this time: name it in the next"
        rows.append(row)
    out.mkdir(parents=True, exist_ok=True)
    for number in range(math.ceil(len(stream) / PART)):
        loop.save(out / f"part-{number}", lambda b, n=number: b.write_bytes(stream[n * PART : (n + 1) * PART]))
    loop.save(out / "campaign.json", lambda b: b.write_text(json.dumps({**measured, "runs": rows}, indent=1) + "\n"))


def _lines(queue: list[dict[str, Any]], state: Path, peak: float) -> str:
    """A line for each run that was begun here: how far, how fast, and the share of the device's rate."""
    lines = []
    for entry in queue:
        status = state / f"{entry['name']}.json"
        if not status.exists():
            continue
        now, recipe = json.loads(status.read_text()), entry["facts"]["recipe"]
        share = now["images_per_s"] * entry["flop_per_image"] / peak
        lines.append(
            f"{entry['name']}: epoch {now['epoch']} of {recipe['epochs']}, {now['images_per_s']:.1f} images/s of "
            f"{recipe['size']} px, {share:.1%} of the device's bf16 rate, loss {now['loss']:.4f}"
        )
    return "\n".join(lines)


def _queue(folder: str, seconds: str, workers: str, names: tuple[str, ...]) -> dict[str, Any]:
    """The campaign in `folder`, its runs those that are named, with their places in queue.json as `number`."""
    if not (seconds.isdigit() and workers.isdigit() and int(workers)):
        raise InputError(f"{seconds!r} and {workers!r} are to be whole numbers: SECONDS, and WORKERS of at least 1")
    path = Path(folder, "queue.json")
    if not path.is_file():
        raise InputError(f"{folder} holds no campaign; make one by `python -m pipelines.pack_campaign`")
    packed = json.loads(path.read_text())
    known = [entry["name"] for entry in packed["runs"]]
    if strangers := [name for name in names if name not in known]:
        raise InputError(f"{folder} has no run {strangers[0]!r}; known are {', '.join(known)}")
    runs = [{**entry, "number": number} for number, entry in enumerate(packed["runs"])]
    return packed | {"runs": [entry for entry in runs if entry["name"] in (names or known)]}


def _one_after_another(
    todo: list[dict[str, Any]], begin: Callable[[int], Any], state: Path, end: float, workers: int
) -> Iterator[None]:
    """Runs what is to be done in processes, `workers` at once; yields after each that ended."""
    running: dict[str, Any] = {}
    while (todo and time.time() < end) or running:
        while todo and len(running) < workers and time.time() < end:
            entry = todo.pop(0)
            running[entry["name"]] = begin(entry["number"])
        for name, process in list(running.items()):
            if process.is_alive() and time.time() > end + GRACE_S:
                process.terminate()
                process.join()
            if not process.is_alive():
                del running[name]
                (state / f"{name}.failed").unlink(missing_ok=True)
                if process.exitcode > 0:  # less than 0: it was stopped
                    (state / f"{name}.failed").write_text(f"exit {process.exitcode}; what it said is above")
                yield
        time.sleep(0.05)


def main(folder: str, out: str, seconds: str, workers: str, *names: str) -> None:
    forms = [word.removeprefix("step=") for word in names if word.startswith("step=")] or ["compiled"]
    if forms[0] not in STEPS:
        raise InputError(f"step={forms[0]}: a step is {', '.join(STEPS)}")
    names = tuple(word for word in names if not word.startswith("step="))
    begun, place, packed = time.time(), Path(folder), _queue(folder, seconds, workers, names)
    queue = packed["runs"]
    # Checkpoints of another commit or recipe are another campaign's.
    state = STATE / hashlib.sha256((place / "queue.json").read_bytes()).hexdigest()[:16]
    state.mkdir(parents=True, exist_ok=True)
    for dataset in {entry["facts"]["dataset"] for entry in queue}:
        unpacked(place / f"{dataset}.npz.xz", state / dataset)
    on = devices.device("auto")
    measured = {"hardware": devices.hardware(on), "bf16_flops": rate(on), "commit": packed["commit"]}
    print(f"{measured['hardware']}: {measured['bf16_flops'] / 1e12:.3g} TFLOP/s in bf16", flush=True)
    context, end = multiprocessing.get_context("spawn"), time.time() + int(seconds)

    def begin(number: int) -> Any:
        process = context.Process(target=train, args=(place, state, number, end, forms[0]))
        process.start()
        return process

    todo = [entry for entry in queue if not (state / f"{entry['name']}.done").exists()]
    for _ in _one_after_another(todo, begin, state, end, int(workers)):
        deliver(queue, state, Path(out), measured)
    deliver(queue, state, Path(out), measured | {"seconds": round(time.time() - begun, 1)})
    print(_lines(queue, state, measured["bf16_flops"]))


if __name__ == "__main__":
    run(main)
