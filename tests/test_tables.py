"""Tables and answers of the home page, efficiency, failures, datasets and revisions, by hand-made rows."""

import json

import pandas as pd
import pytest

from irstd import tables
from irstd.analysis import failures, revisions
from irstd.inference import tiles
from irstd.results import reading
from irstd.tables import efficiency, home, targets
from irstd.tables import failures as failure_tables
from irstd.tables import revisions as revision_tables
from tests.conftest import ROOT

CELL = {
    "dataset": "d", "method": "m", "seed": 0, "split": "1-1", "iou": 0.6, "niou": 0.5, "pd": 0.9, "fa_per_million": 12.3,
    "point_f1_5px": 0.8, "interval": {"iou": [0.5, 0.7], "point_f1_5px": None}, "budget": "quick", "full_epochs": 100,
    "recipe": {"epochs": 5, "size": 64, "batch": 8}, "wall_s": 60.0, "scenes": {"train": 120}, "hardware": "X",
}  # fmt: skip
PAPERS = {"m": "M"}  # of rows
TITLES = {"m": "M (variant)", "n": "N"}


def stated(**more):
    return {
        "method": "M",
        "dataset": "d",
        "split": "",
        "metric": "iou",
        "value": 70.0,
        "scored": "512",
        "source": "s",
    } | more


class TestHome:
    def test_the_published_figure_beside_ours_is_of_the_same_split_if_there_is_one(self):
        published = pd.DataFrame(
            [stated(), stated(split="1-1", value=65.0), stated(split="1-1", scored="native size", value=64.0)]
        )
        compared = home.beside(pd.DataFrame([CELL]), published, PAPERS).set_index("score")

        assert compared.loc["iou", ["ours", "low", "high", "published", "split"]].tolist() == [
            0.6,
            0.5,
            0.7,
            64.0,
            "1-1",
        ]
        assert pd.isna(compared.loc["point_f1_5px", "published"]) and pd.isna(compared.loc["point_f1_5px", "low"])

    def test_the_headline_says_where_the_split_is_another(self):
        cells = pd.DataFrame([CELL])
        for split, text in (("", "*70.00* (split not stated)"), ("9-9", "*70.00* (split 9-9)"), ("1-1", "*70.00*")):
            compared = home.beside(cells, pd.DataFrame([stated(split=split)]), PAPERS)
            row = home.headline(cells, compared, TITLES).iloc[0]

            assert row["published IoU %"] == text and row["IoU % [95 %]"] == "60.00 [50.0, 70.0]"
        assert row["published point F1 %"] == "–"
        assert list(home.sources(compared, TITLES)["ours - published, points"]) == ["-10.00"]

    def test_the_answer_counts_what_reaches_its_published_figure(self):
        cells = pd.DataFrame([CELL])
        below = home.beside(cells, pd.DataFrame([stated()]), PAPERS)
        above = home.beside(cells, pd.DataFrame([stated(value=60.0)]), PAPERS)

        assert "Of 1 scores with a published figure beside them 0 reach it." in home.answer(cells, below, TITLES)
        assert "beside them 1 reach it." in home.answer(cells, above, TITLES)

    def test_the_answer_names_the_best_of_each_dataset(self):
        more = CELL | {"method": "other", "iou": CELL["iou"] - 0.1, "point_f1_5px": 0.9}
        more |= {"interval": CELL["interval"] | {"point_f1_5px": [0.8, 0.95]}}
        cells = pd.DataFrame([CELL, more])

        said = home.answer(cells, home.beside(cells, pd.DataFrame([stated()]), PAPERS), TITLES).splitlines()[0]
        assert said == (
            f"- **{CELL['dataset']}**: {TITLES[CELL['method']]} with IoU 60.00 [50.0, 70.0] % (which the interval of other reaches), "
            "and as finder of points other with F1 within 5 px 90.00 [80.0, 95.0] %."
        )

    def test_every_report_is_linked_once(self):
        text = home.links({"start": "S?", "d": "Q?", "d-failures": "F?", "d-e": "Q?"}, ["d", "d-e"])

        assert text.splitlines() == [
            "- **d**: [comparison](d.md) · [failures](d-failures.md)", "- **d-e**: [comparison](d-e.md)", "- [start](start.md): S?",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"budget": "night", "pixels": 1_603_174_400.0}, "night, 72/400 epochs, 1.6 Gpx"),
        ({"budget": "night", "pixels": None}, "night, 72/400 epochs"),
        ({"budget": "full", "pixels": 17.4e9}, "full, 72 epochs, 17 Gpx"),
        ({"budget": "cpu", "full_epochs": 0}, "nothing to train"),
    ],
)
def test_pixels_seen_stand_beside_epochs(changes, said):
    cell = pd.Series({"recipe": {"epochs": 72}, "full_epochs": 400, "budget": "night"} | changes)

    assert tables.budget(cell) == said


