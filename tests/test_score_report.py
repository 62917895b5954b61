"""Reports on conventions, leads, ranks and metrics: figures by their artists, tables by their text, notebooks by running."""

import numpy as np
import pandas as pd
import pytest

from irstd.analysis import cases
from irstd.metrics.conventions import CONVENTIONS
from irstd.plots import conventions as plots
from irstd.plots import style
from irstd.reports import notebooks
from irstd.results import reading
from irstd.tables import scoring as score_tables
from irstd.tables import studies as study_tables
from tests.conftest import RECORDED, ROOT

TITLES = {"a": "Method A"}


@pytest.fixture
def scored():
    rows = [
        ("a", "irstd", 0.9, 10.0, 0.5),
        ("a", "dnanet", 0.8, 4.0, 0.5),
        ("b", "irstd", 0.7, 8.0, 0.6),
        ("b", "dnanet", 0.85, 8.0, np.nan),
    ]
    return pd.DataFrame(rows, columns=["method", "convention", "pd", "fa_per_million", "iou"])


class TestPlots:
    def test_a_line_a_method_through_its_scores(self, ax, scored):
        plots.by_convention(scored, ax, score="pd", order=["a", "b"], titles=TITLES)

        assert [line.get_ydata().tolist() for line in ax.lines] == [pytest.approx([90, 80]), pytest.approx([70, 85])]
        assert [t.get_text() for t in ax.get_xticklabels()] == ["irstd", "dnanet"]
        assert ax.get_ylabel() == "Pd, %" and ax.get_xlabel()

    def test_false_alarms_are_never_drawn_below_zero(self, ax, scored):
        plots.by_convention(scored, ax, score="fa_per_million", order=["a", "b"], titles=TITLES)

        assert ax.get_ylim() == (0, 30)

    @pytest.mark.parametrize(("score", "of_a"), [("pd", [1, 2]), ("fa_per_million", [2, 1])])
    def test_the_best_has_rank_one_at_the_top(self, ax, scored, score, of_a):
        plots.ranks(scored, ax, score=score, order=["a", "b"], titles=TITLES)

        assert ax.lines[0].get_ydata().tolist() == of_a
        assert ax.yaxis_inverted()

    def test_curves_mark_one_half(self, ax):
        table = pd.DataFrame(
            {
                "method": "a", "seed": 0, "threshold": [0, 0.5, 0.9], "pd": [1, 0.8, 0.2], "fa_per_million": [1e6, 9.9, 0],
                "false_positive_rate": [1, 1e-5, 0], "recall": [1, 0.5, 0.1],
            }
        )  # fmt: skip
        plots.pd_over_fa(table, ax, order=["a"], titles=TITLES)

        assert ax.lines[1].get_xdata().tolist() == [10] and ax.lines[1].get_ydata().tolist() == [80]
        plots.roc(table, ax, order=["a"], titles=TITLES)
        assert ax.lines[-1].get_ydata().tolist() == [100, 50, 10]

    def test_bars_join_ranks_that_are_not_told_apart(self, ax):
        plots.critical_difference({"a": 1.0, "b": 1.5, "c": 3.0}, 1.0, ax, titles=TITLES)

        bars = [line for line in ax.lines if line.get_linewidth() == 3]
        assert [[round(x, 2) for x in bar.get_xdata()] for bar in bars] == [[0.96, 1.54]]
        assert {t.get_text() for t in ax.texts} == {"Method A (1.00)", "b (1.50)", "c (3.00)"}

    def test_pd_by_bin_names_the_number_of_targets(self, ax):
        table = pd.DataFrame(
            {
                "method": ["a", "a"],
                "place": [0, 2],
                "bin": ["0 to < 10", "≥ 20"],
                "targets": [4, 9],
                "pd": [0.5, 1.0],
                "low": [0.2, 0.8],
                "high": [0.8, 1.0],
            }
        )
        plots.pd_by(table, ax, column="area_px", order=["a"], titles=TITLES)

        assert [t.get_text() for t in ax.get_xticklabels()] == ["0 to < 10\n(4)", "≥ 20\n(9)"]
        assert ax.get_xlabel() == "area of the target, px (number of targets)"

    def test_a_case_draws_a_square_a_pixel(self, ax):
        pixels = cases.drawn()
        plots.case(pixels[(pixels["case"] == "D") & (pixels["image"] == 0)], ax, side=24)

        assert len(ax.patches) == 18 + 21  # two targets of 9 px, one region of 21

    def test_classical_detectors_are_grey_and_move_no_colour(self):
        assert style.colours(["a", "top_hat", "b"])["b"] == style.colours(["a", "b"])["b"]
        assert style.colours([])["pstnn"] == "0.58"


