"""Run the whole pipeline on the drawn scenes, then write every report -> runs/site.

DVC runs one stage after the other. So runs are trained beside it, while it does what needs no training; their stages
then find finished checkpoints.

dvc.lock is put back as it was, if need be by the next call, after a kill. It says what was computed, in hashes that
differ from one kind of processor to the next, and git keeps it; DVC's run cache remembers as well, so that `dvc repro`
of the same stages runs nothing again.
"""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from irstd.config import params
from irstd.errors import InputError
from pipelines import RECORD, RUNS, alone, reports, run

DATASET = "synthetic"
LOCK, HELD = Path("dvc.lock"), Path(".dvc/tmp/rwlock")
BEFORE = Path(".dvc/tmp")  # holds dvc.lock as it was while a quick start runs, and after one that was killed


def targets(given: params.Params, dataset: str) -> list[str]:
    """The stages whose results the reports of a dataset show, and those of no dataset."""
    found = [f"score@{name}" for name, cell in given.cells().items() if cell["dataset"] == dataset]
    # The record has the cards of the methods that it has results of.
    recorded = RECORD / "results/methods"
    found += [f"method-card@{row}" for row in given.methods if not (recorded / f"{row}.json").exists()]
    found += [f"summarise-dataset@{dataset}", "cases", "loss-gradients"]
    found += [f"crops@{dataset}"] * (dataset in given.public)
    return found + [f"kernel-orientation@{dataset}"] * (dataset in given.orientation.datasets)


def at_once(given: params.Params, dataset: str) -> list[str]:
    """Those of `targets` that need no training."""
    trained = [f"score@{name}" for name, cell in given.cells().items() if cell["method"] not in given.baselines]
    after = (*trained, f"crops@{dataset}", f"kernel-orientation@{dataset}")
    return [name for name in targets(given, dataset) if name not in after]


def untrained(given: params.Params, dataset: str) -> list[dict]:
    """Runs of a dataset that have no weights here, those of methods without parameters apart."""
    cells = [cell for cell in given.cells().values() if cell["dataset"] == dataset]
    return [
        cell
        for cell in cells
        if cell["method"] not in given.baselines
        and not (RUNS / "train" / dataset / cell["method"] / str(cell["seed"])).exists()
    ]


def train(cell: dict) -> None:
    """Trains a run, and says so when it has ended; its stage finds a fault again and reports it."""
    words = [str(cell[kind]) for kind in ("dataset", "method", "seed")]
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "pipelines.train", *words], capture_output=True, check=False)
    if done.returncode == 0:
        print(f"trained {'-'.join(words)} in {time.monotonic() - start:.0f} s", flush=True)


def unlock() -> None:
    """Removes DVC's list of who reads and writes what, if a kill cut it short: DVC would refuse to run for ever."""
    for _ in range(2):  # another process may be writing it
        try:
            json.loads(HELD.read_text())
        except FileNotFoundError:
            return
        except ValueError:
            time.sleep(1)
        else:
            return
    HELD.unlink(missing_ok=True)


def put_back() -> None:
    """Makes dvc.lock what it was before a quick start, if one has begun and not ended; unless git has another now."""
    ours = _kept()
    for kept in sorted(BEFORE.glob("dvc.lock.before-*")):
        if kept == ours:
            if before := kept.read_bytes():
                LOCK.write_bytes(before)
            else:
                LOCK.unlink(missing_ok=True)
        kept.unlink()


def _kept() -> Path:
    """Where dvc.lock is kept, by what git has of it."""
    said = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", f"HEAD:{LOCK}"], capture_output=True, text=True, check=False
    )
    return BEFORE / f"dvc.lock.before-{said.stdout.strip() or 'none'}"


def repro(*wanted: str) -> None:
    """`dvc repro` of some stages.

    Raises:
        InputError: one failed; it has said why.
    """
    unlock()
    if subprocess.run([sys.executable, "-m", "dvc", "repro", *wanted], check=False).returncode:
        raise InputError(
            "a stage failed; fix what it says above, and run `make quickstart` again: finished work is kept"
        )


def main() -> None:
    given = params.load()
    if DATASET not in given.datasets:
        raise InputError(f"params.yaml: datasets: {DATASET!r} is not there; add it again, the quick start draws it")
    with alone(BEFORE / "quickstart.lock", "runs the quick start"):
        _build(given)
    reports.main()


def _build(given: params.Params) -> None:
    put_back()
    part = BEFORE / "dvc.lock.part"
    part.write_bytes(LOCK.read_bytes() if LOCK.exists() else b"")
    part.replace(_kept())
    cores, ahead = os.cpu_count() or 1, untrained(given, DATASET)
    try:
        if cores > 1 and len(ahead) > 1:
            repro(f"prepare@{DATASET}")
            print(f"training {len(ahead)} runs, {min(cores, len(ahead))} at a time, beside what follows", flush=True)
            with ThreadPoolExecutor(cores) as beside:
                done = beside.map(train, ahead)
                repro(*at_once(given, DATASET))
                list(done)
        repro(*targets(given, DATASET))
    finally:
        put_back()


if __name__ == "__main__":
    run(main)
