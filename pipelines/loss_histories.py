"""The weight of each scale loss at the areas that trainings went through: DATASET -> a table of the analysis."""

from irstd.analysis.gradients import over_training
from irstd.config import params
from irstd.results import reading, store
from pipelines import RESULTS, run


def main(dataset: str) -> None:
    study = params.load().studies["losses"]
    watched = reading.gather(RESULTS, "watched", [dataset])
    table = over_training(watched[watched["method"].isin(study.methods)])
    store.write(table, RESULTS / "analysis" / f"histories-{dataset}.csv", "histories")


if __name__ == "__main__":
    run(main)
