"""The gradient of each scale loss over the area error -> runs/results/analysis/gradients.csv."""

from irstd.analysis.gradients import over_area
from irstd.results import store
from pipelines import RESULTS, run


def main() -> None:
    store.write(over_area(), RESULTS / "analysis" / "gradients.csv", "gradients")


if __name__ == "__main__":
    run(main)
