"""Prepare a dataset: DATASET -> data/prepared/DATASET, grey levels, bit masks, targets, oddities counted."""

from irstd.data.prepare import prepare
from pipelines import PREPARED, RAW, run


def main(dataset: str) -> None:
    for note in prepare(RAW / dataset, PREPARED / dataset, progress=True):
        print(f"{dataset}: {note}")


if __name__ == "__main__":
    run(main)
