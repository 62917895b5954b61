"""Every notebook runs with other parameters than its own on the committed tables, and says something else then.

With its own, each is run by `make report`, which tests/test_site.py does.
"""

import json
import re
import shutil

import pandas as pd
import pytest
from papermill.exceptions import PapermillExecutionError

from irstd.reports import notebooks
from irstd.results import SCHEMAS, store
from tests.conftest import RECORDED, ROOT

RESULTS = RECORDED
OTHER = {  # notebook: other parameters, words that must be in what it then says, files that it must leave
    "00_start": ({"seed": 5, "scr": 8.0, "threshold": 0.3, "dataset": "synthetic"}, ["seed 5", "background: cloud", "at 0.3"], ["scene.svg", "conventions.csv"]),
    "10_datasets": ({"datasets": ["irstd-1k", "absent"]}, ["Not described yet", "1492"], ["places.svg", "ranges.csv"]),
    "11_efficiency": ({"methods": ["ggl_net"], "beside": "nudt-sirst"}, ["8,988,093", "DNANet"], ["accuracy-over-size.svg", "cost.csv"]),
    "12_failures": ({"dataset": "nudt-sirst", "methods": ["mpcm", "point_regression"], "most": 3}, ["945", "No crops are kept here"], ["who-finds-what.svg", "hardest.csv"]),
    "13_your_method": ({"name": "x_net", "method": "mpcm", "dataset": "irstd-1k"}, ["irstd/methods/x_net.py", "MPCM"], ["leads.csv"]),
    "16_home": ({"datasets": ["nuaa-sirst"], "methods": ["ggl_net"], "reports": {"nuaa-sirst": "?", "metrics": "What?"}}, ["75.47", "[metrics](metrics.md): What?", "12 % of the epochs"], ["headline-iou.svg", "headline.csv"]),
    "17_transfer": ({"datasets": ["nuaa-sirst", "nudt-sirst"], "methods": ["point_regression"], "score": "pd"}, ["nuaa-sirst (its own)", "noise", "costs most", "Pd % without"], ["transfer.svg", "robustness-nuaa-sirst.svg", "kept.csv"]),
}  # fmt: skip
ELSEWHERE = {
    "01_comparison",
    "02_labels",
    "03_loss_gradients",
    "04_pinwheel_orientation",
    "05_detectors",
    "06_pictures",
}
ELSEWHERE |= {"07_conventions", "08_ranking", "09_metrics"}  # in test_report.py and test_score_report.py


def executed(notebook, tmp_path, **given):
    given |= {kind: str(tmp_path / kind) for kind in ("figures", "tables")}
    return notebooks.markdown(
        notebooks.execute(ROOT / f"notebooks/{notebook}.ipynb", tmp_path / "out.ipynb", **given), f"{tmp_path}/"
    )


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_links_lead_somewhere_from_where_a_notebook_lies(path):
    cells = [cell["source"] for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "markdown"]
    for target in re.findall(r"\]\(([^)\s#]+)", "\n".join("".join(source) for source in cells)):
        built = target.startswith("html/")  # with the site
        assert "://" in target or built or (path.parent / target).exists(), target


def test_an_area_of_ones_own_is_drawn(tmp_path):
    executed("03_loss_gradients", tmp_path, results=str(RESULTS), true_px=50.0)

    drawn = (tmp_path / "figures/gradients.svg").read_text()
    assert drawn.count("true area 50 px") == 4
    assert drawn.count("line2d") > 80  # as many as of an area in the table; without curves there are ticks alone


def test_results_that_are_not_there_are_named(tmp_path):
    with pytest.raises(
        PapermillExecutionError, match=r"InputError: .*orientation-nuaa-sirst/kernels\.csv is missing; take it"
    ):
        executed("04_pinwheel_orientation", tmp_path, results=str(RESULTS), dataset="nuaa-sirst")


def test_every_notebook_is_run_with_other_parameters():
    names = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}

    assert names == {*OTHER, *ELSEWHERE, "14_explorer", "15_revisions", "18_race"}


@pytest.mark.parametrize("name", OTHER)
def test_a_notebook_runs_with_other_parameters(name, tmp_path):
    parameters, words, files = OTHER[name]
    text = executed(name, tmp_path, results=str(RESULTS), **parameters)

    assert [word for word in words if word not in text] == []
    left = {path.name for kind in ("figures", "tables") for path in (tmp_path / kind).iterdir()}
    assert set(files) <= left
    assert all(path.stat().st_size < 300_000 for path in (tmp_path / "figures").glob("*.svg"))


