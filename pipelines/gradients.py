"""Tell what each scale loss says over the area error -> reports/results/analysis/gradients.csv."""

from irstd import results
from irstd.analysis.gradients import over_area
from pipelines import RESULTS, run


def main() -> None:
    results.write(over_area(), RESULTS / "analysis" / "gradients.csv", "gradients")


if __name__ == "__main__":
    run(main)
