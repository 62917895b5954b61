"""Report on one dataset: DATASET -> reports/html/DATASET.html, reports/DATASET.md, its figures and tables."""

import shutil
from pathlib import Path

from irstd import params, report
from pipelines import REPORTS, RESULTS, RUNS, run

NOTEBOOK = Path("notebooks/01_comparison.ipynb")


def main(dataset: str) -> None:
    up = Path("..")  # notebooks run in their own folder
    executed = RUNS / "notebooks" / f"{dataset}.ipynb"
    notebook = report.execute(
        NOTEBOOK,
        executed,
        datasets=[dataset],
        methods=list(params.load().methods),
        results=str(up / RESULTS),
        figures=str(up / REPORTS / "figures" / dataset),
        tables=str(up / REPORTS / "tables" / dataset),
        galleries=str(up / RUNS / "gallery"),
    )
    page = REPORTS / "html" / f"{dataset}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(report.html(notebook, dataset))
    (REPORTS / f"{dataset}.md").write_text(report.markdown(notebook, without_tag="pictures"))
    shutil.rmtree(executed.parent, ignore_errors=True)
    print(f"the report: {page}")


if __name__ == "__main__":
    run(main)