def test_a_race_says_which_changes_raised_the_score(tmp_path):
    """Two arms on two datasets, one of which `flips` raises for certain, and an average that changes nothing."""
    place = tmp_path / "results/analysis"
    effects = [
        (d, "ggl_net", arm, change, "averaged", against, weights, 0, 0.5, difference, low, high, 9.0, 8.0)
        for d, up in (("nuaa-sirst", 0.1), ("nudt-sirst", 0.05))
        for arm, change, against, weights, difference, low, high in (
            ("old", "averaged weights", "old", "raw", 0.0, -0.1, 0.1),
            ("flips", "flips only", "old", "averaged", up, up - 0.01, up + 0.02),
        )
    ]
    runs = [
        (d, "ggl_net", arm, 0, "averaged", epoch, ends, 2.0 * epoch, 1e6 * epoch, 0.1 * epoch, 0.3, 0.5, 9.0, 0.5, recipe,
         "CPU", "abc")
        for d in ("nuaa-sirst", "nudt-sirst")
        for arm, ends, recipe in (("old", 4, None), ("flips", 4, "flips"), ("flips-half", 2, "flips"))
        for epoch in (2, 4) if epoch <= ends
    ]  # fmt: skip
    for kind, rows in (("race", runs), ("race_effects", effects)):
        store.write(pd.DataFrame(rows, columns=list(SCHEMAS[kind])), place / f"{kind}.csv", kind)
    shutil.copytree(RESULTS / "methods", tmp_path / "results/methods")
    text = executed("18_race", tmp_path, results=str(tmp_path / "results"), datasets=["nuaa-sirst", "nudt-sirst"])

    assert "Raised the score wherever tried: flips only (nuaa-sirst +10.0, nudt-sirst +5.0)." in text
    assert "Averaged weights instead of the last: higher in 0 and lower in 0 of 2 trainings (+0.0 to +0.0)." in text
    assert "+10.00 [+9.00, +12.00]" in text and "40.00 [30.0, 50.0]" in text
    assert {p.name for p in (tmp_path / "figures").iterdir()} == {
        "effects-ggl_net.svg", "curves-ggl_net.svg", "times-ggl_net.svg",
    }  # fmt: skip
    assert (tmp_path / "figures/times-ggl_net.svg").read_text().count(", flips<") == 2  # a line for each dataset


def test_the_explorer_shows_drawn_scenes_where_there_is_nothing_else(tmp_path):
    book = notebooks.execute(ROOT / "notebooks/14_explorer.ipynb", tmp_path / "out.ipynb", root=str(tmp_path))

    assert "1 sets of predictions; the first: drawn scenes, top-hat" in notebooks.markdown(book)
    assert any("widget" in mime for c in book.cells for o in c.get("outputs", []) for mime in o.get("data", {}))


def test_two_revisions_are_told_apart_cell_by_cell(tmp_path):
    for when in ("before", "after"):
        for method in ("ggl_net", "point_regression", "mpcm"):
            shutil.copytree(RESULTS / "synthetic" / method, tmp_path / when / "synthetic" / method)
        shutil.copytree(RESULTS / "methods", tmp_path / when / "methods")
    shutil.rmtree(tmp_path / "before/synthetic/mpcm")  # added since
    cell = tmp_path / "after/synthetic/ggl_net/0"
    for path, change in (("metrics.json", {"iou": 0.99}),):
        (cell / path).write_text(json.dumps(json.loads((cell / path).read_text()) | change))
    lines = (cell / "per_image.csv").read_text().splitlines()
    columns = lines[0].split(",")
    perfect = [",".join([*row[:2], row[4], row[4], *row[4:]]) for row in (line.split(",") for line in lines[1:])]
    assert columns[2:5] == ["intersection", "predicted", "true"]
    (cell / "per_image.csv").write_text("\n".join([lines[0], *perfect]) + "\n")
    text = executed(
        "15_revisions", tmp_path, before=str(tmp_path / "before"), after=str(tmp_path / "after"), names=["a", "b"]
    )

    assert "From a to b, of 3 cells: 1 same, 1 changed, 1 added, 0 removed." in text
    assert "36.05 → 99.00" in text and "+63.95 [" in text
    assert (tmp_path / "figures/curves-synthetic-ggl_net-0.svg").exists()
