"""Score the predictions: DATASET METHOD SEED -> runs/results/DATASET/METHOD/SEED.

Our convention in full (metrics, per image, per target), every other convention, the same at 256×256 px, every level of
the score, and pictures for the reports in runs/gallery. What the training wrote of itself is put beside them.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import pandas as pd

from irstd.data.prepared import Prepared
from irstd.metrics.conventions import FIELD, ours
from irstd.metrics.counts import Pair
from irstd.results import store
from irstd.scoring import evaluation, totals
from irstd.scoring.squares import squared
from pipelines import PREPARED, RESULTS, RUNS, run, sealed
from pipelines.lookup import Run

WATCHED = 100  # epochs at most whose watched quantities a record keeps


def main(dataset: str, method: str, seed: str) -> None:
    cell = Run.load(dataset, method, seed)
    wanted = asdict(cell.given.evaluate)
    pictures = wanted.pop("pictures")
    trained, predicted = (cell.below(RUNS / kind) for kind in ("train", "predict"))
    made, digests = json.loads((trained / "provenance.json").read_text()), sealed.unsealed(predicted)
    if wanted["threshold"] == "chosen":
        wanted["threshold"] = made["threshold"]
    convention = ours(**wanted)
    prepared = Prepared(PREPARED / dataset)
    roles = prepared.roles(cell.entry.split, cell.entry.validation)
    folder = cell.below(RESULTS)
    folder.mkdir(parents=True, exist_ok=True)
    detector = predicted / "test/boxes.npz"
    boxes = dict(np.load(detector)) if detector.exists() else None
    with np.load(predicted / "test/scores.npz") as scores, np.load(predicted / "test/points.npz") as points:
        scored = evaluation.evaluate(prepared, roles["test"], scores, points, convention, pictures, boxes)
    store.write_json({**scored.metrics, "selection": cell.recipe.selection}, folder / "metrics.json")
    for kind in ("per_image", "per_target"):
        store.write(getattr(scored, kind), folder / f"{kind}.csv", kind)
    store.write_json({**made, "predictions_sha256": digests}, folder / "provenance.json")
    shutil.copyfile(trained / "history.csv", folder / "history.csv")
    store.write(_thinned(store.read(trained / "watched.csv", "watched")), folder / "watched.csv", "watched")
    gallery = cell.below(RUNS / "gallery")
    gallery.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(gallery / "gallery.npz", **scored.gallery)

    threshold = convention.threshold
    found = totals.score(_scenes(cell, prepared, roles["test"], "test"), (convention, *FIELD), points_above=threshold)
    store.write(found.conventions, folder / "conventions.csv", "conventions")
    store.write(found.sweep, folder / "sweep.csv", "sweep")
    small = map(squared, _scenes(cell, prepared, roles["test"], "test"))
    resized = totals.score(small, (convention, *FIELD), points_above=threshold)
    store.write(resized.conventions, folder / "squared.csv", "squared")
    summary = {}
    if found.swept is not None:
        held_out = roles["validation"] if cell.recipe.selection == "validation" else []
        chosen = None
        if held_out:
            chosen = totals.score(_scenes(cell, prepared, held_out, "held-out"), (convention,)).swept
        summary = totals.summary(found.swept, chosen)
    store.write_json(summary, folder / "summary.json")


def _thinned(watched: pd.DataFrame) -> pd.DataFrame:
    """Every n-th epoch of a long training, the last among them: its curves do not need more."""
    last = watched["epoch"].max() if len(watched) else 0
    return watched[(last - watched["epoch"]) % max(1, -(-last // WATCHED)) == 0]


def _scenes(cell: Run, prepared: Prepared, numbers: list[int], kind: str) -> Iterator[Pair]:
    """Truth and stored prediction of each scene."""
    folder = cell.below(RUNS / "predict") / kind
    with np.load(folder / "scores.npz") as scores, np.load(folder / "points.npz") as points:
        for number in numbers:
            name = prepared.names[number]
            levels = scores.get(name)
            # Of a method that gives both, the map: most conventions ask for regions.
            yield Pair(prepared.mask(number), levels, points.get(name) if levels is None else None)


if __name__ == "__main__":
    run(main)
