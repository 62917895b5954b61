"""Print where the cells that were sent stand: state, machine, device, minutes, epoch, loss, score."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from tabulate import tabulate

from irstd.config import params
from irstd.errors import InputError
from pipelines import RUNS, run
from pipelines.cell import stands, state_file

HEAD = ("cell", "state", "stage", "host", "device", "min", "epoch", "loss", "score, or what is wrong")


def row(name: str, cell: dict[str, Any]) -> tuple:
    """A line of the table."""
    state = stands(name)
    path = RUNS.joinpath("checkpoints", cell["dataset"], cell["method"], str(cell["seed"]), "progress.json")
    now = json.loads(path.read_text()) if path.exists() and state["state"] in ("runs", "stopped") else {}
    minutes = None
    if since := state.get("since"):
        until = state.get("until") or (datetime.now(UTC).isoformat() if state["state"] == "runs" else None)
        minutes = until and (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds() / 60
    epoch = f"{now['epoch']}/{now['epochs']}" if now else None
    score = state.get("why") or (_result(cell) if state["state"] == "joined" else now.get("score"))
    return (name, state["state"], state.get("stage"), state.get("host"), state.get("device"), minutes, epoch,
            now.get("loss"), score)  # fmt: skip


def _result(cell: dict[str, Any]) -> str | None:
    """What a joined cell scored on the test split, if it was scored."""
    path = RUNS.joinpath("results", cell["dataset"], cell["method"], str(cell["seed"]), "metrics.json")
    if not path.exists():
        return None
    found = json.loads(path.read_text())
    if found["iou"] is not None:
        return f"IoU {found['iou']:.3f}"
    return f"point F1 at 5 px {found['point_f1_5px']:.3f}"


def table() -> str:
    """All cells that were ever sent from here."""
    cells = params.load().cells()
    rows = [row(name, cell) for name, cell in cells.items() if state_file(name).exists()]
    if not rows:
        raise InputError("no cell was sent from here; `python -m pipelines.fan_out --help` says how")
    return tabulate(rows, HEAD, floatfmt=".3g", missingval="")


def main() -> None:
    print(table())


if __name__ == "__main__":
    run(main)
