"""A checkout of this repository's commit, in which cells run while the files here go on being edited.

Data, checkpoints and the cells' states are those of here, by links; what a cell makes stays in the checkout until
`pipelines.join` takes it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from irstd.errors import InputError
from irstd.results import provenance
from pipelines import RUNS, SENT, alone, reason
from pipelines.cell import folders

CHECKOUTS = SENT / "checkouts"
SHARED = ("data", "runs/checkpoints", "runs/cells")  # with the repository that the checkout is of
CODE = ("irstd", "pipelines")


def commit() -> str:
    """The commit that cells are trained from.

    Raises:
        InputError: there is none, or files that git holds differ from it.
    """
    found = provenance.commit(Path())
    if not found:
        raise InputError("cells are trained from a commit, and this folder is in no git repository; `git init` it")
    if found.endswith("+"):
        raise InputError("cells are trained from a commit, and files here differ from it; commit them first")
    return found


def make(of: str) -> Path:
    """The checkout of commit `of`; made where it is not there."""
    place = CHECKOUTS / of
    with alone(SENT / "checkout.lock", "makes a checkout for cells"):
        if not place.exists():
            _clone(of, place)
        # The section `train` is the machine's, and may differ from the commit's.
        shutil.copyfile("params.yaml", place / "params.yaml")
        environment = {**os.environ, "PYTHONPATH": str(place.resolve())}
        done = subprocess.run(
            [sys.executable, "-m", "pipelines.plan"], cwd=place, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise InputError(f"in a checkout of {of}: {reason(done)}")
    return place


def _clone(of: str, place: Path) -> None:
    beside = place.with_name(f"{of}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.parent.mkdir(parents=True, exist_ok=True)
    _git("clone", "--quiet", "--shared", "--no-checkout", ".", str(beside))
    _git("-C", str(beside), "sparse-checkout", "set", *CODE)  # and the files at the top
    _git("-C", str(beside), "checkout", "--quiet", "--detach", of)
    for name in SHARED:
        own = Path(name)
        own.mkdir(parents=True, exist_ok=True)
        link = beside / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(own.resolve(), target_is_directory=True)
    beside.replace(place)


def _git(*words: str) -> None:
    done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"git {words[0]}: {reason(done)}")


def lend(place: Path, cell: dict[str, Any], stages: list[str]) -> None:
    """Links what earlier stages of a cell made here into the checkout, for those that are run there to read."""
    for stage in stages:
        for folder in folders(stage, cell):
            link = place / folder
            if link.is_symlink() or not folder.exists():
                continue
            shutil.rmtree(link, ignore_errors=True)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(folder.resolve(), target_is_directory=True)


def take(place: Path, cell: dict[str, Any], stages: list[str]) -> None:
    """Moves what stages of a cell made in the checkout to here; what an earlier call moved is left."""
    for stage in stages:
        for folder in folders(stage, cell):
            made = place / folder
            if made.is_symlink() or not made.exists():
                continue
            shutil.rmtree(folder, ignore_errors=True)
            folder.parent.mkdir(parents=True, exist_ok=True)
            made.replace(folder)


def remove(of: str) -> None:
    """Removes a checkout that no cell needs any more."""
    shutil.rmtree(CHECKOUTS / of, ignore_errors=True)
    if CHECKOUTS.exists() and not any(CHECKOUTS.iterdir()):
        CHECKOUTS.rmdir()


def same_plan(place: Path, name: str, stages: list[str]) -> str | None:
    """What of a cell's plan differs between a checkout and here, in words; None where nothing does."""
    files = {f"cells/{name}": "its options, recipe or method", **{f"code/{s}": f"the code of `{s}`" for s in stages}}
    if "score" in stages:
        files["evaluate"] = "how predictions are scored"
    for file, what in files.items():
        here, there = (Path(root, RUNS, "plan", f"{file}.json") for root in ("", place))
        if not there.exists() or not here.exists() or here.read_bytes() != there.read_bytes():
            return what
    return None
