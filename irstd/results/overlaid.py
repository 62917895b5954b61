"""Results of several folders seen as one: the record, and over it what was computed here."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from irstd.errors import InputError
from irstd.results import sums

ORIGINS = "origins.csv"  # in the folder that is seen: dataset, method, seed, and where the run's results are from
RECORD, HERE = "record", "this machine"


def overlay(folders: Path | str | Sequence[Path | str]) -> Path:
    """One folder with the results of all.

    A run's results (the folder DATASET/METHOD/SEED that holds metrics.json) are those of the last folder that has them,
    whole: files of two runs never mix, and a run computed here that was not scored to its end is left out. Any other
    file is that of the last folder that has it.

    Args:
        folders: one, which is returned as it is; or the record and then folders of results computed here, of which
            some need not exist. These are copied together into `view`, beside the last.

    Raises:
        InputError: none of them exists, or one is not as it was published, see `irstd.results.sums`.
    """
    wanted = [folders] if isinstance(folders, (str, Path)) else folders
    there = [Path(f) for f in wanted if Path(f).is_dir()]
    if not there:
        raise InputError(
            f"there is no folder {' or '.join(map(str, wanted))} below {Path.cwd()}; notebooks are run from "
            "notebooks/, as by `papermill --cwd notebooks`"
        )
    for folder in there:
        sums.check(folder)
    if len(there) < 2:
        return there[0]
    sources: dict[Path, Path] = {}
    origins: dict[Path, str] = {}
    for place, folder in enumerate(there):
        files = {p.relative_to(folder): p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != sums.NAME}
        runs = {path.parent for path in files if path.match("*/*/*/metrics.json")}
        begun = {path.parents[-4] for path in files if len(path.parts) > 3 and path.parts[2].isdigit()} - runs
        files = {path: file for path, file in files.items() if not place or not begun & {*path.parents}}
        sources = {path: source for path, source in sources.items() if not runs & {path.parent, *path.parents}}
        sources |= files
        origins |= dict.fromkeys(runs, HERE if place else RECORD)
    view = there[-1].parent / "view"
    for path in sorted(view.rglob("*")):
        if path.is_file() and path.relative_to(view) not in sources:
            path.unlink()
    for path, source in sources.items():
        target = view / path
        if not target.exists() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    lines = [",".join((*run.parts, origin)) for run, origin in sorted(origins.items())]
    (view / ORIGINS).write_text("\n".join(["dataset,method,seed,origin", *lines, ""]))
    return view


def of_checkout(root: Path) -> Path:
    """The results of a checkout: its record, and over it what was computed in it; a folder that need not exist."""
    folders = [root / "reports/results", root / "runs/results"]
    return overlay(folders) if any(folder.is_dir() for folder in folders) else folders[0]


def of_checkout_or_none(root: Path) -> tuple[Path | None, list[str]]:
    """`of_checkout`, or None and what is wrong with it: for what can do without."""
    try:
        return of_checkout(root), []
    except InputError as error:
        return None, [f"Our own rows are left out: {error}."]


def origin_of(folder: Path) -> dict[tuple[str, str, int], str]:
    """Where the results of each run in `folder` are from; empty where it is one folder, and no view of several."""
    path = folder / ORIGINS
    rows = [line.split(",") for line in path.read_text().splitlines()[1:]] if path.exists() else []
    return {(dataset, method, int(seed)): origin for dataset, method, seed, origin in rows}
