"""Report on conventions, curves and leads: DATASET -> reports/html/DATASET-conventions.html and its Markdown."""

from irstd import params
from pipelines import RESULTS, run
from pipelines.report import UP, render


def main(dataset: str) -> None:
    given = params.load()
    render(
        "07_conventions.ipynb",
        f"{dataset}-conventions",
        results=str(UP / RESULTS),
        dataset=dataset,
        methods=list(given.methods),
        baselines=list(given.baselines),
    )


if __name__ == "__main__":
    run(main)
