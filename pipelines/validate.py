"""Predict the held-out scenes: DATASET METHOD SEED -> runs/validate/DATASET/METHOD/SEED."""

from pipelines import RUNS, run
from pipelines.predict import write


def main(dataset: str, method: str, seed: str) -> None:
    write(dataset, method, seed, "validation", RUNS.joinpath("validate", dataset, method, seed))


if __name__ == "__main__":
    run(main)
