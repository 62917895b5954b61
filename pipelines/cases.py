"""Score the ten drawn cases under every convention -> reports/results/analysis/cases.csv, case_pixels.csv."""

from irstd.analysis import cases
from irstd.results import store
from pipelines import RESULTS, run


def main() -> None:
    store.write(cases.scored(), RESULTS / "analysis" / "cases.csv", "cases")
    store.write(cases.drawn(), RESULTS / "analysis" / "case_pixels.csv", "case_pixels")


if __name__ == "__main__":
    run(main)
