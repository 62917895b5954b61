"""The race of recipes: what an arm is, how long it may take, and how it is judged."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import yaml

from irstd import methods
from irstd.analysis import race as analysis
from irstd.config import params
from irstd.errors import InputError
from irstd.inference.predict import Predicted
from irstd.plots import race as plots
from irstd.tables import race as tables
from pipelines import race
from tests.conftest import ROOT

GIVEN = yaml.safe_load((ROOT / "pipelines/race.yaml").read_text())


def test_an_arm_is_its_start_and_what_it_changes():
    given = {
        "base": {"m": {"recipe": {"epochs": 1, "augment": {"flip": 0.5, "affine": 0.5}}}},
        "arms": {
            "old": {},
            "flips": {"recipe": {"augment": {"affine": 0.0}}},
            "both": {"of": "flips", "options": {"a": 1}},
        },
    }

    assert race.entry(given, "m", "old") == given["base"]["m"]
    assert race.entry(given, "m", "both") == {
        "recipe": {"epochs": 1, "augment": {"flip": 0.5, "affine": 0.0}}, "options": {"a": 1},
    }  # fmt: skip


def test_an_arm_may_be_a_budget_of_params_yaml():
    row = params.load(ROOT / "params.yaml").row("gaussian_pinwheel")
    wanted = race.entry({"base": {}, "arms": {"today": {"budget": "cpu"}}}, "gaussian_pinwheel", "today")

    assert wanted["options"] == row.options
    assert wanted["recipe"]["size"] == row.recipe["size"]
    assert wanted["recipe"]["phases"] == row.budgets["night"]["phases"]  # `cpu` is of `night`


@pytest.mark.parametrize("method", GIVEN["base"])
def test_every_arm_is_a_recipe_that_the_method_takes(method):
    for arm, changes in GIVEN["arms"].items():
        if method in changes.get("methods", GIVEN["base"]):
            wanted = race.entry(GIVEN, method, arm)
            params.check(params.Recipe, wanted["recipe"] | {"epochs": 3}, arm)
            methods.get(method).options(**wanted.get("options", {}))


def test_test_scenes_are_never_judged():
    assert 0 < GIVEN["hold_out"] < 1 and set(GIVEN["datasets"]) <= set(params.load(ROOT / "params.yaml").datasets)


def test_as_many_epochs_fit_as_their_steps_take(monkeypatch):
    monkeypatch.setattr(race, "seconds", lambda *_: 0.5)
    recipe = params.Recipe(epochs=1, batch=4, size=64, optimiser=params.Optimiser("adamw", 1e-3))

    # 40 scenes are 10 steps of half a second: five seconds an epoch, twelve in a minute.
    assert race.epochs(1, "m", None, recipe, 40) == 12


def test_an_arm_for_another_time_takes_the_recipe_that_it_starts_from():
    given = {
        "base": {"m": {"recipe": {"epochs": 1}}},
        "arms": {"old": {}, "new": {"recipe": {"epochs": 2}}, "new-half": {"of": "new", "times": 0.5}},
    }

    assert race.entry(given, "m", "new-half") == race.entry(given, "m", "new")
    assert [race.followed(given, arm) for arm in given["arms"]] == ["old", "new", "new"]


def test_the_scores_of_a_recipe_are_drawn_over_the_time_that_each_training_took():
    table = pd.DataFrame(
        [(arm, epoch, 4 * share, 10.0 * epoch, 0.1 * epoch, recipe) for arm, share, recipe in
         (("new", 2, "new"), ("old", 1, "old"), ("new-half", 1, "new")) for epoch in (2, 4 * share)],
        columns=["arm", "epoch", "epochs", "core_minutes", "score", "recipe"],
    ).assign(dataset="d", seed=0, weights="averaged", low=0.1, high=0.9)  # fmt: skip
    _, ax = plt.subplots()
    plots.times(table, ax, datasets=["d"])

    [drawn] = ax.lines  # `old` has one time only
    assert drawn.get_label() == "d, new"
    np.testing.assert_allclose(drawn.get_xydata(), [(40, 40), (80, 80)])
    assert ax.get_xscale() == "log"


def test_false_pixels_are_of_regions_that_touch_no_target():
    mask = np.zeros((8, 8), bool)
    mask[1:3, 1:3] = True
    score = np.zeros((8, 8))
    score[2:4, 2:4] = score[6, 6] = 1.0  # overlaps by one pixel; and one alone

    assert race.counts(Predicted(score, None), mask, np.array([[1.5, 1.5]]), 0.5) == (1, 5, 4, 1)
    assert analysis.pooled(np.array([1, 5, 4]), points=False) == pytest.approx(1 / 8)
    assert analysis.pooled(np.array([1, 5, 4]), points=True) == pytest.approx(2 / 9)


def test_of_each_kind_all_or_those_named():
    given = {
        "base": {"m": {}, "n": {}}, "arms": {"old": {}, "new": {"methods": ["n"]}}, "datasets": ["a", "b"],
        "seeds": [0, 1],
    }  # fmt: skip

    assert race.chosen(given, ("0", "n", "b")) == [("b", "n", "old", 0), ("b", "n", "new", 0)]
    assert len(race.chosen(given, ())) == 2 * (2 + 1) * 2
    with pytest.raises(InputError, match="'newer' is no method"):
        race.chosen(given, ("newer",))


def images(right, averaged=2):
    """Counts of two scenes: ten found and ten there in each, of which `right` are both."""
    rows = [("1", "raw", 0), ("2", "raw", 0), ("1", "averaged", averaged), ("2", "averaged", averaged)]
    return analysis.final(pd.DataFrame([
        {"epoch": epoch, "weights": weights, "scene": scene, "right": 0 if epoch < 5 else right + more, "found": 10,
         "there": 10, "false": 3, "pixels": 1000}
        for epoch in (2, 5) for scene, weights, more in rows
    ]))  # fmt: skip


def test_an_arm_is_set_against_its_start_and_averaged_weights_against_raw():
    table = analysis.effects(
        {("a", "m", "old", 0): images(4), ("a", "m", "new", 0): images(5, 5)}, {"new": ("old", "better")}, []
    )

    told = table.set_index(["arm", "against", "against_weights"])["difference"]
    # IoU: 6 of 14 averaged and 4 of 16 raw at first; then 10 of 10, and 5 of 15.
    assert told["old", "old", "raw"] == pytest.approx(6 / 14 - 4 / 16)
    assert told["new", "old", "averaged"] == pytest.approx(1 - 6 / 14)
    assert told["new", "new", "raw"] == pytest.approx(1 - 5 / 15)
    assert table["false_per_million"].tolist() == [3000] * 3
    assert (table["low"] == table["high"]).all()  # the scenes are alike, so drawing others changes nothing


def test_points_are_judged_by_f1():
    table = analysis.effects({("a", "m", "old", 0): images(4)}, {}, ["m"])

    assert table["score"].tolist() == [pytest.approx(0.6)]


def test_arms_judged_on_other_scenes_are_not_compared():
    other = images(4).assign(scene=lambda t: t["scene"].map({"1": "1", "2": "3"}))
    found = analysis.effects(
        {("a", "m", "old", 0): other, ("a", "m", "new", 0): images(5)}, {"new": ("old", "better")}, []
    )

    assert found["against"].tolist() == ["old", "new"]


def test_cells_of_the_record_stay_but_for_those_run_anew():
    def rows(*cells):
        return pd.DataFrame([(*cell, score) for cell, score in cells], columns=[*race.CELL, "score"])

    before = rows((("d", "m", "old", 0), 0.1), (("d", "m", "old", 0), 0.2), (("d", "m", "new", 0), 0.3))
    whole = race.over(before, rows((("d", "m", "old", 0), 0.5), (("e", "m", "old", 0), 0.6)), race.KEYS["race"])

    assert whole["score"].tolist() == [0.3, 0.5, 0.6]


def test_a_comparison_stays_where_its_start_was_run_elsewhere():
    columns = [*race.KEYS["race_effects"], "difference"]
    before = pd.DataFrame(
        [("d", "m", "new", 0, "old", "averaged", 0.1), ("d", "m", "new", 0, "new", "raw", 0.2)], columns=columns
    )
    now = pd.DataFrame([("d", "m", "new", 0, "new", "raw", 0.3)], columns=columns)

    assert race.over(before, now, race.KEYS["race_effects"])["difference"].tolist() == [0.1, 0.3]


def kept(folder, arm, right, hardware):
    """Writes a cell that is done, as `race` does."""
    made = folder / "d" / "point_regression" / arm
    made.mkdir(parents=True)
    counted = images(right).groupby("weights")[["right", "found", "there"]].sum()
    pd.DataFrame([dict.fromkeys(race.COLUMNS, 0) | {
        "dataset": "d", "method": "point_regression", "arm": arm, "seed": 0, "weights": weights, "epoch": 5,
        "epochs": 5, "score": analysis.pooled(counted.loc[weights].to_numpy(), points=True),
    } for weights in ("raw", "averaged")]).to_csv(made / "0.csv", index=False)  # fmt: skip
    images(right).assign(epoch=5).to_csv(made / "0-images.csv", index=False)
    (made / "0.json").write_text(f'{{"hardware": "{hardware}", "commit": "c"}}')


@pytest.mark.parametrize(("hardware", "sides"), [("one", {"new", "old"}), ("another", {"new"})])
def test_an_arm_is_set_against_one_in_the_record_that_ran_on_the_same_hardware(tmp_path, monkeypatch, hardware, sides):
    given = {
        "base": {"point_regression": {}}, "datasets": ["d"], "seeds": [0],
        "arms": {"old": {}, "new": {"what": "better"}},
    }  # fmt: skip
    monkeypatch.setattr(race, "RECORD", tmp_path / "record")
    for place, arm, made_on in (("before", "old", "one"), ("now", "new", hardware)):
        monkeypatch.setattr(race, "PLACE", tmp_path / place)
        monkeypatch.setattr(race, "RESULTS", tmp_path / ("record/results" if place == "before" else "results"))
        kept(tmp_path / place, arm, 4 if arm == "old" else 5, made_on)
        race.summarise(given)

    told = pd.read_csv(tmp_path / "results/analysis/race_effects.csv")
    assert set(told[told["arm"] == "new"]["against"]) == sides
    whole = pd.read_csv(tmp_path / "results/analysis/race_images.csv", dtype={"scene": str})
    assert whole.groupby("arm")["right"].sum().to_dict() == {"new": 24, "old": 20}


def test_an_effect_ends_when_one_side_was_trained_again():
    cells = [
        ("d", "m", arm, 0, "averaged", 2, 2, score) for arm, score in (("old", 0.5), ("new", 0.65), ("other", 0.4))
    ]
    last = pd.DataFrame(cells, columns=[*race.CELL, "weights", "epoch", "epochs", "score"])
    pairs = [("new", 0.65, 0.15), ("other", 0.4, -0.2), ("new", 0.7, 0.2)]  # against old 0.5, old 0.6, and of new 0.7
    rows = [("d", "m", arm, 0, "averaged", "old", "averaged", score, by) for arm, score, by in pairs]
    columns = [*race.CELL, "weights", "against", "against_weights", "score", "difference"]

    kept = race.current(pd.DataFrame(rows, columns=columns), last)

    assert kept[["arm", "score"]].to_numpy().tolist() == [["new", 0.65]]


def test_a_step_is_timed_once_for_each_kind_of_hardware(tmp_path, monkeypatch):
    monkeypatch.setattr(race, "RECORD", tmp_path / "record")
    monkeypatch.setattr(race, "RESULTS", tmp_path / "results")
    options = methods.get("point_regression").options(widths=(8, 8, 8), sigma=1.5)
    least = race.seconds("point_regression", options, 16, 2)

    (row,) = race.steps().to_dict("records")
    assert (row["method"], row["size_px"], row["batch"]) == ("point_regression", 16, 2)
    assert row["options"] == "widths=(8, 8, 8) sigma=1.5"
    assert least == pytest.approx(row["seconds"], rel=1e-4) and least > 0
    (tmp_path / "record").mkdir()
    (tmp_path / "results").rename(tmp_path / "record/results")
    monkeypatch.setattr(race.profiling, "trial", None)  # not timed again, neither here nor where the record is
    assert race.seconds("point_regression", options, 16, 2) == row["seconds"]


def test_a_change_that_helps_on_one_dataset_alone_is_not_said_to_help_nowhere():
    columns = ["dataset", "method", "arm", "change", "against", "seed", "difference", "low", "high"]
    rows = [
        ("x", "m", "a", "one", "old", 0, 0.02, -0.01, 0.05),
        ("y", "m", "a", "one", "old", 0, 0.10, 0.05, 0.15),
        ("x", "m", "b", "other", "old", 0, -0.20, -0.3, -0.1),
        ("x", "m", "a", "averages", "a", 0, 0.03, 0.01, 0.05),
        ("y", "m", "b", "averages", "b", 0, -0.01, -0.02, 0.01),
    ]

    assert tables.answer(pd.DataFrame(rows, columns=columns), {"m": "M"}).splitlines()[0] == (
        "**M**, in points. Raised it on some, and showed no difference on others: one (x +2.0, y +10.0). Lowered it "
        "wherever tried: other (x -20.0). Averaged weights instead of the last: higher in 1 and lower in 0 of 2 "
        "trainings (-1.0 to +3.0)."
    )
