"""The stages of the pipeline: read params.yaml, call `irstd`, write files. Paths are chosen here and nowhere else."""

from __future__ import annotations

import argparse
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

RAW, PREPARED, ARCHIVES = Path("data/raw"), Path("data/prepared"), Path("data/archives")
RUNS, RESULTS, REPORTS = Path("runs"), Path("reports/results"), Path("reports")
WEIGHTS = REPORTS / "weights"  # in git, in half precision

# One instruction set, so that a portable dataset's results are equal to the bit on x86 CPUs with AVX2.
PORTABLE = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "COMPATIBLE"}


def _prepare_process() -> None:
    """Environment that libraries read when they are loaded, and so cannot be told later."""
    # Threads that wait by spinning take the core that another thread needs.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        entries = yaml.safe_load(Path("params.yaml").read_text())["dataset"]
        portable = any(entries.get(word, {}).get("portable") for word in sys.argv[1:2])
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError):
        portable = False  # the stage will read params.yaml properly, and say what is wrong
    if portable:
        os.environ.update(PORTABLE)


_prepare_process()


def run(main: Callable[..., None]) -> None:
    """Calls a stage's `main` with the command line's words; what the user must mend is one sentence and exit 1."""
    from irstd.errors import InputError  # noqa: PLC0415 - after the environment is set

    parser = argparse.ArgumentParser(description=sys.modules[main.__module__].__doc__)
    for name in inspect.signature(main).parameters:
        parser.add_argument(name)
    try:
        main(**vars(parser.parse_args()))
    except InputError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        # The disk is full, a folder may not be written, a file vanished.
        path = Path(error.filename).name if isinstance(error.filename, str) else "a file"
        sys.exit(
            f"error: {path}: {error.strerror or error}; mend that and run `dvc repro` again, finished work is kept"
        )


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
