"""Every report: which notebook makes it, with which parameters."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from irstd.config import params
from irstd.errors import InputError
from irstd.reports import notebooks
from pipelines import RUNS

NOTEBOOKS, UP = Path("notebooks"), Path("..")  # notebooks run in their own folder


@dataclass(frozen=True, slots=True)
class Report:
    """A notebook and its parameters.

    dataset: whose it is, if it is of one.
    public: false for a page of pictures that may not be passed on: it is never in the record, and made of `runs/`.
    """

    notebook: str
    parameters: dict[str, Any] = field(default_factory=dict)
    dataset: str | None = None
    public: bool = True

    @property
    def path(self) -> Path:
        return NOTEBOOKS / f"{self.notebook}.ipynb"


def reports(given: params.Params, results: Path, *, private: bool = True) -> dict[str, Report]:
    """Every report there are results for, by name, in the order to be read; the home page comes last, since it links to
    the others.

    Args:
        results: folder of results.
        private: whether pages of pictures that may not be passed on are among them.

    Raises:
        InputError: a dataset is called like a report.
    """
    methods, baselines = list(given.methods), list(given.baselines)
    # Synthetic scenes are shown where they were drawn; the record has none.
    datasets = [d for d in given.datasets if (results / d).is_dir() or not given.is_synthetic(d)]
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
        shown = {"datasets": [d], "methods": methods, **_by_labels(given, results)}
        found[f"{d}-labels"] = Report("02_labels", shown, d)
    for study, notebook, ending in (
        ("losses", "03_loss_gradients", "losses"),
        ("detection", "05_detectors", "detectors"),
    ):
        for d in studies[study].datasets:
            found[f"{d}-{ending}"] = Report(notebook, {"datasets": [d], "methods": list(studies[study].methods)}, d)
    for d in look.datasets:
        if not (results / "analysis" / f"orientation-{d}").is_dir():
            continue  # of a network that was not looked at yet
        shown = {"dataset": d, "method": look.method, "seed": look.seed}
        found[f"{d}-pinwheel"] = Report("04_pinwheel_orientation", shown, d)
    whole = {
        "ranking": Report("08_ranking", {"datasets": datasets, "methods": methods, "baselines": baselines}),
        "efficiency": Report("11_efficiency", {"datasets": datasets, "methods": methods}),
        "datasets": Report("10_datasets", {"datasets": datasets}),
        "metrics": Report("09_metrics"),
        "your-method": Report("13_your_method", {"methods": every}),
    }
    scored = {kind: {p.name for p in (results / kind).glob("*/*")} for kind in ("transfer", "robustness")}
    if all(found_rows & set(methods) for found_rows in scored.values()):
        whole["transfer"] = Report("17_transfer", {"methods": methods})
    if (results / "analysis" / "race_effects.csv").exists():
        whole["race"] = Report("18_race", {"methods": methods})
    if taken := [d for d in datasets if d in {*whole, "start", "index", "figures"}]:
        raise InputError(f"params.yaml: datasets: {taken[0]!r} is the name of a report; give the dataset another")
    found = {
        name: one for name, one in (found | whole).items() if _has_results(one, results) and (one.public or private)
    }
    asked = {name: notebooks.question(one.path) for name, one in found.items()}
    home = {"datasets": datasets, "methods": methods, "baselines": baselines}
    return found | {"index": Report("16_home", {**home, "reports": asked})}


def _has_results(one: Report, results: Path) -> bool:
    """Whether there is something to report: pictures, or scores of the dataset that the report is of."""
    if one.dataset is None:
        return True
    folder, kind = (results, "metrics.json") if one.public else (RUNS / "gallery", "gallery.npz")
    return any((folder / one.dataset).glob(f"*/*/{kind}"))


def _by_labels(given: params.Params, results: Path) -> dict[str, list[str]]:
    """Rows of the study of labels that are trained on points, and those on masks: all of one budget."""
    found: dict[str, list[str]] = {"clicks": [], "masks": []}
    for name in given.studies["labelling"].methods:
        card = results / "methods" / f"{name}.json"
        if card.exists():
            of_masks = json.loads(card.read_text())["supervision"] == "mask"
            found["masks" if of_masks else "clicks"].append(name)
    return found
