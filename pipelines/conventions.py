"""Score predictions under every convention and at every level: DATASET METHOD SEED -> conventions, sweep, summary."""

import json
from collections.abc import Iterator

import numpy as np

from irstd import params, results, scoring
from irstd.data.prepared import Prepared
from irstd.metrics.conventions import FIELD, ours
from irstd.metrics.counts import Pair
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
    found = scoring.score(scenes(prepared, roles["test"], "predict", *place), (own, *FIELD), points_above=threshold)
    results.write(found.conventions, folder / "conventions.csv", "conventions")
    results.write(found.sweep, folder / "sweep.csv", "sweep")
    summary = {}
    if found.swept is not None:
        # Where all training scenes were learnt from, none is held out to choose a threshold on.
        held_out = roles["validation"] if given.recipe(dataset, method).selection == "validation" else []
        chosen = None
        if held_out:
            chosen = scoring.score(scenes(prepared, held_out, "validate", *place), (own,)).swept
        summary = scoring.summary(found.swept, chosen)
    results.write_json(summary, folder / "summary.json")


if __name__ == "__main__":
    run(main)
