"""Report on one dataset: DATASET -> reports/html/DATASET.html, reports/DATASET.md, its figures and tables."""

import shutil
from pathlib import Path
from typing import Any

from irstd import params, report
from pipelines import REPORTS, RESULTS, RUNS, run

UP = Path("..")  # notebooks run in their own folder


def render(notebook: str, name: str, *, markdown: bool = True, **parameters: Any) -> None:
    """Executes a notebook and writes NAME.html, NAME.md and folders NAME of figures and tables, all in reports/.

    Args:
        markdown: false for a page of pictures that may not be passed on: only the HTML, which git does not keep.
    """
    if markdown:
        parameters |= {kind: str(UP / REPORTS / kind / name) for kind in ("figures", "tables")}
    executed = RUNS / "notebooks" / f"{name}.ipynb"
    made = report.execute(Path("notebooks") / notebook, executed, **parameters)
    page = REPORTS / "html" / f"{name}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(report.html(made, name))
    if markdown:
        (REPORTS / f"{name}.md").write_text(report.markdown(made))
    executed.unlink()
    if not any(executed.parent.iterdir()):
        shutil.rmtree(executed.parent)
    print(f"the report: {page}")


def main(dataset: str) -> None:
    given = params.load()
    methods = [*given.methods, *given.baselines]
    render("01_comparison.ipynb", dataset, results=str(UP / RESULTS), datasets=[dataset], methods=methods)


if __name__ == "__main__":
    run(main)
