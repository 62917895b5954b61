"""Tell what each scale loss says over the area error -> reports/results/analysis/gradients.csv."""

from irstd.analysis.gradients import over_area
from irstd.results import store
from pipelines import RESULTS, run


def main() -> None:
    store.write(over_area(), RESULTS / "analysis" / "gradients.csv", "gradients")


if __name__ == "__main__":
    run(main)
