"""Score packed weights on any dataset: DATASET METHOD SEED ON -> one row a convention, on the test split of ON."""

from irstd.config import params
from irstd.data.prepared import Prepared
from irstd.metrics.conventions import FIELD
from irstd.results import store
from pipelines import PREPARED, RESULTS, run
from pipelines.packed import Packed


def main(dataset: str, method: str, seed: str, on: str) -> None:
    given = params.load()
    prepared = Prepared(PREPARED / on)
    numbers = prepared.roles(given.data(on).split, 0.0)["test"]
    scored = Packed(given, dataset, method).score(
        [prepared.image(n) for n in numbers], (prepared.mask(n) for n in numbers), FIELD
    )
    store.write(scored.conventions, RESULTS / "transfer" / dataset / method / seed / f"{on}.csv", "conventions")


if __name__ == "__main__":
    run(main)