class TestTables:
    def test_ranks_stand_in_brackets_and_what_is_not_there_is_a_dash(self, scored):
        across = score_tables.across(scored, "iou", TITLES).set_index("convention")

        assert across.loc["irstd"].tolist() == ["50.00 (2)", "60.00 (1)"]
        assert across.loc["dnanet"].tolist() == ["50.00 (1)", "–"]

    def test_native_size_stands_beside_a_square(self, scored):
        scored = scored.assign(seed=0, niou=0.4, f1=0.5)
        small = scored[scored["convention"] == "irstd"].assign(iou=[0.25, np.nan])

        table = score_tables.squared(scored, small, TITLES, ["irstd", "dnanet"])

        assert table["method"].tolist() == ["Method A", "b"] and set(table["convention"]) == {"irstd"}
        assert table["IoU %"].tolist() == ["50.00", "60.00"] and table["IoU % at 256×256"].tolist() == ["25.00", "–"]

    def test_a_method_without_the_score_keeps_its_column(self, scored):
        scored.loc[scored["method"] == "b", "iou"] = np.nan

        assert score_tables.across(scored, "iou", TITLES)["b"].tolist() == ["–", "–"]
        assert "IoU" not in score_tables.rank_answer(scored, TITLES)

    def test_it_is_said_how_often_each_leads(self, scored):
        text = score_tables.rank_answer(scored, TITLES)

        assert "Pd %: the best is Method A under 1 of 2, b under 1 of 2" in text
        assert "differ by up to 15.0 points" in text and "6.0 per million" in text

    def test_a_method_that_some_conventions_cannot_score_hides_none_of_the_others(self, scored):
        points = pd.DataFrame([("c", "irstd", 0.1, 20.0, np.nan)], columns=list(scored))

        text = score_tables.rank_answer(pd.concat([scored, points], ignore_index=True), TITLES)

        assert "Pd %: the best is Method A under 1 of 2, b under 1 of 2" in text
        assert "differ by up to 15.0 points" in text and "6.0 per million" in text

    def pairs(self, seeds=(1, 1)):
        rows = [("a", "b", *seeds, 0.1, 0.02, 0.2, 0.03, 0.06), ("a", "c", *seeds, 0.2, 0.1, 0.3, 0.001, 0.003)]
        columns = ["one", "other", "one_seeds", "other_seeds", "difference", "low", "high", "p", "p_holm"]
        return pd.DataFrame(rows, columns=columns)

    def test_a_lead_is_claimed_by_the_corrected_p_only_and_of_these_trainings(self):
        leads = score_tables.leads({"pd": self.pairs()}, TITLES)

        assert leads["more than the choice of test images"].tolist() == ["no", "yes"]
        assert leads["trainings"].tolist() == ["one training each"] * 2
        assert leads["difference [95 %]"].tolist() == ["+10.00 [+2.00, +20.00]", "+20.00 [+10.00, +30.00]"]
        assert score_tables.lead_answer({"pd": self.pairs()}, TITLES) == (
            "Pd %: Method A is first, ahead of c by more than the choice of test images explains; one training each; "
            "its lead over b is within the choice of test images. These are leads of the weights at hand: another "
            "training may order the methods otherwise."
        )

    @pytest.mark.parametrize(("seeds", "said"), [((2, 2), "2 trainings each"), ((3, 1), "1 to 3 trainings each")])
    def test_the_answer_says_how_many_trainings_lead(self, seeds, said):
        assert said in score_tables.lead_answer({"pd": self.pairs(seeds)}, TITLES)
        assert score_tables.lead_answer({}, TITLES) == ""

    def test_seeds_stand_beside_their_mean(self):
        columns = ["method", "seeds", "mean", "low", "high", "by_seed", "seed_low", "seed_high"]
        rows = [("a", 2, 0.5, 0.4, 0.6, [0.49, 0.51], 0.37, 0.63), ("b", 1, 0.3, 0.2, 0.4, [0.3], np.nan, np.nan)]
        table = score_tables.means({"pd": pd.DataFrame(rows, columns=columns)}, TITLES)

        assert table["mean [95 % over images]"].tolist() == ["50.00 [40.00, 60.00]", "30.00 [20.00, 40.00]"]
        assert table["by seed"].tolist() == ["49.00, 51.00", "–"]
        assert table["95 % over seeds (t)"].tolist() == ["[37.00, 63.00]", "–"]

    def test_an_fa_that_no_level_gets_down_to_is_said(self):
        one = {"roc_auc": 0.9, "pr_auc": 0.8, "pd_fa_area": 0.3, "at_chosen_threshold": None}
        saturated = one | {"pd_at_fa": {"10": None, "100": 0.9}, "lowest_fa_per_million": 88.97}
        blind = one | {"pd_at_fa": {"10": 0.0, "100": 0.9}, "lowest_fa_per_million": 0.0}
        old = one | {"pd_at_fa": {"10": 0.0, "100": 0.9}}
        mask = one | {"pd_at_fa": {}, "pd_fa_area": None, "lowest_fa_per_million": 3.0}
        table = score_tables.curves_summary({"a": saturated, "b": blind, "c": old, "d": mask}, {})

        assert table["Pd % at Fa 10e-6"].tolist() == ["not reached (lowest Fa 89.0)", "0.00", "–", "–"]
        assert table["Pd % at Fa 100e-6"].tolist() == ["90.00", "90.00", "90.00", "–"]
        assert table["Pd–Fa area"].tolist() == ["≥ 0.3000", "0.3000", "0.3000", "–"]
        assert not [name for name in score_tables.curves_summary({"d": mask}, {}) if "at Fa" in name]

    def test_published_figures_that_contradict_each_other_have_a_row_each(self):
        columns = ["method", "split", "metric", "value", "scored", "source", "note"]
        rows = [
            ("MPCM", "1-1", "iou", 20.0, "native", "paper", ""),
            ("MPCM", "1-1", "pd", 60.0, "native", "paper", ""),
            ("MPCM", "1-1", "iou", 30.0, "native", "paper", "the other table"),
            ("MPCM", "2-1", "iou", 40.0, "native", "paper", ""),
            ("MPCM", "2-1", "iou", 50.0, "256 px squares", "paper", ""),
        ]
        mine = {"method": "mpcm", "convention": "basicirstd", "iou": 0.1, "pd": 0.5, "fa_per_million": 7.0}
        figures = pd.DataFrame(rows, columns=columns)
        table = score_tables.nearest_published(pd.DataFrame([mine]), figures, {"mpcm": "MPCM"}, {})

        assert table["IoU %, published"].tolist() == ["20.00", "30.00", "40.00", "50.00"]
        assert table["Pd %, published"].tolist() == ["60.00", "–", "–", "–"]
        assert table["note"].tolist() == ["–", "the other table", "–", "–"]
        assert table["scored"].tolist() == ["native"] * 3 + ["256 px squares"]

    def test_methods_that_lack_a_dataset_are_not_ranked(self):
        cells = pd.DataFrame(
            [(d, m, s, v) for d in "xyz" for m, s, v in (("a", 0, 0.9), ("a", 1, 0.7), ("b", 0, 0.6), ("c", 0, 0.7))] + [("x", "d", 0, 1.0)],
            columns=["dataset", "method", "seed", "pd"],
        )  # fmt: skip
        one = score_tables.ranking(cells, "pd")

        assert one.mean_ranks == {"a": 1, "b": 3, "c": 2}
        assert score_tables.ranking_table(one, TITLES).iloc[0].tolist() == [
            "Method A",
            "80.00 (1)",
            "80.00 (1)",
            "80.00 (1)",
            "1.00",
        ]
        answer = score_tables.ranking_answer({"pd": one}, TITLES)
        assert (
            "(1.00 of 3) over 3 datasets, significantly better than b" in answer
            and "Drawn scenes are left out" in answer
        )

    def test_drawn_scenes_are_no_dataset_to_rank_on(self):
        rows = [(d, m, 0, v) for d in ("x", "synthetic") for m, v in (("a", 0.9), ("b", 0.6))]
        rows += [("synthetic", "c", 0, 0.5)]
        cells = pd.DataFrame(rows, columns=["dataset", "method", "seed", "pd"])

        assert score_tables.ranking(cells, "pd").scores.index.tolist() == ["x"]
        none = score_tables.ranking(cells[cells["dataset"] == "synthetic"], "pd")
        assert none.mean_ranks == {} and np.isnan(none.difference)

    def test_ranks_are_told_apart_only_where_friedmans_test_finds_a_difference(self):
        scores = pd.DataFrame(0.5, index=["x", "y"], columns=["a", "b", "c"])
        one = score_tables.Ranking(scores, scores, {"a": 1.0, "b": 2.0, "c": 3.0}, 0.5, 0.2)

        assert (
            "no two methods differ significantly (Friedman p 0.200, so no two are compared)"
            in score_tables.ranking_answer({"pd": one}, {})
        )
        sure = score_tables.Ranking(scores, scores, one.mean_ranks, 0.5, 0.01)
        assert "significantly better than b, c" in score_tables.ranking_answer({"pd": sure}, {})

    @pytest.mark.parametrize(
        ("by_seed", "ends", "told"),
        [
            ([0.02, 0.03], (-0.04, 0.09), "no claim: 2 seeds"),
            ([0.02], (np.nan, np.nan), "no claim: 1 seed"),
            ([0.02, 0.03, 0.02, 0.03, 0.02], (0.018, 0.03), "yes"),
            ([0.02, -0.03, 0.07, 0.03, 0.02], (-0.02, 0.06), "no"),
        ],
    )
    def test_two_losses_are_told_apart_by_five_seeds_or_more(self, by_seed, ends, told):
        score = {
            "score": "iou", "seeds": len(by_seed), "one": 0.5, "other": 0.48, "difference": 0.02, "low": 0.01,
            "high": 0.03, "by_seed": by_seed, "seed_low": ends[0], "seed_high": ends[1],
        }  # fmt: skip
        compared = {("nudt-sirst", "b"): pd.DataFrame([score])}
        table = study_tables.differences(compared, "a", {}).iloc[0]
        losses = pd.DataFrame({"weight": ["diff", "variance"], "wrong": [0, 1]})
        text = study_tables.loss_answer(losses, compared, "a", {})

        assert table["recipes differ significantly"] == told and table["more than the choice of test images"] == "yes"
        assert "more than the choice of test images explains; " in text and "cusp at equal areas" in text
        assert ("one training each" in text) == (len(by_seed) == 1)
        assert ("too few to claim" in text) == (len(by_seed) < 5)

    def test_every_convention_is_explained(self):
        about = score_tables.about_conventions()

        assert len(about) == len(CONVENTIONS) and (about["what it does"].str.len() > 40).all()
        assert about.set_index("convention").loc["`dnanet`", "at fault"].startswith("B1")


