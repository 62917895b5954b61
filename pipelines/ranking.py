"""Report on ranks over all datasets -> reports/html/ranking.html, reports/ranking.md."""

from irstd import params
from pipelines import RESULTS, run
from pipelines.report import UP, render


def main() -> None:
    given = params.load()
    render(
        "08_ranking.ipynb",
        "ranking",
        results=str(UP / RESULTS),
        datasets=list(given.datasets),
        methods=list(given.methods),
        baselines=list(given.baselines),
    )


if __name__ == "__main__":
    run(main)
