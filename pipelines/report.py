"""Write one report: NAME -> reports/html/NAME.html, reports/NAME.md, its figures and tables."""

import json
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from irstd.config import params
from irstd.errors import InputError, hint
from irstd.reports import notebooks, page
from pipelines import REPORTS, RESULTS, RUNS, run

NOTEBOOKS, UP = Path("notebooks"), Path("..")  # notebooks run in their own folder


@dataclass(frozen=True, slots=True)
class Report:
    """A notebook and its parameters.

    dataset: whose it is, if it is of one.
    public: false for a page of pictures that may not be passed on: only HTML, which git does not keep, made of `runs/`.
    """

    notebook: str
    parameters: dict[str, Any] = field(default_factory=dict)
    dataset: str | None = None
    public: bool = True

    @property
    def path(self) -> Path:
        return NOTEBOOKS / f"{self.notebook}.ipynb"


def has_results(dataset: str) -> bool:
    """Whether any cell of a dataset has scores, so that there is something to report."""
    return any((RESULTS / dataset).glob("*/*/metrics.json"))


def reports(given: params.Params) -> dict[str, Report]:
    """Every report, by name, in the order to be read; the home page comes last, since it links to the others.

    Raises:
        InputError: a dataset is called like a report.
    """
    datasets, methods, baselines = list(given.datasets), list(given.methods), list(given.baselines)
    studies, every, look = given.studies, [*given.methods, *given.baselines], given.orientation
    galleries = str(UP / RUNS / "gallery")
    found = {"start": Report("00_start")}
    for d in datasets:
        both = {"methods": methods, "baselines": baselines}
        found |= {
            d: Report("01_comparison", {"datasets": [d], "methods": every}, d),
            f"{d}-conventions": Report("07_conventions", {"dataset": d, **both}, d),
            f"{d}-failures": Report("12_failures", {"dataset": d, "methods": every}, d),
            f"{d}-pictures": Report(
                "06_pictures", {"datasets": [d], "methods": methods, "galleries": galleries}, d, public=False
            ),
        }
    for d in studies["labelling"].datasets:
        found[f"{d}-labels"] = Report("02_labels", {"datasets": [d], "methods": methods, **_by_labels(given)}, d)
    for study, notebook, ending in (
        ("losses", "03_loss_gradients", "losses"),
        ("detection", "05_detectors", "detectors"),
    ):
        for d in studies[study].datasets:
            found[f"{d}-{ending}"] = Report(notebook, {"datasets": [d], "methods": list(studies[study].methods)}, d)
    for d in look.datasets:
        shown = {"dataset": d, "method": look.method, "seed": look.seed}
        found[f"{d}-pinwheel"] = Report("04_pinwheel_orientation", shown, d)
    whole = {
        "ranking": Report("08_ranking", {"datasets": datasets, "methods": methods, "baselines": baselines}),
        "efficiency": Report("11_efficiency", {"datasets": datasets, "methods": methods}),
        "datasets": Report("10_datasets", {"datasets": datasets}),
        "metrics": Report("09_metrics"),
        "your-method": Report("13_your_method", {"methods": every}),
    }
    if all(any((RESULTS / kind).rglob("*.csv")) for kind in ("transfer", "robustness")):
        whole["transfer"] = Report("17_transfer", {"methods": methods})
    if taken := [d for d in datasets if d in {*whole, "start", "index", "figures"}]:
        raise InputError(f"params.yaml: datasets: {taken[0]!r} is the name of a report; give the dataset another")
    found |= whole
    asked = {
        name: notebooks.question(one.path)
        for name, one in found.items()
        if one.public and (one.dataset is None or has_results(one.dataset))
    }
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
    made = notebooks.execute(one.path, executed, **parameters)
    text = notebooks.markdown(made)
    if one.public:
        (REPORTS / f"{name}.md").write_text(text)
        for path in (path for kind in ("figures", "tables") for path in (REPORTS / kind / name).glob("*")):
            if path.stat().st_mtime_ns < start:
                path.unlink()  # of an earlier version of the notebook
    target = REPORTS / "html" / f"{name}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    home = name == "index"
    made_by = {"notebook": one.path.as_posix(), **({} if home else one.parameters)}
    target.write_text(page.html(text, notebooks.question(one.path), folder=REPORTS, home=home, made=made_by))
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
