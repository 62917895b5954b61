"""Run the whole pipeline on the drawn scenes, then write every report -> runs/site.

dvc.lock is put back as it was. It says what was computed, in hashes that differ from one kind of processor to the next,
and git keeps it; DVC's run cache remembers as well, so that `dvc repro` of the same stages runs nothing again.
"""

import subprocess
import sys
from pathlib import Path

from irstd.config import params
from irstd.errors import InputError
from pipelines import RECORD, reports, run

DATASET = "synthetic"
LOCK = Path("dvc.lock")


def targets(given: params.Params, dataset: str) -> list[str]:
    """The stages whose results the reports of a dataset show, and those of no dataset."""
    found = [f"score@{name}" for name, cell in given.cells().items() if cell["dataset"] == dataset]
    # The record has the cards of the methods that it has results of.
    recorded = RECORD / "results/methods"
    found += [f"method-card@{row}" for row in given.methods if not (recorded / f"{row}.json").exists()]
    found += [f"summarise-dataset@{dataset}", "cases", "loss-gradients"]
    found += [f"crops@{dataset}"] * (dataset in given.public)
    return found + [f"kernel-orientation@{dataset}"] * (dataset in given.orientation.datasets)


def main() -> None:
    given = params.load()
    if DATASET not in given.datasets:
        raise InputError(f"params.yaml: datasets: {DATASET!r} is not there; add it again, the quick start draws it")
    before = LOCK.read_bytes() if LOCK.exists() else None
    try:
        done = subprocess.run([sys.executable, "-m", "dvc", "repro", *targets(given, DATASET)], check=False)
    finally:
        if before is None:
            LOCK.unlink(missing_ok=True)
        else:
            LOCK.write_bytes(before)
    if done.returncode:
        raise InputError(
            "a stage failed; mend what it says above, and run `make quickstart` again: finished work is kept"
        )
    reports.main()


if __name__ == "__main__":
    run(main)
