"""Report on detectors of boxes: DATASET -> reports/html/DATASET-detectors.html, reports/DATASET-detectors.md."""

from irstd import params
from pipelines import RESULTS, run
from pipelines.report import UP, render


def main(dataset: str) -> None:
    study = params.load().studies["detection"]
    render(
        "05_detectors.ipynb",
        f"{dataset}-detectors",
        results=str(UP / RESULTS),
        datasets=[dataset],
        methods=list(study.methods),
    )


if __name__ == "__main__":
    run(main)
