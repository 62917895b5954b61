"""Score packed weights on scenes they learnt from: DATASET METHOD SEED -> one row a convention.

Beside the scores on the test split these say what bounds a row: a network that does no better on what it was shown
wants time or room, one that does wants data. At most as many scenes as the test split has, evenly spaced.
"""

import numpy as np

from irstd.config import params
from irstd.data.prepared import Prepared
from irstd.metrics.conventions import FIELD
from irstd.results import store
from pipelines import PREPARED, RESULTS, run
from pipelines.packed import Packed


def main(dataset: str, method: str, seed: str) -> None:
    given = params.load()
    prepared, entry = Prepared(PREPARED / dataset), given.data(dataset)
    roles = prepared.roles(entry.split, entry.validation)  # held-out scenes are no matter of what was learnt
    every = np.array(roles["train"])
    places = np.linspace(0, len(every) - 1, min(len(roles["test"]), len(every))).round().astype(int)
    numbers = every[places].tolist()
    scored = Packed(given, dataset, method).score(
        [prepared.image(n) for n in numbers], (prepared.mask(n) for n in numbers), FIELD
    )
    store.write(scored.conventions, RESULTS / "on_training" / dataset / method / f"{seed}.csv", "conventions")


if __name__ == "__main__":
    run(main)
