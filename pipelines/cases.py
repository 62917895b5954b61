"""Score the ten drawn cases under every convention -> reports/results/analysis/cases.csv, case_pixels.csv."""

from irstd import results
from irstd.analysis import cases
from pipelines import RESULTS, run


def main() -> None:
    results.write(cases.scored(), RESULTS / "analysis" / "cases.csv", "cases")
    results.write(cases.drawn(), RESULTS / "analysis" / "case_pixels.csv", "case_pixels")


if __name__ == "__main__":
    run(main)
