"""Score predictions under every convention and at every level: DATASET METHOD SEED -> conventions, sweep, summary."""

import json
from collections.abc import Iterator

import numpy as np

from irstd.config import params
from irstd.data.prepared import Prepared
from irstd.metrics.conventions import FIELD, ours
from irstd.metrics.counts import Pair
from irstd.results import store
from irstd.scoring import totals
from pipelines import PREPARED, RESULTS, RUNS, run


def scenes(prepared: Prepared, numbers: list[int], *place: str) -> Iterator[Pair]:
    """Truth and stored prediction of each scene."""
    folder = RUNS.joinpath(*place)
    with np.load(folder / "scores.npz") as scores, np.load(folder / "points.npz") as points:
        for number in numbers:
            name = prepared.names[number]
            levels = scores.get(name)
            # Of a method that gives both, the map: most conventions ask for regions.
            yield Pair(prepared.mask(number), levels, points.get(name) if levels is None else None)


def main(dataset: str, method: str, seed: str) -> None:
    given = params.load()
    entry, place = given.data(dataset), (dataset, method, seed)
    prepared = Prepared(PREPARED / dataset)
    roles = prepared.roles(entry.split, entry.validation)
    folder = RESULTS.joinpath(*place)
    threshold = json.loads((folder / "metrics.json").read_text())["threshold"]
    own = ours(threshold, given.evaluate.match_px, given.evaluate.connectivity)
    found = totals.score(scenes(prepared, roles["test"], "predict", *place), (own, *FIELD), points_above=threshold)
    store.write(found.conventions, folder / "conventions.csv", "conventions")
    store.write(found.sweep, folder / "sweep.csv", "sweep")
    summary = {}
    if found.swept is not None:
        # Where all training scenes were learnt from, none is held out to choose a threshold on.
        held_out = roles["validation"] if given.recipe(dataset, method).selection == "validation" else []
        chosen = None
        if held_out:
            chosen = totals.score(scenes(prepared, held_out, "validate", *place), (own,)).swept
        summary = totals.summary(found.swept, chosen)
    store.write_json(summary, folder / "summary.json")


if __name__ == "__main__":
    run(main)
