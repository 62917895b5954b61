"""Take in a cell that was trained elsewhere: FOLDER DATASET METHOD SEED -> its weights, history and provenance, here.

FOLDER is a checkout of this repository where `dvc repro train@DATASET-METHOD-SEED` ran, or a copy of its `runs/train`
and `reports/results`. Nothing is taken on trust that can be had here: predictions and scores are made anew by the
command that is printed at the end. What is checked, before anything is written:

- the training's commit is known here and nothing differed from it; none of the code of trainings has changed since;
- data, split, recipe, options and the method's sources are those that params.yaml asks for here;
- the weights are this cell's, fit its network and are finite; the history has every epoch, and its best is the chosen.

Where it came from is recorded in reports/results/imports.csv, and in the cell's provenance.
"""

import hashlib
import json
import math
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from irstd import methods, params, provenance, results
from irstd.data.prepared import Prepared
from irstd.errors import InputError
from pipelines import PREPARED, RESULTS, RUNS, run
from pipelines.rows import method_of

WEIGHTS = ("best.safetensors", "last.safetensors")
HISTORY = ("history.csv", "watched.csv")


def _same_code(commit: str, name: str) -> None:
    """Raises InputError unless the code of trainings is that of `commit`."""
    if not commit or commit.endswith("+"):
        raise InputError(
            f"{name} was trained from {f'changes to {commit[:-1]} that are in no commit' if commit else 'no commit'}; "
            "train it in a clean checkout"
        )
    if subprocess.run(["git", "cat-file", "-e", commit], capture_output=True, check=False).returncode:
        raise InputError(f"{name} was trained at commit {commit}, which is not known here; fetch it with git")
    stages = yaml.safe_load(Path("dvc.yaml").read_text())["stages"]
    code = [path for path in stages["train"]["deps"] if path.startswith(("irstd/", "pipelines/"))]
    asked = ["git", "diff", "--name-only", commit, "--", *code]
    if changed := subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines():
        raise InputError(
            f"{name} was trained at commit {commit}, and {changed[0]} has changed since; check that out, or train again"
        )


def _as_asked(made: dict[str, Any], given: params.Params, dataset: str, method: str) -> None:
    """Raises InputError unless data, recipe and network are those that params.yaml asks for."""
    entry, (_, options) = given.data(dataset), method_of(given, method)
    if not (PREPARED / dataset / "scenes.csv").exists():
        raise InputError(f"{dataset} is not prepared, so nothing can be compared; run `dvc repro prepare@{dataset}`")
    wanted = {
        "split": entry.split,
        "budget": entry.budget,
        "data_sha256": Prepared(PREPARED / dataset).checksum(),
        "sources": provenance.source_digest(methods.module_name(given.row(method).method or method)),
        **_flat("recipe", asdict(given.recipe(dataset, method))),
        **_flat("options", asdict(options)),
    }
    got = {**made, **_flat("recipe", made["recipe"]), **_flat("options", made["options"])}
    for key, value in json.loads(json.dumps(wanted)).items():
        if got.get(key) != value:
            raise InputError(
                f"{dataset} {method} was trained with {key} {got.get(key)!r}, but {value!r} is asked for here; "
                "make them equal, or train it again"
            )


def _flat(name: str, values: dict[str, Any]) -> dict[str, Any]:
    return {f"{name}.{key}": value for key, value in values.items()}


def _whole(folder: Path, made: dict[str, Any], given: params.Params, cell: tuple[str, str, int]) -> None:
    """Raises InputError unless the weights are the cell's, fit its network and are finite."""
    dataset, method, seed = cell
    chosen, options = method_of(given, method)
    for name in WEIGHTS:
        path = folder / name
        try:
            with safe_open(path, "pt") as file:
                label = json.loads((file.metadata() or {}).get("irstd", "{}"))
            weights = load_file(path)
            chosen.build(options).load_state_dict(weights)
        except (SafetensorError, RuntimeError, ValueError) as error:
            first = str(error).splitlines()[0]
            raise InputError(f"{name} is damaged or another network's ({first}); copy it again") from None
        own = {"dataset": dataset, "method": method, "seed": seed, "epoch": made["best_epoch"]}
        if label != own:
            raise InputError(f"{name} says it is of {label}, not of {own}; copy the right one")
        if not all(torch.isfinite(tensor).all() for tensor in weights.values()):
            raise InputError(f"{name} of {dataset} {method} has values that are not finite; train it again")


def _full_history(path: Path, made: dict[str, Any]) -> None:
    """Raises InputError unless every epoch is there, finite, and the chosen one has the best score."""
    history = results.read(path, "history")
    scores = history.set_index("epoch")["score"].dropna()
    epochs = list(range(1, made["recipe"]["epochs"] + 1))
    if history["epoch"].tolist() != epochs or not all(math.isfinite(loss) for loss in history["loss"]):
        raise InputError(f"{path.name} has not each of {len(epochs)} epochs, with a loss; copy it again")
    if len(scores) and scores[made["best_epoch"]] != scores.max():
        raise InputError(
            f"{path.name} has its best score in epoch {scores.idxmax()}, but epoch {made['best_epoch']} was chosen; "
            "copy both again"
        )


def main(folder: str, dataset: str, method: str, seed: str) -> None:
    given, place, name = params.load(), (dataset, method, seed), f"{dataset} {method} {seed}"
    trained, scored = (Path(folder, base, *place) for base in (RUNS / "train", RESULTS))
    wanted = [trained / one for one in ("provenance.json", *WEIGHTS)] + [scored / one for one in HISTORY]
    if missing := [path for path in wanted if not path.is_file()]:
        raise InputError(f"{missing[0]} is missing; name the checkout where `dvc repro train@{'-'.join(place)}` ran")
    made = json.loads((trained / "provenance.json").read_text())
    _same_code(made.get("commit") or "", name)
    _as_asked(made, given, dataset, method)
    _whole(trained, made, given, (dataset, method, int(seed)))
    _full_history(scored / "history.csv", made)
    for source, target in ((trained, RUNS / "train"), (scored, RESULTS)):
        here = target.joinpath(*place)
        here.mkdir(parents=True, exist_ok=True)
        for path in wanted:
            if path.parent == source:
                shutil.copyfile(path, here / path.name)
    record = RESULTS / "imports.csv"
    row = {
        "dataset": dataset, "method": method, "seed": int(seed), "commit": made["commit"],
        "hardware": made["hardware"], "precision": made["precision"], "wall_s": made["wall_s"],
        "sha256": hashlib.sha256((trained / WEIGHTS[0]).read_bytes()).hexdigest(),
    }  # fmt: skip
    table = pd.DataFrame([row])
    if record.exists():
        table = pd.concat([results.read(record, "imports"), table])
    table = table.drop_duplicates(["dataset", "method", "seed"], keep="last").sort_values(["dataset", "method", "seed"])
    results.write(table, record, "imports")
    study = next((f"{study}-" for study, rows in given.studies.items() if method in rows.methods), "")
    cell = "-".join(place)
    commit = [sys.executable, "-m", "dvc", "commit", "--force", f"{study}train@{cell}"]
    done = subprocess.run(commit, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1]
        raise InputError(f"DVC could not take in {name} ({last}); mend that, and run this again")
    also = "" if study else f" conventions@{cell}"
    print(f"Taken in. Predict and score it here: dvc repro {study}evaluate@{cell}{also}")


if __name__ == "__main__":
    run(main)
