"""Take what finished cells made to where DVC looks for it: [RUN ...] -> dvc.lock, runs/, DVC's cache.

`dvc repro` then counts their stages as done. `pipelines.fan_out` calls this by itself, before and after; so does the
job that it leaves behind on a cluster. A cell whose options or code have changed since it was sent is left, and said.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from irstd.config import params
from irstd.data.prepared import Prepared
from irstd.errors import InputError
from pipelines import PREPARED, SENT, alone, checkout, counted, plan, run
from pipelines.cell import folders, note, stands, state_file


def main(*names: str) -> None:
    unfit = join(*names)
    if unfit:
        sys.exit("\n".join(f"error: {name}: {why}" for name, why in unfit.items()))


def join(*names: str) -> dict[str, str]:
    """Joins the named cells that are done, or all of them; why some could not be, by name."""
    cells = params.load().cells()
    if strangers := [name for name in names if name not in cells]:
        raise InputError(f"params.yaml has no cell {strangers[0]!r}")
    with alone(SENT / "join.lock", "joins cells"):
        found = {name: stands(name) for name in names or cells if state_file(name).exists()}
        done = {name: state for name, state in found.items() if state["state"] == "done"}
        if done:
            plan.main()
        sums: dict[str, str] = {}
        unfit = {name: why for name, state in done.items() if (why := _unfit(name, cells[name], state, sums))}
        fit = {name: state for name, state in done.items() if name not in unfit}
        if fit:
            for name, state in fit.items():
                checkout.take(checkout.CHECKOUTS / state["checkout"], cells[name], state["stages"])
            _enter({name: state["stages"] for name, state in fit.items()})
            for name in fit:
                note(name, state="joined")
            print(f"joined {counted(len(fit), 'cell')}: `dvc repro` has nothing to run there", flush=True)
        _tidy(cells)
    return unfit


def _unfit(name: str, cell: dict[str, Any], state: dict[str, Any], sums: dict[str, str]) -> str | None:
    """Why what a cell made is not what is asked for here now; None where it is. `sums` remembers the data's."""
    place, dataset = checkout.CHECKOUTS / state["checkout"], cell["dataset"]
    again = "send it again by `python -m pipelines.fan_out`"
    if what := checkout.same_plan(place, name, state["stages"]):
        return f"{what} changed since it was sent; {again}"
    if "train" not in state["stages"]:
        return None
    (trained,) = folders("train", cell)
    made = [path for root in (place, Path()) if (path := root / trained / "provenance.json").exists()]
    if not made:
        return f"what it made is gone; {again}"
    if dataset not in sums:
        sums[dataset] = Prepared(PREPARED / dataset).checksum()
    if json.loads(made[0].read_text())["data_sha256"] != sums[dataset]:
        return f"{dataset} was prepared again since it was trained; {again}"
    return None


@contextmanager
def stages_of(cells: dict[str, Sequence[str]]) -> Iterator[list[Any]]:
    """DVC's stages of the cells, in order, while no other DVC command may change what is recorded of them.

    Raises:
        InputError: one runs here, or dvc.yaml has no such stage.
    """
    from dvc.dvcfile import load_file  # noqa: PLC0415 - DVC takes a second to load
    from dvc.exceptions import DvcException  # noqa: PLC0415
    from dvc.lock import LockError  # noqa: PLC0415
    from dvc.repo import Repo, lock_repo  # noqa: PLC0415

    logging.getLogger("dvc").setLevel(logging.WARNING)
    try:
        # Without git: DVC would read its index for every output, to see that git does not hold it as well.
        with Repo(config={"core": {"no_scm": True}}) as repo, lock_repo(repo):
            known = load_file(repo, "dvc.yaml").stages
            yield [known[f"{kind}@{name}"] for name, kinds in cells.items() for kind in kinds]
    except LockError:
        raise InputError(
            "another DVC command runs in this folder; wait until it is done, and call this again"
        ) from None
    except (DvcException, KeyError) as error:
        raise InputError(f"DVC does not take the cells ({error}); fix that, and call this again") from None


def _enter(cells: dict[str, Sequence[str]]) -> None:
    """Enters stages into dvc.lock and DVC's cache, all at once: DVC by itself rewrites the file stage by stage."""
    with stages_of(cells) as stages:
        for stage in stages:
            # Files that DVC copies into its cache need no link back; a cache of links has them made.
            relink = next(iter(stage.repo.cache.local.cache_types), "copy") not in ("reflink", "copy")
            stage.save(run_cache=False)
            stage.commit(relink=relink)
        stages[0].dvcfile.dump_stages(stages, update_pipeline=False)


def _tidy(cells: dict[str, Any]) -> None:
    """Removes checkouts that no cell needs any more."""
    if not checkout.CHECKOUTS.exists():
        return
    needed = {s.get("checkout") for s in map(stands, cells) if s.get("state") in ("waits", "runs", "stopped", "done")}
    for place in checkout.CHECKOUTS.iterdir():
        if place.name not in needed:
            checkout.remove(place.name)


if __name__ == "__main__":
    run(main)
