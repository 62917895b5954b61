"""Train one cell: DATASET METHOD SEED -> runs/train/DATASET/METHOD/SEED and its history.

A killed run goes on from its checkpoint in runs/checkpoints when the stage runs again; the next stage, which
runs when the weights are safe in DVC's cache, removes it.
"""

import csv
import hashlib
import json
from dataclasses import asdict

import safetensors.torch
import torch
from dvclive import Live

from irstd import methods
from irstd.config import params
from irstd.data.clicks import read_clicks
from irstd.data.prepared import Prepared
from irstd.errors import InputError
from irstd.results import provenance
from irstd.results.schemas import SCHEMAS
from irstd.training import loop
from pipelines import PREPARED, RESULTS, RUNS, repeatable, run
from pipelines.rows import method_of


def main(dataset: str, method: str, seed: str) -> None:
    given = params.load()
    entry, row, recipe = given.data(dataset), given.row(method), given.recipe(dataset, method)
    chosen, options = method_of(given, method)
    # A portable dataset is for any machine, so it must not take the GPU that only some have.
    on = loop.device("cpu" if entry.portable else given.train.device)
    in_precision = loop.precision(given.train.precision, on)
    threads = recipe.threads or given.train.threads
    repeatable(threads, on.type)

    prepared = Prepared(PREPARED / dataset)
    # Only the protocol `validation` gives up training scenes; `test` is the papers' habit, and labelled.
    held_out = recipe.selection == "validation"
    roles = prepared.roles(entry.split, entry.validation if held_out else 0.0)
    learn = roles["train"] if held_out else [*roles["train"], *roles["validation"]]
    choose = {"validation": roles["validation"], "last": [], "test": roles["test"]}[recipe.selection]
    if recipe.selection == "validation" and not choose:
        raise InputError(
            f"params.yaml: dataset.{dataset}.validation is 0, so there is nothing to choose the epoch on; raise it, or "
            "set `selection: last` in the recipe"
        )

    clicks = read_clicks(entry.clicks, prepared) if entry.clicks and chosen.supervision == "point" else None
    if clicks is not None and recipe.jitter:
        raise InputError(
            f"params.yaml: method.{method}.recipe.jitter moves centroids, but dataset.{dataset}.clicks gives clicks; "
            "set one of the two"
        )
    facts = {
        "split": entry.split,
        "scenes": {"train": len(learn), "validation": len(choose) if held_out else 0, "test": len(roles["test"])},
        "budget": entry.budget,
        "recipe": asdict(recipe),
        "full_epochs": params.check(params.Recipe, row.recipe, f"method.{method}.recipe").epochs,
        "options": asdict(options),
        "data_sha256": prepared.checksum(),
        "clicks_sha256": hashlib.sha256(entry.clicks.read_bytes()).hexdigest() if clicks and entry.clicks else None,
        "sources": provenance.source_digest(methods.module_name(row.method or method)),
        "versions": provenance.versions(),
        "precision": in_precision,
        "threads": threads if on.type == "cpu" else None,
    }
    digest = provenance.source_digest("irstd.training.loop")
    key = provenance.digest([dataset, method, seed, facts, digest, on.type, str(torch.version.cuda)])
    checkpoint = RUNS.joinpath("checkpoints", dataset, method, seed, f"{key}.pt")
    torch.manual_seed(int(seed))
    network = chosen.build(options)
    place = (dataset, method, seed)
    live_folder = RUNS.joinpath("live", *place)
    with Live(str(live_folder), resume=checkpoint.exists(), report=None, save_dvc_exp=False, dvcyaml=None) as live:

        def show(row: dict) -> None:
            live.step = row["epoch"]
            for column in ("loss", "lr", "score"):
                if row[column] is not None:
                    live.log_metric(column, row[column])
            live.make_summary()

        fitted = loop.fit(
            chosen, options, network, recipe, prepared, training=learn, validation=choose, seed=int(seed), on=on,
            clicks=clicks, in_precision=in_precision, checkpoint=checkpoint, checkpoint_s=given.train.checkpoint_s,
            on_epoch=show, progress=True,
        )  # fmt: skip

    folder = RUNS.joinpath("train", *place)
    # One entry: safetensors writes several in an order that changes from run to run.
    label = {"irstd": json.dumps({"dataset": dataset, "method": method, "seed": int(seed), "epoch": fitted.best_epoch})}
    for kind, weights in (("best", fitted.best), ("last", fitted.last)):
        packed = safetensors.torch.save(weights, metadata=label)
        loop.save(folder / f"{kind}.safetensors", lambda beside, packed=packed: beside.write_bytes(packed))
    history = RESULTS.joinpath(*place, "history.csv")
    history.parent.mkdir(parents=True, exist_ok=True)
    with history.open("w", newline="") as file:
        writer = csv.DictWriter(file, SCHEMAS["history"], extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in r.items()} for r in fitted.history)
    watched = [
        (row["epoch"], quantity, f"{value:.6g}") for row in fitted.history for quantity, value in row["watched"].items()
    ]
    with RESULTS.joinpath(*place, "watched.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([SCHEMAS["watched"], *watched])
    # A portable dataset's results must not tell one machine or run from another.
    hardware = provenance.processor() if on.type == "cpu" else torch.cuda.get_device_name(on)
    made = {
        **facts,
        "best_epoch": fitted.best_epoch,
        "threshold": fitted.threshold,
        "hardware": None if entry.portable else hardware,
        "wall_s": None if entry.portable else round(fitted.wall_s, 1),
        "commit": None if entry.portable else provenance.commit(RUNS.parent),
    }
    (folder / "provenance.json").write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
