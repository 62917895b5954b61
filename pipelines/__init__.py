"""The stages of the pipeline: read params.yaml, call `irstd`, write files. Paths are chosen here and nowhere else."""

from __future__ import annotations

import argparse
import inspect
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from irstd.errors import InputError

RAW, PREPARED, ARCHIVES = Path("data/raw"), Path("data/prepared"), Path("data/archives")
RUNS, PLAN, RESULTS, WEIGHTS, SITE = (Path("runs", name) for name in ("", "plan", "results", "weights", "site"))
CELLS = Path("cells.yaml")
# Cells that run beside DVC: where each stands, its log, and the checkouts that they run in.
SENT = RUNS / "cells"
# The record: what was published on purpose. `pipelines.publish` writes here, and nothing else.
RECORD = Path("reports")

# Read by libraries when they are loaded. Threads that wait by spinning take the core that another thread needs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def run(main: Callable[..., None]) -> None:
    """Calls a stage's `main` with the command line's words; what the user must fix is one sentence and exit 1."""
    parser = argparse.ArgumentParser(description=sys.modules[main.__module__].__doc__)
    for name, parameter in inspect.signature(main).parameters.items():
        parser.add_argument(name, nargs="*" if parameter.kind is parameter.VAR_POSITIONAL else None)
    words = vars(parser.parse_args()).values()
    with sentences():
        main(*(word for value in words for word in (value if isinstance(value, list) else [value])))


@contextmanager
def sentences() -> Iterator[None]:
    """Ends the process with one sentence where the user must fix something."""
    try:
        yield
    except InputError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        # The disk is full, a folder may not be written, a file vanished.
        path = Path(error.filename).name if isinstance(error.filename, str) else "a file"
        sys.exit(f"error: {path}: {error.strerror or error}; fix that and run `dvc repro` again, finished work is kept")


def counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def reason(done: subprocess.CompletedProcess[str]) -> str:
    """The last line that a command that failed has said."""
    return (done.stderr.strip() or "it does not say why").splitlines()[-1]


@contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Takes a lock that all processes on all machines that share the disk respect; waits for it, and says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"waits for another process, which {what}", flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def held(path: Path) -> bool:
    """Whether a process holds the lock that `alone` takes."""
    if not path.exists():
        return False
    try:
        with FileLock(path).acquire(timeout=0):
            return False
    except Timeout:
        return True


def repeatable(threads: int, device: str) -> None:
    """Sets torch's threads on the CPU (0: as many as it likes), and asks for arithmetic that repeats there.

    On a GPU that would cost speed, for a promise that is not made.
    """
    import torch  # noqa: PLC0415 - most stages do without

    if threads:
        torch.set_num_threads(threads)
    if device == "cpu":
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False
