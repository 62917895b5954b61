"""Score packed weights on scenes they learnt from: DATASET METHOD SEED -> one row a convention.

Beside the scores on the test split these say what bounds a row: a network that does no better on what it was shown
wants time or room, one that does wants data. At most as many scenes as the test split has, evenly spaced.
"""

from irstd.config import params
from irstd.data.prepared import Prepared, spread
from irstd.results import store
from pipelines import PREPARED, RESULTS, run
from pipelines.packed import Packed


def main(dataset: str, method: str, seed: str) -> None:
    given = params.load()
    prepared, entry = Prepared(PREPARED / dataset), given.data(dataset)
    roles = prepared.roles(entry.split, entry.validation)  # held-out scenes are no matter of what was learnt
    scored = Packed(given, dataset, method).score_scenes(prepared, spread(roles["train"], len(roles["test"])))
    store.write(scored.conventions, RESULTS / "on_training" / dataset / method / f"{seed}.csv", "conventions")


if __name__ == "__main__":
    run(main)
