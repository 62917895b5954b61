"""Report on what the scale losses do: DATASET -> reports/html/DATASET-losses.html, reports/DATASET-losses.md."""

from irstd import params
from pipelines import RESULTS, run
from pipelines.report import UP, render


def main(dataset: str) -> None:
    study = params.load().studies["losses"]
    render(
        "03_loss_gradients.ipynb",
        f"{dataset}-losses",
        results=str(UP / RESULTS),
        datasets=[dataset],
        methods=list(study.methods),
    )


if __name__ == "__main__":
    run(main)
