"""Report on one dataset: DATASET -> reports/html/DATASET.html, reports/DATASET.md, its figures and tables."""

import shutil
from pathlib import Path
from typing import Any

from irstd import params, report
from pipelines import REPORTS, RESULTS, RUNS, run

UP = Path("..")  # notebooks run in their own folder


def render(notebook: str, name: str, **parameters: Any) -> None:
    """Executes a notebook and writes NAME.html, NAME.md and folders NAME of figures and tables, all in reports/."""
    executed = RUNS / "notebooks" / f"{name}.ipynb"
    made = report.execute(
        Path("notebooks") / notebook,
        executed,
        results=str(UP / RESULTS),
        figures=str(UP / REPORTS / "figures" / name),
        tables=str(UP / REPORTS / "tables" / name),
        **parameters,
    )
    page = REPORTS / "html" / f"{name}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(report.html(made, name))
    (REPORTS / f"{name}.md").write_text(report.markdown(made, without_tag="pictures"))
    executed.unlink()
    if not any(executed.parent.iterdir()):
        shutil.rmtree(executed.parent)
    print(f"the report: {page}")


def main(dataset: str) -> None:
    methods = list(params.load().methods)
    render("01_comparison.ipynb", dataset, datasets=[dataset], methods=methods, galleries=str(UP / RUNS / "gallery"))


if __name__ == "__main__":
    run(main)
