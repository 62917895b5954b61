"""Run stages of one cell beside DVC: RUN STAGE... -> runs/cells/RUN.json, where it stands, and RUN.log.

The engines of `pipelines.fan_out` call it, in a checkout that `pipelines.checkout` made, once a cell and again where a
machine was lost: a cell that is done ends at once, and a training that was killed goes on from its checkpoint.
`pipelines.join` takes what it made to where `dvc repro` looks for it. It ends when the process that called it ends.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from irstd.config import params
from irstd.errors import InputError
from pipelines import RUNS, SENT, alone, held, run

# What each stage makes, as dvc.yaml has it: DATASET/METHOD/SEED below these.
MADE = {"train": ["train"], "predict": ["predict"], "score": ["gallery", "results"]}
STAGES = tuple(MADE)
TAKE_GPU = "IRSTD_TAKE_GPU"  # set where no scheduler gives each process a GPU of its own


def folders(stage: str, cell: dict[str, Any]) -> list[Path]:
    """Where a stage of a cell leaves what it makes."""
    return [RUNS.joinpath(top, cell["dataset"], cell["method"], str(cell["seed"])) for top in MADE[stage]]


def state_file(name: str) -> Path:
    return SENT / f"{name}.json"


def lock_file(name: str) -> Path:
    return SENT / f"{name}.lock"


def _noted(name: str) -> dict[str, Any]:
    path = state_file(name)
    return json.loads(path.read_text()) if path.exists() else {}


def stands(name: str) -> dict[str, Any]:
    """Where a cell stands: `state` is waits, runs, stopped, failed, done or joined; empty where it was never sent."""
    found = _noted(name)
    if found.get("state") == "runs" and not held(lock_file(name)):
        found["state"] = "stopped"  # its process was killed, or its machine lost
    return found


def note(name: str, **facts: Any) -> None:
    """Writes where a cell stands, whole or not at all."""
    path = state_file(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}.tmp")
    beside.write_text(json.dumps(_noted(name) | facts, indent=1) + "\n")
    beside.replace(path)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _end_with(parent: int) -> None:
    """Ends this process when its parent has ended: what nobody waits for must not keep a GPU."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(143)


def gpus() -> list[str]:
    """Numbers of this machine's GPUs; those of CUDA_VISIBLE_DEVICES where it is set."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [one for one in given.split(",") if one.strip() not in ("", "-1")]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    except OSError:
        return []
    return [str(number) for number, line in enumerate(listed.stdout.splitlines()) if line.startswith("GPU ")]


@contextmanager
def own_gpu() -> Iterator[None]:
    """Takes a GPU that no other cell of this user has on this machine, until the cell ends; waits for one."""
    names = gpus() if os.environ.get(TAKE_GPU) else []
    if not names:
        yield
        return
    locks = {name: FileLock(Path(tempfile.gettempdir(), f"irstd-{os.getuid()}-gpu-{name}.lock")) for name in names}
    while True:
        for name, lock in locks.items():
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            os.environ["CUDA_VISIBLE_DEVICES"] = name  # before torch is loaded
            try:
                yield
            finally:
                lock.release()
            return
        time.sleep(1)


def _stopped(number: int, _frame: Any) -> None:
    raise SystemExit(128 + number)


def main(name: str, *stages: str) -> None:
    cells = params.load().cells()
    if name not in cells:
        raise InputError(f"params.yaml has no cell {name!r}")
    if not stages or not set(stages) <= set(STAGES):
        raise InputError(f"a cell has the stages {', '.join(STAGES)}, not {' '.join(stages) or 'none'!r}")
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    signal.signal(signal.SIGTERM, _stopped)
    SENT.mkdir(parents=True, exist_ok=True)
    with (SENT / f"{name}.log").open("a", buffering=1) as log:
        for stream in (1, 2):  # what libraries write as well
            os.dup2(log.fileno(), stream)
        with alone(lock_file(name), "runs this cell"), own_gpu():
            _run(name, cells[name], stages)


def _run(name: str, cell: dict[str, Any], stages: tuple[str, ...]) -> None:
    checkout, before = Path.cwd().name, stands(name)
    ended = before.get("state") in ("done", "joined") and before["checkout"] == checkout
    if ended and set(stages) <= set(before["stages"]):
        return
    on, host = os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("SLURMD_NODENAME") or socket.gethostname()
    note(
        name, state="runs", stages=list(stages), checkout=checkout, host=host, pid=os.getpid(),
        device=f"GPU {on}" if on else "", since=_now(), until=None, why=None,
    )  # fmt: skip
    try:
        for stage in stages:
            note(name, stage=stage)
            print(f"== {_now()} {stage} {name} on {host}", flush=True)
            for folder in folders(stage, cell):  # as DVC does: nothing of an earlier run stays
                folder.unlink() if folder.is_symlink() else shutil.rmtree(folder, ignore_errors=True)
            import_module(f"pipelines.{stage}").main(cell["dataset"], cell["method"], str(cell["seed"]))
    except SystemExit:
        note(name, state="stopped", until=_now())
        raise
    except InputError as error:
        print(f"error: {error}", flush=True)
        note(name, state="failed", until=_now(), why=str(error))
        sys.exit(1)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the others go on and this one is named
        traceback.print_exc()
        note(name, state="failed", until=_now(), why=f"{type(error).__name__}: {error}".splitlines()[0])
        sys.exit(1)
    note(name, state="done", until=_now())


if __name__ == "__main__":
    run(main)
