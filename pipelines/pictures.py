"""Show what was found, missed and invented: DATASET -> reports/html/DATASET-pictures.html."""

from irstd import params
from pipelines import RUNS, run
from pipelines.report import UP, render


def main(dataset: str) -> None:
    methods = list(params.load().methods)
    galleries = str(UP / RUNS / "gallery")
    render(
        "06_pictures.ipynb",
        f"{dataset}-pictures",
        markdown=False,
        datasets=[dataset],
        methods=methods,
        galleries=galleries,
    )


if __name__ == "__main__":
    run(main)
