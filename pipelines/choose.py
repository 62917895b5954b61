"""Choose the threshold of a method without parameters on the held-out scenes: DATASET METHOD SEED.

What training is for the others: writes the same files to runs/train/DATASET/METHOD/SEED, with nothing learnt.
"""

import csv
import json
from dataclasses import asdict

import safetensors.torch
import torch

from irstd import methods
from irstd.config import params
from irstd.data.prepared import Prepared
from irstd.errors import InputError
from irstd.inference.predict import predict
from irstd.results import provenance
from irstd.results.schemas import SCHEMAS
from irstd.training import selection
from pipelines import PREPARED, RESULTS, RUNS, repeatable, run
from pipelines.rows import method_of


def main(dataset: str, method: str, seed: str) -> None:
    given = params.load()
    entry, recipe = given.data(dataset), given.recipe(dataset, method)
    chosen, options = method_of(given, method)
    network = chosen.build(options)
    if any(True for _ in network.parameters()):
        raise InputError(f"params.yaml: baselines: {method!r} has parameters to train; list it in `methods` instead")
    threads = recipe.threads or given.train.threads
    repeatable(threads, "cpu")
    prepared = Prepared(PREPARED / dataset)
    roles = prepared.roles(entry.split, entry.validation)
    held_out = roles["validation"]
    found = predict(network, chosen, options, [prepared.image(n) for n in held_out])
    score, threshold = selection.score(
        found, [(prepared.mask(n), prepared.points[n]) for n in held_out], chosen.threshold
    )
    print(f"{method}: threshold {threshold:g}, IoU {score:.3f} of {len(held_out)} held-out scenes")
    place = (dataset, method, seed)
    folder = RUNS.joinpath("train", *place)
    folder.mkdir(parents=True, exist_ok=True)
    folder.joinpath("best.safetensors").write_bytes(safetensors.torch.save({}))
    for kind in ("history", "watched"):  # headers only
        path = RESULTS.joinpath(*place, f"{kind}.csv")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(SCHEMAS[kind])
    made = {
        "split": entry.split,
        "scenes": {"train": 0, "validation": len(held_out), "test": len(roles["test"])},
        "budget": entry.budget,
        "recipe": asdict(recipe),
        "full_epochs": 0,
        "options": asdict(options),
        "data_sha256": prepared.checksum(),
        "clicks_sha256": None,
        "sources": provenance.source_digest(methods.module_name(given.row(method).method or method)),
        "versions": provenance.versions(),
        "precision": "32-true",
        "threads": torch.get_num_threads(),
        "best_epoch": 0,
        "threshold": threshold,
        "hardware": None if entry.portable else provenance.processor(),
        "wall_s": None,
        "commit": None if entry.portable else provenance.commit(RUNS.parent),
    }
    (folder / "provenance.json").write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
