"""Explain every metric and convention -> reports/html/metrics.html, reports/metrics.md."""

from pipelines import RESULTS, run
from pipelines.report import UP, render


def main() -> None:
    render("09_metrics.ipynb", "metrics", results=str(UP / RESULTS))


if __name__ == "__main__":
    run(main)
