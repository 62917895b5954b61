"""What fanning out costs: wall time of cells that train nothing, and of joining many: [CELLS ...]; let nothing else run.

A cell here is a classical detector on a few small scenes: a process that starts, chooses a threshold, predicts and
scores. So its time is what every cell pays beside its training.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

from pipelines import cell, checkout
from tests.test_fan_out import call, git
from tests.test_pipeline import TINY, copy, merge, set_params

WORKERS = 8
JOINED = 1000


def repository(folder, count):
    """A clone whose cells are one detector under so many names."""
    copy(folder)
    rows = [f"top_hat-{number}" for number in range(count)]
    only = {"methods": [], "baselines": rows, "method": {row: {"of": "top_hat"} for row in rows}}
    set_params(folder, merge(json.loads(json.dumps(TINY)), only))
    git(folder, "commit", "-qam", "bench")
    return folder


def timed(folder, *words):
    start = time.perf_counter()
    done = call(folder, *words)
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - start


def fan_out(folder):
    return timed(folder, "pipelines.fan_out", "dask", "--workers", str(WORKERS), "--dashboard", "127.0.0.1:0")


def join(folder, count):
    """Seconds to join cells whose files are copies of the first one's."""
    first, *others = [{"dataset": "synthetic", "method": f"top_hat-{number}", "seed": 0} for number in range(count)]
    timed(folder, "pipelines.fan_out", "dask", "--workers", "1", "--cells", "synthetic-top_hat-0-0")
    os.chdir(folder)
    commit = cell.stands("synthetic-top_hat-0-0")["checkout"]
    place = checkout.make(commit)
    for other in others:
        for stage in cell.STAGES:
            for made, copied in zip(cell.folders(stage, first), cell.folders(stage, other), strict=True):
                shutil.copytree(made, place / copied)
        cell.note(f"synthetic-{other['method']}-0", state="done", stages=list(cell.STAGES), checkout=commit)
    os.chdir("/")
    return timed(folder, "pipelines.join")


def main(*counts):
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for count in map(int, counts):
            seconds = fan_out(repository(Path(place, f"cells-{count}"), count))
            rows.append((f"{count} cells, {WORKERS} at once", seconds, seconds / count))
            print(tabulate(rows[-1:], floatfmt=".3g"), flush=True)
        seconds = join(repository(Path(place, "join"), JOINED), JOINED)
        rows.append((f"join of {JOINED - 1}", seconds, seconds / (JOINED - 1)))
    print(tabulate(rows, ("what", "s", "s a cell"), floatfmt=".3g"))


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["10", "100"]))