def test_the_readmes_headline_is_that_of_the_reports():
    section = (ROOT / "README.md").read_text().split("\n## Results so far\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    shown = pd.DataFrame(rows[2:], columns=rows[0])
    made = pd.read_csv(ROOT / "reports/tables/index/headline.csv", dtype=str, keep_default_na=False)
    main = made[~made["method"].str.contains("(", regex=False)]  # variants are told by what they vary

    assert len(shown) and set(made.columns) > set(shown.columns)
    pd.testing.assert_frame_equal(shown, main[list(shown.columns)].reset_index(drop=True))


class TestEfficiency:
    COST = pd.DataFrame(
        {
            "method": ["m", "m", "m"], "hardware": "X", "form": ["torch", "onnxruntime", "torch"], "batch": [1, 1, 8],
            "latency_ms": [50.0, 20.0, 80.0], "fps": [20.0, 50.0, 100.0], "size_px": 256, "parameters": 1000, "gmac": 1.0,
        }
    )  # fmt: skip

    def test_the_quickest_way_for_one_image_counts(self):
        quick = efficiency.fastest(self.COST)

        assert quick[["form", "ms"]].to_numpy().tolist() == [["onnxruntime", 20.0]]

    def test_a_row_without_a_measured_time_stays(self):
        cards = {"m": {"parameters": 2_000_000, "gmac_256": 1.5}, "n": {"parameters": 1, "gmac_256": 0.5}}
        cells = pd.DataFrame([CELL, CELL | {"method": "n", "point_f1_5px": 0.9}])
        both = efficiency.against(cells, cards, efficiency.fastest(self.COST))
        shown = efficiency.pareto(both, TITLES)

        assert list(shown["method"]) == ["N", "M (variant)"] and list(shown["ms / image"]) == ["–", "20.0"]
        assert "On d the method of the fewest multiply-adds also has the highest F1 of points." in efficiency.answer(
            both, self.COST, TITLES
        )

    def test_multiply_adds_of_tiles_count_their_overlap(self):
        """Of 256 px: 4×4 tiles of 96 px."""
        cards = {"m": {"parameters": 1, "gmac_256": 2.0}}
        rows = [CELL, CELL | {"recipe": CELL["recipe"] | {"geometry": "tiles", "size": 96}}]
        both = efficiency.against(pd.DataFrame(rows), cards, efficiency.fastest(self.COST))

        assert both["gmac"].tolist() == [
            2.0,
            2.0 * len(tiles.windows(256, 96, tiles.margin(96, 8))) ** 2 * 96**2 / 256**2,
        ]

    def test_training_speed_is_images_over_time(self):
        row = efficiency.training(pd.DataFrame([CELL, CELL | {"wall_s": None}]), TITLES)

        assert list(row["images / s"]) == ["10.0"] and list(row["minutes"]) == ["1.0"]


class TestFailures:
    def test_what_one_alone_misses_and_finds(self):
        index = pd.MultiIndex.from_tuples([("s", n) for n in range(4)], names=["name", "target"])
        wide = pd.DataFrame({"m": [0.0, 0, 1, 1], "n": [0.0, 1, 0, 1]}, index=index)
        per_image = pd.DataFrame({"method": ["m", "n"], "name": "s", "seed": 0, "false_regions": [2, 0]})
        counts = failure_tables.counts(wide, per_image, TITLES).set_index("method")

        assert counts.loc["N"].tolist() == ["2 of 4", 1, 1, "0 of 1", "0"]
        about = pd.DataFrame(
            {"name": "s", "target": range(4), "area_px": [3, 9, 9, 9], "scr": [1.0, 5, 5, 5], "border_px": 0}
        )
        text = failure_tables.answer(wide, about, failures.concentration(per_image.assign(false_pixels=[4, 0])), TITLES)
        assert "Of 4 targets, 1 are found by all 2 methods and 1 by none." in text
        assert "area 3 (the others' median is 9)" in text and "100 % (M (variant))" in text

    def test_one_method_alone_has_nobody_beside_it(self):
        index = pd.MultiIndex.from_tuples([("s", 0)], names=["name", "target"])
        per_image = pd.DataFrame({"method": ["m"], "name": "s", "seed": 0, "false_regions": [0]})

        assert failure_tables.counts(pd.DataFrame({"m": [1.0]}, index=index), per_image, {}).iloc[0, 2] == "–"


def test_ranges_count_what_is_extreme():
    table = pd.DataFrame(
        {"area_px": [100, 9, 9], "scr": [-1.0, 4, 4], "border_px": [0, 3, 3], "contrast": [-2.0, 3, 3]}
    )
    table = table.assign(name="s")
    row = targets.ranges({"d": table}, {"d": pd.DataFrame({"name": ["s"], "height": [200], "width": [300]})}).iloc[0]

    for kind in ("over 0.15 % of the image", "|SCR| under 2", "darker than around", "at the border"):
        assert row[kind] == "1 (33.3 %)"


def test_the_best_of_each_dataset_is_bold_and_a_file_has_all(tmp_path):
    table = pd.DataFrame(
        {"dataset": ["a", "a", "a", "b"], "IoU %": ["9.50", "10.25 [9.0, 11.0]", "–", "1.00"],
         "Fa ×1e-6": ["3.0", "3.0", "5.0", "9.0"], "published IoU %": ["1", "2", "3", "4"]}
    )  # fmt: skip

    marked = tables.best_marked(table)

    assert list(marked["IoU %"]) == ["9.50", "**10.25 [9.0, 11.0]**", "–", "1.00"]
    assert list(marked["Fa ×1e-6"]) == ["**3.0**", "**3.0**", "5.0", "9.0"]
    assert list(marked["published IoU %"]) == list(table["published IoU %"])
    shown = tables.save(table[:3], tmp_path, "t", best=True)
    assert "| dataset" not in shown and "**10.25" in shown
    assert (tmp_path / "t.csv").read_text().splitlines()[:2] == [
        "dataset,IoU %,Fa ×1e-6,published IoU %",
        "a,9.50,3.0,1",
    ]


def test_rows_that_are_alike_but_for_a_name_are_one():
    table = pd.DataFrame({"convention": ["x", "y", "z"], "a": ["1", "2", "1"], "b": ["–", "–", "–"]})

    assert tables.alike(table, "convention").to_numpy().tolist() == [["x, z", "1", "–"], ["y", "2", "–"]]


def test_bars_in_a_table_do_not_end_its_cells(tmp_path):
    text = tables.save(pd.DataFrame({"|x|": ["a|b"]}), tmp_path, "t")

    assert "\\|x\\|" in text and "a\\|b" in text and text.endswith("[t.csv]" + f"({tmp_path.as_posix()}/t.csv)")
    assert (tmp_path / "t.csv").read_text() == "|x|\na|b\n"


class TestRevisions:
    def test_cells_are_added_removed_changed_or_the_same(self, tmp_path):
        for when, methods in (
            ("before", {"same": 0.5, "moved": 0.5, "gone": 0.1}),
            ("after", {"same": 0.5, "moved": 0.6, "new": 0.2}),
        ):
            for method, iou in methods.items():
                folder = tmp_path / when / "d" / method / "0"
                folder.mkdir(parents=True)
                (folder / "provenance.json").write_text("{}")
                (folder / "metrics.json").write_text(json.dumps({"iou": iou, "pd": None}))
        table = revisions.compared(tmp_path / "before", tmp_path / "after")

        assert dict(zip(table["method"], table["change"], strict=True)) == {
            "same": "same", "moved": "changed", "gone": "removed", "new": "added",
        }  # fmt: skip
        assert revisions.changed(table) == [("d", "moved", 0)]
        shown = revision_tables.cells(table, {}).set_index("method")
        assert shown.loc["moved", "IoU %"] == "50.00 → 60.00" and shown.loc["new", "IoU %"] == "– → 20.00"

    def test_nothing_before_is_all_added(self, tmp_path):
        (tmp_path / "d/m/0").mkdir(parents=True)
        (tmp_path / "d/m/0/provenance.json").write_text("{}")
        (tmp_path / "d/m/0/metrics.json").write_text('{"iou": 0.5}')

        assert list(revisions.compared(tmp_path / "none", tmp_path)["change"]) == ["added"]


@pytest.mark.parametrize(
    ("method", "title", "shown"), [("m", "M", "M"), ("m", "M (m-small)", "M (small)"), ("m", "M (x)", "M (x)")]
)
def test_variants_are_told_by_what_is_varied(tmp_path, method, title, shown):
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods/row.json").write_text(json.dumps({"method": method, "title": title}))

    assert reading.titles(tmp_path) == {"row": shown}


def test_a_training_of_a_moment_has_no_rate():
    made = {"recipe": {"epochs": 2, "size": 32, "batch": 4}, "scenes": {"train": 16}, "full_epochs": 2}
    told = {"dataset": "synthetic", "method": "m", "seed": 0, "hardware": "a CPU"}
    table = efficiency.training(pd.DataFrame([made | told | {"wall_s": 4.0}, made | told | {"wall_s": 0.0}]), {})

    assert table["images / s"].tolist() == ["8.0", tables.NONE]
