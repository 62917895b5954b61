"""Cells as an array of Slurm tasks, and a job behind it that joins what they made. Nothing stays on the login node."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from irstd.errors import InputError
from pipelines import SENT, reason

MOST = 1000  # tasks of an array: Slurm's MaxArraySize is 1001 unless a cluster's owner raised it

# A task that is about to reach its time limit is put back into the queue, and goes on from its checkpoint there.
# Lightning, and whatever else reads Slurm's variables, must not take a task of an array for one of many ranks.
TASK = """#!/bin/bash
again() {{
  kill -TERM "$child"
  wait "$child"
  scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
}}
trap again USR1
cd {folder} || exit 1
export PYTHONPATH={folder} OMP_NUM_THREADS="${{SLURM_CPUS_PER_TASK:-1}}"
read -r -a words < <(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" {queue})
env -u SLURM_NTASKS -u SLURM_NPROCS -u SLURM_JOB_NAME {python} -m pipelines.cell "${{words[@]}}" &
child=$!
wait "$child"
"""
KEPT = ("--partition", "--account", "--qos", "--clusters", "--reservation", "--time")
SHORT = {"-p": "--partition", "-A": "--account", "-q": "--qos", "-M": "--clusters", "-t": "--time"}
JOIN = """#!/bin/bash
cd {folder} && {python} -m pipelines.join && {python} -m pipelines.cells
"""


def _sbatch(script: str, *options: str) -> str:
    """The number of the job that the script became."""
    try:
        done = subprocess.run(
            ["sbatch", "--parsable", *options], input=script, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise InputError("there is no `sbatch` here; call this where Slurm's commands are") from None
    if done.returncode:
        raise InputError(f"Slurm refused the cells: {reason(done)}")
    return done.stdout.strip().split(";")[0]


def of_join(options: list[str]) -> list[str]:
    """Those of sbatch's options for the tasks that the job which joins them needs as well: where it may run, and whose
    account pays, and how long, where a cluster asks for it.

    >>> of_join(["-p", "gpu", "--account", "us", "--time=4:00:00", "--mem=16G", "-qlong"])
    ['--partition=gpu', '--account=us', '--time=4:00:00', '--qos=long']
    """
    found, words = [], list(options)
    while words:
        word = words.pop(0)
        short = word[:2] in SHORT
        name, value = (SHORT[word[:2]], word[2:].removeprefix("=")) if short else (word.partition("=")[::2])
        if name in KEPT:
            value = value or (words.pop(0) if words else "")
            found.append(f"{name}={value}")
    return found


def submit(
    cells: dict[str, list[str]], place: Path, *, gpu: bool, at_once: int | None, options: list[str]
) -> list[str]:
    """Hands the cells to Slurm; the numbers of the jobs, the last of which joins.

    Args:
        cells: the stages to run of each. place: the checkout to run them in.
        gpu: whether each asks for one. at_once: most tasks of an array that run together.
        options: sbatch's own, for the tasks.
    """
    names, jobs = list(cells), []
    logs = SENT.resolve() / "slurm"
    logs.mkdir(parents=True, exist_ok=True)
    python = shlex.quote(sys.executable)
    for start in range(0, len(names), MOST):
        part = names[start : start + MOST]
        queue = logs / f"queue-{os.getpid()}-{start}.txt"
        queue.write_text("".join(f"{name} {' '.join(cells[name])}\n" for name in part))
        script = TASK.format(folder=shlex.quote(str(place.resolve())), queue=shlex.quote(str(queue)), python=python)
        limit = f"%{at_once}" if at_once else ""
        jobs.append(
            _sbatch(
                script, f"--array=0-{len(part) - 1}{limit}", "--job-name=irstd", "--requeue", "--open-mode=append",
                "--signal=B:USR1@120", f"--output={logs}/%A_%a.log", *["--gres=gpu:1"] * gpu, *options,
            )
        )  # fmt: skip
    script = JOIN.format(folder=shlex.quote(str(Path.cwd())), python=python)
    after = ":".join(jobs)
    jobs.append(
        _sbatch(
            script, "--job-name=irstd-join", f"--dependency=afterany:{after}", f"--output={logs}/%j.log",
            *of_join(options),
        )
    )  # fmt: skip
    print(f"Slurm has them as job {', '.join(jobs[:-1])}; job {jobs[-1]} joins them when they have ended", flush=True)
    return jobs
