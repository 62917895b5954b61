"""Run cells beside each other: on the GPUs or cores of this machine, on hosts by ssh, on a cluster.

    python -m pipelines.fan_out dask --workers 2              two cells at once here, or one on each GPU
    python -m pipelines.fan_out dask --hosts a b --workers 4  four at once on each host; the first also schedules
    python -m pipelines.fan_out dask --address tls://...      on workers that were started elsewhere
    python -m pipelines.fan_out slurm -- --time=4:00:00       an array of tasks, and a job that joins the results

A cell is what `dvc repro train@CELL predict@CELL score@CELL` runs; those are sent that it would run now. They are
trained from the commit that is checked out, whatever is edited meanwhile. Call it again after a failure: what is done
stays. `python -m pipelines.cells` shows where they stand. All machines must see this folder under the same path.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from typing import Any

from irstd.config import params
from irstd.errors import InputError
from pipelines import SENT, alone, checkout, counted, join, sentences
from pipelines.cell import STAGES, note, stands


def stale(names: list[str]) -> dict[str, list[str]]:
    """Of each cell the stages that `dvc repro` would run now: the first that changed, and those after it."""
    with join.stages_of(dict.fromkeys(names, STAGES)) as stages:
        changed = {stage.name for stage in stages if stage.changed()}
    found = {}
    for name in names:
        first = next((n for n, kind in enumerate(STAGES) if f"{kind}@{name}" in changed), None)
        if first is not None:
            found[name] = list(STAGES[first:])
    return found


def _prepared(names: list[str], cells: dict[str, Any]) -> None:
    """Has DVC make what the cells read: the plan, and the datasets."""
    datasets = dict.fromkeys(cells[name]["dataset"] for name in names)
    words = [sys.executable, "-m", "dvc", "repro", "--quiet", "plan", *(f"prepare@{d}" for d in datasets)]
    if subprocess.run(words, check=False).returncode:
        raise InputError("the datasets could not be prepared; fix what DVC says above")


def queue(wanted: list[str]) -> tuple[dict[str, list[str]], str]:
    """The cells to be sent, each with its stages, and the commit whose checkout they run in.

    Raises:
        InputError: there is no such cell, or the files here are of no commit.
    """
    given = params.load()
    cells = given.cells()
    if strangers := [name for name in wanted if name not in cells]:
        raise InputError(f"params.yaml has no cell {strangers[0]!r}; `dvc stage list --name-only` names them all")
    if given.train.devices > 1:
        raise InputError("params.yaml: train.devices: a cell that is sent has one device; set it to 1")
    of = checkout.commit()
    for name, why in join.join().items():
        print(f"{name}: {why}", flush=True)
    names = wanted or list(cells)
    _prepared(names, cells)
    found = stale(names)
    running = {name: state for name in found if (state := stands(name)).get("state") == "runs"}
    for name, state in running.items():
        print(f"{name} runs already, on {state['host']}", flush=True)
        del found[name]
    if found:
        with alone(SENT / "join.lock", "joins cells"):
            place = checkout.make(of)
            for name, stages in found.items():
                checkout.lend(place, cells[name], [kind for kind in STAGES if kind not in stages])
                note(name, state="waits", stages=stages, checkout=of, why=None, until=None, stage=None, since=None)
    return found, of


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m pipelines.fan_out", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    engines = parser.add_subparsers(dest="engine", required=True)
    dask = engines.add_parser("dask", help="here, on hosts by ssh, or on workers of any Dask cluster")
    dask.add_argument(
        "--workers", type=int, help="cells at once on each machine; here one for each GPU, else for each core"
    )
    dask.add_argument(
        "--threads", type=int, default=1, help="of the libraries beside torch, whose threads are params.yaml's (1)"
    )
    where = dask.add_mutually_exclusive_group()
    where.add_argument("--hosts", nargs="+", default=[], metavar="HOST", help="reached by ssh without a password")
    where.add_argument("--address", help="of a Dask scheduler that runs already")
    dask.add_argument("--ssh-port", type=int, default=22)
    dask.add_argument(
        "--dashboard", default="127.0.0.1:8787", metavar="HOST:PORT", help="where Dask shows its workers (%(default)s)"
    )
    slurm = engines.add_parser("slurm", help="an array of Slurm tasks; words after -- are sbatch's own")
    slurm.add_argument("--at-once", type=int, metavar="N", help="tasks that run at the same time, at most")
    slurm.add_argument("--no-gpu", action="store_true", help="ask for no GPU")
    slurm.add_argument("options", nargs="*", metavar="-- OPTION", help="e.g. --partition=gpu --time=4:00:00 --mem=16G")
    for engine in (dask, slurm):
        engine.add_argument("--cells", nargs="+", default=[], metavar="CELL", help="only these, if they are to be run")
    given = parser.parse_args()
    for name in ("workers", "threads", "at_once"):
        if (value := getattr(given, name, None)) is not None and value < 1:
            parser.error(f"--{name.replace('_', '-')} is to be at least 1")
    return given


def main() -> None:
    given = _arguments()
    cells, of = queue(given.cells)
    if not cells:
        print("nothing to run: `dvc repro` counts these cells as done")
        return
    place = checkout.CHECKOUTS / of
    print(f"{counted(len(cells), 'cell')} from commit {of}; watch them by `python -m pipelines.cells`", flush=True)
    if given.engine == "slurm":
        from pipelines import on_slurm  # noqa: PLC0415

        on_slurm.submit(cells, place, gpu=not given.no_gpu, at_once=given.at_once, options=given.options)
        return
    try:
        from pipelines import on_dask  # noqa: PLC0415 - loads Dask
    except ModuleNotFoundError as error:
        raise InputError(
            f"{error.name} is not installed here; `pip install -c constraints.txt -e '.[cluster]'`"
        ) from None

    # A batch system that ends this ends the workers too, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    on_dask.run(
        cells, place, workers=given.workers, threads=given.threads, hosts=given.hosts, address=given.address,
        ssh_port=given.ssh_port, dashboard=given.dashboard,
    )  # fmt: skip
    unfit = join.join(*cells)
    bad = {name: state for name in cells if (state := stands(name))["state"] != "joined"}
    for name, state in bad.items():
        print(
            f"{name}: {unfit.get(name) or state.get('why') or state['state']}; its log is {SENT / name}.log",
            file=sys.stderr,
        )
    if bad:
        sys.exit(
            f"error: {len(bad)} of {len(cells)} cells are not joined; fix that and call this again, the rest is kept"
        )


if __name__ == "__main__":
    try:
        with sentences():
            main()
    except KeyboardInterrupt:
        sys.exit("stopped; call this again, and cells go on from their checkpoints")
