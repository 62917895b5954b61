"""Kills of the whole pipeline at drawn moments, until `dvc repro` gets through: what it ends with must be the same.

    python -m tests.faults.kills [KILLS] [SEED]

Each time some stages later, at a drawn moment of one, `dvc repro` and all that it started are ended, by SIGKILL mostly,
and called again. A chain that ended is held against one that nobody killed: weights, histories, predictions, results,
reports and what `dvc repro` would still do. Then the next chain begins, in a new folder.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from pipelines.quickstart import HELD
from tests.test_pipeline import TINY, copy, dvc, environment, set_params

KILLS, SEED = 50, 0
AHEAD, LATEST_S = 3, 4.0  # stages from one kill to the next, and seconds into the last of them, at most
ENDS_S = 180  # what was killed, and what it started, ends within
LONGEST_S = 900  # of a call that is not killed
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
RUNNING = "Running stage '"
# What a chain makes that no clock is part of.
SAME = (
    "runs/train/**/best.safetensors", "runs/train/**/history.csv", "runs/train/**/watched.csv", "runs/predict/**/*.npz",
    "runs/results/**/*.csv", "runs/results/**/metrics.json", "runs/results/**/summary.json", "runs/site/*.md",
)  # fmt: skip
TIMED = ("cost", "efficiency.md", "index.md", "start.md", "synthetic.md")  # measurements, and pages that show them


def world(folder: Path) -> Path:
    """A clone in which a tiny training, a baseline and their reports are all there is."""
    copy(folder)
    set_params(folder, TINY)
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qam", "x"], cwd=folder, check=True)
    return folder


def made(folder: Path) -> dict[str, bytes]:
    """What a chain made, by path."""
    found = {path.relative_to(folder) for pattern in SAME for path in folder.glob(pattern)}
    return {str(path): (folder / path).read_bytes() for path in sorted(found) if not set(TIMED) & set(path.parts)}


def killed(folder: Path, ahead: int, after_s: float, by: signal.Signals) -> str | None:
    """Calls `dvc repro` and ends it `after_s` seconds into its stage number `ahead`; the stage, or None if it got through.

    Raises:
        AssertionError: it failed by itself, or what was ended does not end.
    """
    with tempfile.TemporaryFile("w+") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", "dvc", "repro"], cwd=folder, stdout=log, stderr=subprocess.STDOUT,
            env=environment(PYTHONUNBUFFERED="1"), start_new_session=True,
        )  # fmt: skip

        def said() -> str:
            log.seek(0)
            return log.read()

        end, at = time.monotonic() + LONGEST_S, None
        while running.poll() is None and (at is None or time.monotonic() < at):
            if time.monotonic() > end:
                os.killpg(running.pid, signal.SIGKILL)
                raise AssertionError(f"{LONGEST_S} s were not enough: {said()[-500:]}")
            if at is None and said().count(RUNNING) >= ahead:
                at = time.monotonic() + after_s
            time.sleep(0.05)
        if running.poll() is not None:
            if "RWLock-file" in said():  # DVC's own, cut short by the last kill: what docs/faq.md says of it
                (folder / HELD).unlink()
                return killed(folder, ahead, after_s, by)
            assert running.returncode == 0, said()[-1500:]
            return None
        # Kernels of notebooks are in sessions of their own, and end by themselves when nobody listens any more.
        started = {}
        for one in psutil.Process(running.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                started[one] = one.name()
        os.killpg(running.pid, by)
        running.wait(ENDS_S)
        _, left = psutil.wait_procs(started, timeout=ENDS_S)
        # Where nobody reaps orphans, an ended one keeps its number.
        left = [one for one in left if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
        assert not left, f"it left something running: {[started[one] for one in left]}"
        return said().split(RUNNING)[-1].split("'")[0]


def main(kills: int = KILLS, seed: int = SEED) -> int:
    """Kills so many times, prints where and what came of it, and returns how many chains ended otherwise."""
    drawn, number, fell, chains = random.Random(seed), 0, 0, 0
    with tempfile.TemporaryDirectory(prefix="irstd-kills-") as temporary:
        whole = world(Path(temporary) / "whole")
        done = dvc(whole, "repro", timeout=LONGEST_S)
        assert done.returncode == 0, done.stderr
        expected = made(whole)
        assert expected, "nothing was made"
        shutil.rmtree(whole)
        while number < kills and not fell:
            chains += 1
            folder = world(Path(temporary) / "a chain, köszönöm")
            try:
                while True:
                    last = number >= kills
                    ahead = 10**6 if last else drawn.randint(1, AHEAD)
                    by = drawn.choice(SIGNALS)
                    stage = killed(folder, ahead, drawn.uniform(0, LATEST_S), by)
                    if stage is None:
                        break
                    number += 1
                    print(f"kill {number}: {by.name} in {stage}", flush=True)
                again = dvc(folder, "repro", "--dry", timeout=LONGEST_S)
                found = made(folder)
                other = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
                assert not other, f"differs: {other[:5]}"
                assert again.returncode == 0 and RUNNING not in again.stdout, f"still to do: {again.stdout[-500:]}"
                print(f"held  chain {chains}: {len(found)} files equal to the byte, nothing left to do", flush=True)
            except AssertionError as error:
                fell += 1
                print(f"FELL  chain {chains}: {error}", flush=True)
            shutil.rmtree(folder)
    print(f"{number} kills, {chains - fell} of {chains} chains ended as if nobody had killed them", flush=True)
    return fell


if __name__ == "__main__":
    sys.exit(min(main(*map(int, sys.argv[1:])), 1))
