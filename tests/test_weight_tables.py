"""Tables and figures of published weights: which are their own, what is left after a change."""

import numpy as np
import pandas as pd
import pytest

from irstd.plots import weights as plots
from irstd.results import reading, store
from irstd.results.schemas import SCHEMAS
from irstd.tables import home
from irstd.tables import weights as tables

TITLES = {"a": "A", "b": "B"}


def row(**given):
    return dict.fromkeys(SCHEMAS["conventions"], np.nan) | {"convention": "irstd", "images": 4} | given


def ends(iou):
    return {"iou_low": iou - 0.05, "iou_high": iou + 0.05}


@pytest.fixture
def folder(tmp_path):
    """Results of two weights of one method, and of changed images of one."""
    for dataset, on, f1 in (("x", "x", 0.9), ("x", "y", 0.3), ("y", "x", 0.2), ("y", "y", 0.8)):
        table = pd.DataFrame([row(f1=f1, iou=f1 / 2, **ends(f1 / 2)), row(convention="other", f1=0.1)])
        store.write(table, tmp_path / "transfer" / dataset / "a/0" / f"{on}.csv", "conventions")
    for dataset, iou in (("x", 0.6), ("y", 0.45)):
        table = pd.DataFrame([row(iou=iou, f1=0.9, **ends(iou)), row(convention="other", iou=0.1)])
        store.write(table, tmp_path / "on_training" / dataset / "a/0.csv", "conventions")
    levels = [("none", 0.0, 0.8), ("noise", 2.0, 0.6), ("noise", 5.0, 0.2), ("scr", 0.5, 0.4), ("scr", 0.25, 0.3)]
    table = pd.DataFrame([row(change=c, level=v, f1=f, f1_low=f - 0.1, f1_high=f + 0.1) for c, v, f in levels])
    store.write(table, tmp_path / "robustness/x/a/0.csv", "robustness")
    return tmp_path


def test_every_weights_on_every_dataset_is_a_row_under_our_convention(folder):
    shown = tables.transfer(reading.transfer(folder), TITLES)

    assert shown["scored on"].tolist() == ["x (its own)", "y", "x", "y (its own)"]
    assert shown["trained on"].tolist() == ["x", "x", "y", "y"]
    assert shown["target F1 %"].tolist() == ["90.00", "30.00", "20.00", "80.00"]


def test_cards_are_linked_by_method_and_dataset(folder):
    for dataset in ("x", "y"):
        assert tables.cards(reading.transfer(folder), TITLES, folder) == ("- A: [x](weights/x/a.md)" * (dataset == "y"))
        (folder / f"weights/{dataset}").mkdir(parents=True)
        (folder / f"weights/{dataset}/a.md").touch()

    shown = tables.cards(reading.transfer(folder), TITLES, folder)
    assert shown == "- A: [x](weights/x/a.md) · [y](weights/y/a.md)"


def test_what_is_left_is_the_worst_level_over_none(folder):
    (left,) = tables.kept(reading.robustness(folder), "f1", TITLES).to_dict("records")

    assert left == {
        "method": "A", "trained on": "x", "target F1 % without": "80.00", "left, noise": "25.00", "left, scr": "37.50"
    }  # fmt: skip


def test_levels_have_their_units(folder):
    shown = tables.robustness(reading.robustness(folder), TITLES)

    assert shown["level"].tolist() == ["–", "2 grey levels", "5 grey levels", "0.5 ratio", "0.25 ratio"]


def test_the_answer_says_what_is_lost_and_what_hurts_most(folder):
    scored = reading.transfer(folder)
    ours, changed, seen = (
        scored[scored["convention"] == "irstd"],
        reading.robustness(folder),
        reading.on_training(folder),
    )
    said = tables.answer(ours, changed, seen[seen["convention"] == "irstd"], TITLES)

    assert said.splitlines()[0] == (
        "- **A**: weights of another dataset reach 22.22 to 37.50 % of the target F1 of its own; of the changes, at the "
        "worst of their levels, what costs most is noise on x (25.00 % are left); on x data bounds it; on y training or "
        "network bounds it."
    )


def test_intervals_that_do_not_meet_say_that_data_bound_it(folder):
    scored, seen = (t[t["convention"] == "irstd"] for t in (reading.transfer(folder), reading.on_training(folder)))
    shown = tables.bounds(seen, scored, TITLES)

    assert shown["trained on"].tolist() == ["x", "y"]
    assert shown["score"].tolist() == ["IoU %", "IoU %"]
    assert shown["on scenes it learnt from"].tolist() == ["60.00 [55.0, 65.0]", "45.00 [40.0, 50.0]"]
    assert shown["on the test split"].tolist() == ["45.00 [40.0, 50.0]", "40.00 [35.0, 45.0]"]
    assert shown["difference"].tolist() == ["-15.00", "-5.00"]
    assert shown["what bounds it"].tolist() == [tables.DATA, tables.TRAINING]


def test_a_method_of_points_is_bounded_by_its_f1(folder):
    scored, seen = (t[t["convention"] == "irstd"] for t in (reading.transfer(folder), reading.on_training(folder)))
    shown = tables.bounds(
        seen.assign(iou=np.nan, f1_low=0.95, f1_high=1.0), scored.assign(f1_low=0.7, f1_high=0.8), TITLES
    )

    assert shown["score"].tolist() == ["target F1 %", "target F1 %"] and set(shown["what bounds it"]) == {tables.DATA}


def test_nothing_is_there_without_results(tmp_path):
    assert reading.transfer(tmp_path).empty and reading.robustness(tmp_path).empty


def test_the_square_of_a_pair_says_its_score(folder, ax):
    scored = reading.transfer(folder)
    plots.transfer(scored[scored["convention"] == "irstd"], ax, score="f1", datasets=["y", "x"])

    assert [t.get_text() for t in ax.texts] == ["80.0", "20.0", "30.0", "90.0"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("scored on", "trained on")


@pytest.mark.parametrize(
    ("change", "unit", "xs", "ys"),
    [("noise", "grey levels", [0, 2, 5], [80, 60, 20]), ("scr", "ratio", [0.25, 0.5, 1], [30, 40, 80])],
)
def test_a_line_goes_from_none_to_the_strongest(folder, ax, change, unit, xs, ys):
    table = reading.robustness(folder)
    plots.robustness(table, ax, change=change, unit=unit, score="f1", order=["b", "a"], titles=TITLES)

    (line,) = ax.lines
    np.testing.assert_allclose(line.get_xydata(), np.transpose([xs, ys]))
    assert ax.xaxis_inverted() == (unit == "ratio")
    assert (line.get_label(), ax.get_xlabel()) == ("A", f"{change}, {unit}")


def test_cells_from_elsewhere_say_where_from():
    record = pd.DataFrame(
        [{"dataset": "x", "method": "a", "seed": 0, "commit": "abc", "hardware": "H", "precision": "bf16-mixed", "wall_s": 90.0, "sha256": "f" * 64}]
    )  # fmt: skip
    again = pd.concat([record, record.assign(seed=1)])  # a cell that was trained here since
    cells = again.assign(wall_s=[90.0, 33.0])
    (told,) = home.imported(again, cells, TITLES).to_dict("records")

    assert (told["trained on"], told["arithmetic"], told["minutes"]) == ("H", "bfloat16", "2")
    assert told["weights, SHA-256"] == "f" * 16 + "…"
