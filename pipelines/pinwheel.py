"""Report on what the oriented kernels do: DATASET -> reports/html/DATASET-pinwheel.html and its Markdown."""

from irstd import params
from pipelines import RESULTS, run
from pipelines.report import UP, render


def main(dataset: str) -> None:
    wanted = params.load().orientation
    render(
        "04_pinwheel_orientation.ipynb",
        f"{dataset}-pinwheel",
        results=str(UP / RESULTS),
        dataset=dataset,
        method=wanted.method,
        seed=wanted.seed,
    )


if __name__ == "__main__":
    run(main)
