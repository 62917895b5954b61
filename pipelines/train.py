"""Train: DATASET METHOD SEED -> runs/train/DATASET/METHOD/SEED: weights, history, provenance.

A killed run goes on from its checkpoint in runs/checkpoints when the stage runs again; the next stage, which
runs when the weights are safe in DVC's cache, removes it. A method without parameters has its threshold chosen on the
held-out scenes, and the same files written.
"""

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from irstd.data.clicks import read_clicks
from irstd.data.prepared import Prepared
from irstd.errors import InputError
from irstd.inference import devices
from irstd.inference.predict import predict
from irstd.results import provenance
from irstd.results.schemas import SCHEMAS
from irstd.training import loop, ranks, selection, steps
from pipelines import PREPARED, RUNS, alone, plan, repeatable, run
from pipelines.lookup import Run


def main(dataset: str, method: str, seed: str) -> None:
    cell = Run.load(dataset, method, seed)
    folder = cell.below(RUNS / "checkpoints")
    if not ranks.first(cell.given.train.devices):
        _train(cell, folder)
        return
    # Two processes would write one checkpoint; the second finds the first's, finished.
    with alone(folder.with_name(f"{cell.seed}.lock"), f"trains {cell.name}"):
        _train(cell, folder)


def _train(cell: Run, checkpoints: Path) -> None:
    recipe = cell.recipe
    on = devices.device(cell.given.train.device)
    in_precision = steps.precision(cell.given.train.precision, on)
    repeatable(cell.threads, on.type)
    prepared = Prepared(PREPARED / cell.dataset)
    learn, choose, facts = facts_of(cell, prepared)
    clicks = None if cell.clicks is None else read_clicks(cell.clicks, prepared)
    facts |= {
        "versions": devices.versions(),
        "precision": in_precision,
        "threads": cell.threads if on.type == "cpu" else None,
    }
    torch.manual_seed(cell.seed)
    network = cell.network()
    if recipe.epochs:
        key = provenance.digest([facts, on.type, str(torch.version.cuda)])
        fitted = loop.fit(
            cell.method, cell.options, network, recipe, prepared, training=learn, validation=choose, seed=cell.seed,
            on=on, clicks=clicks, in_precision=in_precision, checkpoint=checkpoints / f"{key}.pt",
            checkpoint_s=cell.given.train.checkpoint_s, devices=cell.given.train.devices, progress=True,
            on_epoch=lambda row: _progress(checkpoints / "progress.json", row, recipe.epochs),
        )  # fmt: skip
        if not ranks.first(cell.given.train.devices):
            return
    else:
        fitted = _chosen(cell, network, prepared, choose)
    folder = cell.below(RUNS / "train")
    of = {"dataset": cell.dataset, "method": cell.row, "seed": cell.seed, "epoch": fitted.best_epoch}
    made = {
        **facts,
        "weights_sha256": write(folder, of, fitted),
        "best_epoch": fitted.best_epoch,
        "threshold": fitted.threshold,
        "hardware": devices.hardware(on),
        "devices": ranks.world(cell.given.train.devices) if recipe.epochs else 1,
        "wall_s": round(fitted.wall_s, 1) if recipe.epochs else None,
        "commit": provenance.commit(RUNS.parent),
    }
    (folder / "provenance.json").write_text(json.dumps(made, indent=1) + "\n")


def _progress(path: Path, row: dict[str, Any], epochs: int) -> None:
    """Says how far a training is, to whoever watches."""
    now = {"epoch": row["epoch"], "epochs": epochs, "loss": row["loss"], "score": row["score"]}
    loop.save(path, lambda beside: beside.write_text(json.dumps(now) + "\n"))


def facts_of(cell: Run, prepared: Prepared) -> tuple[list[int], list[int], dict[str, Any]]:
    """Scenes to learn from, scenes that choose the epoch, and whatever decides the training but for the machine.

    Raises:
        InputError: there is no scene to choose the epoch on, or points are given and to be moved as well.
    """
    recipe, entry = cell.recipe, cell.entry
    # Only the protocol `validation` gives up training scenes; `test` is the papers' habit, and labelled.
    held_out = recipe.selection == "validation"
    roles = prepared.roles(entry.split, entry.validation if held_out else 0.0)
    learn = roles["train"] if held_out else [*roles["train"], *roles["validation"]]
    choose = {"validation": roles["validation"], "last": [], "test": roles["test"]}[recipe.selection]
    if held_out and not choose:
        raise InputError(
            f"params.yaml: dataset.{cell.dataset}.validation is 0, so there is nothing to choose the epoch on; raise "
            "it, or set `selection: last` in the recipe"
        )
    if cell.clicks is not None and recipe.jitter:
        raise InputError(
            f"params.yaml: method.{cell.row}.recipe.jitter moves centroids, but dataset.{cell.dataset}.clicks gives "
            "clicks; set one of the two"
        )
    facts = {
        **cell.resolved(),
        "scenes": {
            "train": len(learn) if recipe.epochs else 0,
            "validation": len(choose) if held_out else 0,
            "test": len(roles["test"]),
        },
        "data_sha256": prepared.checksum(),
        "code": plan.code("train"),
    }
    return learn, choose, facts


def _chosen(cell: Run, network: torch.nn.Module, prepared: Prepared, held_out: list[int]) -> loop.Fitted:
    """What training leaves, of a method without parameters: the threshold that its held-out scenes choose.

    Raises:
        InputError: it has parameters.
    """
    if any(True for _ in network.parameters()):
        raise InputError(f"params.yaml: baselines: {cell.row!r} has parameters to train; list it in `methods` instead")
    found = predict(network, cell.method, cell.options, [prepared.image(n) for n in held_out])
    truth = [(prepared.mask(n), prepared.points[n]) for n in held_out]
    score, threshold = selection.score(found, truth, cell.method.threshold)
    print(f"{cell.row}: threshold {threshold:g}, IoU {score:.3f} of {len(held_out)} held-out scenes")
    return loop.Fitted({}, {}, 0, threshold, [], 0.0)


def write(folder: Path, of: dict[str, Any], fitted: loop.Fitted) -> str:
    """Writes what a training leaves, its provenance apart: best.safetensors, history.csv, watched.csv.

    Args:
        of: what the weights say of themselves.

    Returns:
        SHA-256 of the file of weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # One entry: safetensors writes several in an order that changes from run to run.
    packed = safetensors.torch.save(fitted.best, metadata={"irstd": json.dumps(of)})
    loop.save(folder / "best.safetensors", lambda beside: beside.write_bytes(packed))
    rows = [{k: _short(v) for k, v in row.items()} for row in fitted.history]
    watched = [
        {"epoch": row["epoch"], "quantity": name, "value": _short(value)}
        for row in fitted.history
        for name, value in row["watched"].items()
    ]
    for kind, table in (("history", rows), ("watched", watched)):
        with (folder / f"{kind}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, SCHEMAS[kind], extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(table)
    return hashlib.sha256(packed).hexdigest()


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


if __name__ == "__main__":
    run(main)
