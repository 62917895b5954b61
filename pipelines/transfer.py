"""Score packed weights on any dataset: DATASET METHOD SEED ON -> one row a convention, on the test split of ON."""

from irstd.config import params
from irstd.data.prepared import Prepared
from irstd.results import store
from pipelines import PREPARED, RESULTS, run
from pipelines.packed import Packed


def main(dataset: str, method: str, seed: str, on: str) -> None:
    given = params.load()
    prepared = Prepared(PREPARED / on)
    numbers = prepared.roles(given.data(on).split, 0.0)["test"]
    scored = Packed(given, dataset, method).score_scenes(prepared, numbers)
    store.write(scored.conventions, RESULTS / "transfer" / dataset / method / seed / f"{on}.csv", "conventions")


if __name__ == "__main__":
    run(main)
