"""Import a run that was trained elsewhere: FOLDER DATASET METHOD SEED -> its weights, history and provenance, here.

FOLDER is a checkout of this repository where `dvc repro train@DATASET-METHOD-SEED` ran, or a copy of its `runs/train`.
Predictions and scores are made here, by the command that is printed at the end. What is checked, before anything is
written:

- the training was of a commit, and of the same code of trainings that is here;
- data, split, held-out scenes, clicks, recipe, options and the method's code are those that params.yaml asks for;
- the weights are this run's, fit its network and are finite; the history has every epoch, and its best is the chosen;
- on the held-out scenes here, the weights have the score and the threshold that history and provenance say.

What is taken on trust: time, hardware, all epochs but the chosen, and the score where `selection` is not `validation`.
Where it came from is recorded in runs/results/imports.csv, and in the run's provenance.
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
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from irstd import methods
from irstd.config import params
from irstd.data.clicks import Clicks, read_clicks
from irstd.data.prepared import Prepared
from irstd.errors import InputError
from irstd.inference.predict import predict
from irstd.results import provenance, store
from irstd.training import loop
from irstd.training.selection import score
from pipelines import PREPARED, RESULTS, RUNS, plan, reason, run
from pipelines.lookup import method_of, network_of

WEIGHTS = "best.safetensors"
HISTORY = ("history.csv", "watched.csv")
STATED = ("commit", "hardware", "precision", "wall_s")
APART = 0.1  # between thresholds, for the same reason
CLOSE = 0.02  # between scores in bfloat16, as GPUs validate, and in single precision


def _provenance(path: Path, name: str) -> dict[str, Any]:
    """The provenance of a training.

    Raises:
        InputError: it is damaged.
    """
    try:
        made = json.loads(path.read_text())
        needed = {*STATED, "threshold", "best_epoch", "recipe", "options", "scenes", "code", "weights_sha256"}
        whole = needed <= set(made)
    except (ValueError, TypeError):
        whole = False
    if not whole:
        raise InputError(f"{path.name} of {name} is damaged; copy it again")
    return made


def _same_code(made: dict[str, Any], name: str) -> None:
    """Raises InputError unless it was trained from a commit, whose code of trainings is that of here."""
    commit = made["commit"]
    if not commit or commit.endswith("+"):
        what = f"changes to {commit[:-1]} that are in no commit" if commit else "no commit"
        raise InputError(f"{name} was trained from {what}; train it in a clean checkout")
    here, there = plan.code("train"), made["code"]
    if changed := sorted(module for module in {*here, *there} if here.get(module) != there.get(module)):
        raise InputError(
            f"{name} was trained at commit {commit}, and {changed[0]} differs here; check that out, or train again"
        )


def _flat(name: str, values: dict[str, Any]) -> dict[str, Any]:
    return {f"{name}.{key}": value for key, value in values.items()}


def _as_asked(made: dict[str, Any], given: params.Params, dataset: str, method: str) -> None:
    """Raises InputError unless data, recipe and network are those that params.yaml asks for."""
    entry, (chosen, options) = given.data(dataset), method_of(given, method)
    if not (PREPARED / dataset / "scenes.csv").exists():
        raise InputError(f"{dataset} is not prepared, so nothing can be compared; run `dvc repro prepare@{dataset}`")
    prepared, recipe = Prepared(PREPARED / dataset), given.recipe(dataset, method)
    held_out = recipe.selection == "validation"
    roles = prepared.roles(entry.split, entry.validation if held_out else 0.0)
    clicks = entry.clicks if chosen.supervision == "point" else None
    wanted = {
        "split": entry.split,
        "data_sha256": prepared.checksum(),
        "clicks_sha256": hashlib.sha256(clicks.read_bytes()).hexdigest() if clicks else None,
        "sources": provenance.source_digest(methods.module_name(given.row(method).method or method)),
        "scenes.validation": len(roles["validation"]) if held_out else 0,
        **_flat("recipe", asdict(recipe)),
        **_flat("options", asdict(options)),
    }
    got = dict(made)
    for name in ("recipe", "options", "scenes"):
        got |= _flat(name, made[name])
    for key, value in json.loads(json.dumps(wanted)).items():
        if got.get(key) != value:
            raise InputError(
                f"{dataset} {method} was trained with {key} {got.get(key)!r}, but {value!r} is asked for here; "
                "make them equal, or train it again"
            )


def _whole(folder: Path, made: dict[str, Any], given: params.Params, cell: tuple[str, str, int]) -> None:
    """Raises InputError unless the weights are the cell's, fit its network and are finite."""
    dataset, method, seed = cell
    path = folder / WEIGHTS
    network = network_of(given, method)  # what is wrong with its options is not said of the weights
    try:
        with safe_open(path, "pt") as file:
            label = json.loads((file.metadata() or {}).get("irstd", "{}"))
        weights = load_file(path)
        network.load_state_dict(weights)
    except (SafetensorError, RuntimeError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise InputError(f"{WEIGHTS} is damaged or another network's ({first}); copy it again") from None
    own = {"dataset": dataset, "method": method, "seed": seed, "epoch": made["best_epoch"]}
    if label != own:
        raise InputError(f"{WEIGHTS} says it is of {label}, not of {own}; copy the right one")
    if hashlib.sha256(path.read_bytes()).hexdigest() != made["weights_sha256"]:
        raise InputError(f"{WEIGHTS} is not what provenance.json names; copy both again")
    if not all(torch.isfinite(tensor).all() for tensor in weights.values()):
        raise InputError(f"{WEIGHTS} of {dataset} {method} has values that are not finite; train it again")


def _score_of_best(path: Path, made: dict[str, Any]) -> float | None:
    """The score of the chosen epoch, or None where none was scored.

    Raises:
        InputError: an epoch is missing or has no loss, or the chosen one has not the best score.
    """
    try:
        history = store.read(path, "history")
    except ValueError as error:
        raise InputError(f"{path.name} is no history ({error}); copy it again") from None
    scores = history.set_index("epoch")["score"].dropna()
    epochs = list(range(1, made["recipe"]["epochs"] + 1))
    if history["epoch"].tolist() != epochs or not all(math.isfinite(loss) for loss in history["loss"]):
        raise InputError(f"{path.name} has not each of {len(epochs)} epochs, with a loss; copy it again")
    if not len(scores):
        return None
    # Averaged weights are of the last epoch, whatever others scored.
    best = epochs[-1] if made["recipe"]["average_epochs"] else scores.idxmax()
    if scores.get(made["best_epoch"]) != scores.get(best):
        raise InputError(
            f"{path.name} has its best score in epoch {best}, but epoch {made['best_epoch']} was chosen; "
            "copy both again"
        )
    return float(scores[best])


def _same_score(
    weights: Path, stated: float, made: dict[str, Any], given: params.Params, cell: tuple[str, str, int]
) -> None:
    """Raises InputError unless the weights have the stated score and threshold on the scenes held out here."""
    dataset, method, seed = cell
    entry, recipe = given.data(dataset), given.recipe(dataset, method)
    chosen, options = method_of(given, method)
    prepared = Prepared(PREPARED / dataset)
    numbers = prepared.roles(entry.split, entry.validation)["validation"]
    network = network_of(given, method)
    network.load_state_dict(load_file(weights))
    images = [prepared.image(n) for n in numbers]
    found = predict(network, chosen, options, images, geometry=recipe.geometry, side=recipe.size)
    # Training held the scenes out with the points it was given, jittered ones or an annotator's, so those judge here.
    by_points = chosen.supervision == "point"
    clicks = read_clicks(entry.clicks, prepared) if entry.clicks and by_points else None
    points = Clicks(prepared, recipe.jitter, seed, clicks) if by_points else prepared.points
    truth = [(None if by_points else prepared.mask(n), points[n]) for n in numbers]
    got, threshold = score(found, truth, chosen.threshold)
    if abs(got - stated) > CLOSE:
        raise InputError(
            f"{weights.name} of {dataset} {method} scores {got:.3f} on the held-out scenes here, but its history says "
            f"{stated:.3f}; copy weights and history of one run"
        )
    if abs(threshold - made["threshold"]) > APART:
        raise InputError(
            f"{dataset} {method} chooses a threshold of {threshold:g} on the held-out scenes here, but its provenance "
            f"says {made['threshold']:g}; copy the provenance again"
        )


def _record(row: dict[str, Any]) -> None:
    path, keys = RESULTS / "imports.csv", ["dataset", "method", "seed"]
    before = [store.read(path, "imports")] if path.exists() else []
    table = pd.concat([*before, pd.DataFrame([row])]).drop_duplicates(keys, keep="last").sort_values(keys)
    store.write(table, path, "imports")


def main(folder: str, dataset: str, method: str, seed: str) -> None:
    if not seed.isdigit():
        raise InputError(f"{seed!r} is no seed; give a whole number")
    given, place, name = params.load(), (dataset, method, seed), f"{dataset}-{method}-{seed}"
    if name not in given.cells():
        raise InputError(f"params.yaml trains no {method} on {dataset} with seed {seed}; add the run there first")
    trained, target = Path(folder, RUNS, "train", *place), RUNS.joinpath("train", *place)
    wanted = [trained / one for one in ("provenance.json", WEIGHTS, *HISTORY)]
    if missing := [path for path in wanted if not path.is_file()]:
        raise InputError(f"{missing[0]} is missing; name the checkout where `dvc repro train@{name}` ran")
    made = _provenance(trained / "provenance.json", name)
    _same_code(made, name)
    _as_asked(made, given, dataset, method)
    _whole(trained, made, given, (dataset, method, int(seed)))
    stated = _score_of_best(trained / "history.csv", made)
    if stated is not None and made["recipe"]["selection"] == "validation":
        _same_score(trained / WEIGHTS, stated, made, given, (dataset, method, int(seed)))
    earlier = target / "provenance.json"
    before = json.loads(earlier.read_text())["commit"] if earlier.is_file() else None
    for path in wanted:
        loop.save(target / path.name, lambda beside, path=path: shutil.copyfile(path, beside))
    plan.main()  # which DVC sees the run depend on
    commit = [sys.executable, "-m", "dvc", "commit", "--force", f"train@{name}"]
    done = subprocess.run(commit, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"DVC could not import {name} ({reason(done)}); fix that, and run this again")
    facts = {key: made[key] for key in STATED}
    _record({"dataset": dataset, "method": method, "seed": int(seed), **facts, "sha256": made["weights_sha256"]})
    if before not in (None, made["commit"]):
        print(f"The weights of {name} that were here, of commit {before}, are replaced.")
    print(f"Imported. Predict and score it here: dvc repro score@{name}")


if __name__ == "__main__":
    run(main)
