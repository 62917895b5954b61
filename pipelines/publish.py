"""Publish runs into the record: NAME... -> reports/results, reports/weights and every page of reports/.

NAME is a run, DATASET-METHOD-SEED; `DATASET-METHOD` and `DATASET` stand for all their runs. Its results are taken from
runs/results, with what they stand on: the dataset's tables, the method's card, its transfer, robustness and the card of
its weights, the weights too if `publish.in_git` names them; but no costs measured beside other work, and no piece of a
scene of a dataset that `public` does not name. Runs on synthetic scenes are for trying things, and stay in runs/.
`race` stands for the tables of pipelines/race.py. Without a name the pages alone are rewritten, from the record as
it is.
Nothing else writes to the record.
"""

import json
import shutil
from collections.abc import Container
from pathlib import Path

import pandas as pd

from irstd.config import params
from irstd.errors import InputError, hint
from irstd.results import store, sums
from irstd.tables import BUSY
from pipelines import RECORD, RESULTS, WEIGHTS, run
from pipelines.reports import build

RACE, IMPORTS = "race", "imports"
OF_IMAGES = ("orientation_map.csv", "crops.csv", "crops.png")  # what holds pieces of scenes


def chosen(names: tuple[str, ...], known: dict[str, dict]) -> list[dict]:
    """The runs that `names` stand for.

    Raises:
        InputError: one stands for none.
    """
    found: dict[str, dict] = {}
    for name in names:
        runs = {k: c for k, c in known.items() if name in (k, f"{c['dataset']}-{c['method']}", c["dataset"])}
        if not runs:
            raise InputError(f"params.yaml has no run {name!r}; {hint(name, known)}")
        found |= runs
    return list(found.values())


def files(cell: dict, public: Container[str]) -> list[Path]:
    """What of runs/results is published of a run, below it.

    Args:
        public: datasets whose images may be passed on.

    Raises:
        InputError: it has no scores, or was computed from code that is in no commit.
    """
    dataset, method, seed = cell["dataset"], cell["method"], str(cell["seed"])
    place = RESULTS / dataset / method / seed
    if not (place / "metrics.json").exists():
        raise InputError(
            f"{dataset}-{method}-{seed} has no scores yet; run `dvc repro score@{dataset}-{method}-{seed}`"
        )
    commit = json.loads((place / "provenance.json").read_text())["commit"]
    if commit is not None and (not commit or commit.endswith("+")):
        raise InputError(
            f"{dataset}-{method}-{seed} was trained from changes that are in no commit; commit, and train it again"
        )
    patterns = (
        f"{dataset}/*.*", f"{dataset}/{method}/{seed}/*", f"methods/{method}.json", f"cost/{method}.csv",
        "analysis/*.csv", f"analysis/*-{dataset}/*", f"transfer/{dataset}/{method}/{seed}/*",
        f"on_training/{dataset}/{method}/{seed}.csv", f"robustness/{dataset}/{method}/{seed}.csv",
    )  # fmt: skip
    found = [path for pattern in patterns for path in sorted(RESULTS.glob(pattern)) if path.is_file()]
    left = [*race(), *(path for path in found if path.parent.name == "cost" and beside_other_work(path))]
    if dataset not in public:
        left += [path for path in found if path.name in OF_IMAGES]
    return [path for path in found if path not in left]


def beside_other_work(path: Path) -> bool:
    """Whether a table of costs has times that were measured while other work ran; says so if it has."""
    if not (store.read(path, "cost")["busy"].astype(float) > BUSY).any():
        return False
    print(
        f"{path} is not published: it was measured beside other work; let nothing else run, run "
        f"`dvc repro -f -s cost@{path.stem}`, and publish again"
    )
    return True


def race() -> list[Path]:
    """Tables of the race, which is of no run."""
    return sorted(RESULTS.glob("analysis/race*.csv"))


def main(*names: str) -> None:
    asked = params.load()
    cells = chosen(tuple(name for name in names if name != RACE), asked.cells())
    if RACE in names and not race():
        raise InputError("there is no race yet; run `python -m pipelines.race`")
    # Whatever is wrong is said before anything is written.
    if drawn := [cell["dataset"] for cell in cells if asked.is_synthetic(cell["dataset"])]:
        raise InputError(
            f"{drawn[0]}: results on synthetic scenes are not published; `make report` shows those in runs/"
        )
    sums.check(RECORD / "results")
    wanted = [(cell, files(cell, asked.public)) for cell in cells]
    try:
        for cell, paths in wanted:
            place = Path(cell["dataset"], cell["method"], str(cell["seed"]))
            shutil.rmtree(RECORD / "results" / place, ignore_errors=True)
            for path in paths:
                _copy(path, RECORD / "results" / path.relative_to(RESULTS))
            _publish_weights(f"{cell['dataset']}/{cell['method']}", asked.publish.in_git)
            print(f"published {'-'.join(place.parts)}")
        _publish_imports()
        for path in race() if RACE in names else ():
            _copy(path, RECORD / "results" / path.relative_to(RESULTS))
            print(f"published {path.stem}")
    finally:  # whatever was taken in is of the record
        sums.write(RECORD / "results")
    build(RECORD, RECORD / "results")


def _publish_imports() -> None:
    """Takes what is noted of runs that were imported; of those that were trained here since, the record has nothing."""
    paths = [folder / f"{IMPORTS}.csv" for folder in (RECORD / "results", RESULTS)]
    noted = [store.read(path, IMPORTS) for path in paths if path.exists()]
    rows = [row for table in noted for _, row in table.iterrows() if _is_published(row)]
    if rows:
        kept = pd.DataFrame(rows).drop_duplicates(["dataset", "method", "seed"], keep="last")
        store.write(kept.sort_values(["dataset", "method", "seed"]), paths[0], IMPORTS)
    else:
        paths[0].unlink(missing_ok=True)


def _is_published(row: pd.Series) -> bool:
    """Whether what is noted of an import is of the run that the record has."""
    path = RECORD / "results" / row["dataset"] / row["method"] / str(row["seed"]) / "provenance.json"
    made = json.loads(path.read_text()) if path.exists() else {}
    return all(made.get(key) == row[key] for key in ("commit", "wall_s"))


def _publish_weights(name: str, in_git: Container[str]) -> None:
    """Takes the card of weights, and the weights themselves if they belong in git, which none of an earlier run do."""
    card, file = (WEIGHTS / f"{name}.{suffix}" for suffix in ("md", "safetensors"))
    if not card.exists():
        return
    _copy(card, RECORD / "weights" / f"{name}.md")
    target = RECORD / "weights" / f"{name}.safetensors"
    target.unlink(missing_ok=True)
    if name in in_git:
        _copy(file, target)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


if __name__ == "__main__":
    run(main)
