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
        assert style.colours([])["pstnn"] == "0.75"


class TestTables:
    def test_ranks_stand_in_brackets_and_what_is_not_there_is_a_dash(self, scored):
        across = score_tables.across(scored, "iou", TITLES).set_index("convention")

        assert across.loc["irstd"].tolist() == ["50.00 (2)", "60.00 (1)"]
        assert across.loc["dnanet"].tolist() == ["50.00 (1)", "–"]

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

    def test_a_lead_is_claimed_by_the_corrected_p_only(self):
        table = pd.DataFrame(
            [("a", "b", 0.1, 0.02, 0.2, 0.03, 0.06), ("a", "c", 0.2, 0.1, 0.3, 0.001, 0.003)],
            columns=["one", "other", "difference", "low", "high", "p", "p_holm"],
        )

        leads = score_tables.leads({"pd": table}, TITLES)
        assert leads["lead"].tolist() == ["within the noise", "yes"]
        assert leads["difference [95 %]"].tolist() == ["+10.00 [+2.00, +20.00]", "+20.00 [+10.00, +30.00]"]
        assert score_tables.lead_answer({"pd": table}, TITLES) == (
            "Pd %: Method A is first, ahead of c by more than chance; its lead over b is within the noise."
        )

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
        assert "not told apart" in score_tables.ranking_answer({"pd": one}, TITLES) or one.difference < 2

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

        assert "rc-irstd-centroid" in text and "within the noise" in text and "published" in text
        assert {"by-convention.svg", "ranks.svg", "curves.svg", "breakdown.svg"} <= figures

    def test_ranks_over_some_datasets(self, tmp_path):
        text, figures = executed("08_ranking", tmp_path, datasets=["synthetic", "nuaa-sirst"], scores=["pd"])

        assert "critical difference" in text and "over 2 datasets" in text
        assert "critical-difference.svg" in figures

    def test_metrics_are_explained_with_pictures(self, tmp_path):
        text, figures = executed("09_metrics", tmp_path)

        assert "cases.svg" in figures and "all conventions agree on J only" in text
