"""Score the predictions: DATASET METHOD SEED -> metrics, per image, per target, curve; and pictures for the report."""

import json
import shutil
from dataclasses import asdict

import numpy as np

from irstd.config import params
from irstd.data.prepared import Prepared
from irstd.metrics.conventions import ours
from irstd.results import store
from irstd.scoring import evaluation
from pipelines import PREPARED, RESULTS, RUNS, run


def main(dataset: str, method: str, seed: str) -> None:
    given = params.load()
    wanted = asdict(given.evaluate)
    pictures = wanted.pop("pictures")
    place = (dataset, method, seed)
    made = json.loads(RUNS.joinpath("train", *place, "provenance.json").read_text())
    prepared = Prepared(PREPARED / dataset)
    numbers = prepared.roles(given.data(dataset).split, 0.0)["test"]
    predicted = RUNS.joinpath("predict", *place)
    if wanted["threshold"] == "chosen":
        wanted["threshold"] = made.get("threshold", 0.5)  # trainings before there was a choice took one half
    detector = predicted / "boxes.npz"
    boxes = dict(np.load(detector)) if detector.exists() else None
    with np.load(predicted / "scores.npz") as scores, np.load(predicted / "points.npz") as points:
        scored = evaluation.evaluate(prepared, numbers, scores, points, ours(**wanted), pictures, boxes)
    folder = RESULTS.joinpath(*place)
    selection = given.recipe(dataset, method).selection
    store.write_json({**scored.metrics, "selection": selection}, folder / "metrics.json")
    for kind in ("per_image", "per_target", "curve"):
        store.write(getattr(scored, kind), folder / f"{kind}.csv", kind)
    shutil.copyfile(RUNS.joinpath("train", *place, "provenance.json"), folder / "provenance.json")
    gallery = RUNS.joinpath("gallery", *place)
    gallery.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(gallery / "gallery.npz", **scored.gallery)


if __name__ == "__main__":
    run(main)
