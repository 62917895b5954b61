"""Write one report: NAME -> reports/html/NAME.html, reports/NAME.md, its figures and tables."""

import json
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from irstd import page, params, report
from irstd.errors import InputError, hint
from pipelines import REPORTS, RESULTS, RUNS, run

NOTEBOOKS, UP = Path("notebooks"), Path("..")  # notebooks run in their own folder


@dataclass(frozen=True, slots=True)
class Report:
    """A notebook and its parameters.

    public: false for a page of pictures that may not be passed on: only HTML, which git does not keep, made of `runs/`.
    """

    notebook: str
    parameters: dict[str, Any] = field(default_factory=dict)
    public: bool = True

    @property
    def path(self) -> Path:
        return NOTEBOOKS / f"{self.notebook}.ipynb"


def reports(given: params.Params) -> dict[str, Report]:
    """Every report, by name, in the order to be read; the home page comes last, since it links to the others."""
    datasets, methods, baselines = list(given.datasets), list(given.methods), list(given.baselines)
    studies, every = given.studies, [*given.methods, *given.baselines]
    found = {"start": Report("00_start")}
    for name in datasets:
        found[name] = Report("01_comparison", {"datasets": [name], "methods": every})
        found[f"{name}-conventions"] = Report(
            "07_conventions", {"dataset": name, "methods": methods, "baselines": baselines}
        )
        found[f"{name}-failures"] = Report("12_failures", {"dataset": name, "methods": every})
        found[f"{name}-pictures"] = Report(
            "06_pictures",
            {"datasets": [name], "methods": methods, "galleries": str(UP / RUNS / "gallery")},
            public=False,
        )
    found["ranking"] = Report("08_ranking", {"datasets": datasets, "methods": methods, "baselines": baselines})
    for name in studies["labelling"].datasets:
        found[f"{name}-labels"] = Report("02_labels", {"datasets": [name], "methods": methods, **_by_labels(given)})
    for study, notebook, ending in (
        ("losses", "03_loss_gradients", "losses"),
        ("detection", "05_detectors", "detectors"),
    ):
        for name in studies[study].datasets:
            found[f"{name}-{ending}"] = Report(notebook, {"datasets": [name], "methods": list(studies[study].methods)})
    for name in given.orientation.datasets:
        found[f"{name}-pinwheel"] = Report(
            "04_pinwheel_orientation",
            {"dataset": name, "method": given.orientation.method, "seed": given.orientation.seed},
        )
    found["efficiency"] = Report("11_efficiency", {"datasets": datasets, "methods": methods})
    found["datasets"] = Report("10_datasets", {"datasets": datasets})
    found["metrics"] = Report("09_metrics")
    found["your-method"] = Report("13_your_method", {"methods": every})
    asked = {name: report.question(one.path) for name, one in found.items() if one.public}
    home = {"datasets": datasets, "methods": [*methods, *studies["losses"].methods], "baselines": baselines}
    return found | {"index": Report("16_home", {**home, "reports": asked})}


def _by_labels(given: params.Params) -> dict[str, list[str]]:
    """Rows trained on points that the study of labels varies, and rows trained on masks."""
    study, found = given.studies["labelling"].methods, {"clicks": [], "masks": []}
    originals = {given.row(name).method for name in study}
    for name in (*given.methods, *study):
        card = RESULTS / "methods" / f"{name}.json"
        if card.exists():
            of_masks = json.loads(card.read_text())["supervision"] == "mask"
            if of_masks or name in originals or name in study:
                found["masks" if of_masks else "clicks"].append(name)
    return found


def render(name: str, one: Report) -> str:
    """Executes a notebook and writes NAME.html, NAME.md and folders NAME of figures and tables, all in reports/."""
    parameters = dict(one.parameters)
    if one.public:
        parameters["results"] = str(UP / RESULTS)
        parameters |= {kind: str(UP / REPORTS / kind / name) for kind in ("figures", "tables")}
    executed = RUNS / "notebooks" / f"{name}.ipynb"
    start = time.time_ns()
    made = report.execute(one.path, executed, **parameters)
    text = report.markdown(made)
    if one.public:
        (REPORTS / f"{name}.md").write_text(text)
        for path in (path for kind in ("figures", "tables") for path in (REPORTS / kind / name).glob("*")):
            if path.stat().st_mtime_ns < start:
                path.unlink()  # of an earlier version of the notebook
    target = REPORTS / "html" / f"{name}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    home = name == "index"
    made_by = {"notebook": one.path.as_posix(), **({} if home else one.parameters)}
    target.write_text(page.html(text, report.question(one.path), folder=REPORTS, home=home, made=made_by))
    executed.unlink()
    if not any(executed.parent.iterdir()):
        shutil.rmtree(executed.parent)
    return f"the report: {target}"


def main(name: str) -> None:
    known = reports(params.load())
    if name not in known:
        raise InputError(f"there is no report {name!r}; {hint(name, known)}")
    print(render(name, known[name]))


if __name__ == "__main__":
    run(main)