def test_a_cell_has_one_score_under_our_convention_in_every_file():
    cells = reading.cells(RECORDED).set_index(["dataset", "method", "seed"])
    kept = reading.gather(RECORDED, "conventions").query("convention == 'irstd'")

    assert len(kept) > 20
    for row in kept.set_index(["dataset", "method", "seed"]).itertuples():
        for score in ("iou", "pd", "f1"):
            ours, theirs = getattr(row, score), cells.loc[row.Index, score]
            assert (pd.isna(ours) and pd.isna(theirs)) or ours == pytest.approx(theirs, abs=2e-6), (row.Index, score)


def executed(name, tmp_path, **given):
    places = {kind: str(tmp_path / kind) for kind in ("figures", "tables")}
    book = ROOT / f"notebooks/{name}.ipynb"
    made = notebooks.execute(book, tmp_path / "out.ipynb", results=str(RECORDED), **places, **given)
    return notebooks.markdown(made), {p.name for p in (tmp_path / "figures").iterdir()}


class TestNotebooks:
    def test_conventions_and_leads_of_another_dataset(self, tmp_path):
        text, figures = executed("07_conventions", tmp_path, dataset="nuaa-sirst")

        assert "rc-irstd-centroid" in text and "choice of test images" in text and "published" in text
        assert {"by-convention.svg", "ranks.svg", "curves.svg", "breakdown.svg"} <= figures

    def test_ranks_over_some_datasets(self, tmp_path):
        text, figures = executed(
            "08_ranking", tmp_path, datasets=["synthetic", "nuaa-sirst", "nudt-sirst"], scores=["pd"]
        )

        assert "critical difference" in text and "over 2 datasets" in text
        assert "critical-difference.svg" in figures

    def test_metrics_are_explained_with_pictures(self, tmp_path):
        text, figures = executed("09_metrics", tmp_path)

        assert "cases.svg" in figures and "all conventions agree on J only" in text
