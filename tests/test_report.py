"""Figures by their artists, tables by their text, notebooks by running them."""

import json
import os
import re
import shutil

import matplotlib as mpl
import nbformat
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from irstd import tables
from irstd.errors import InputError
from irstd.metrics.conventions import ours
from irstd.metrics.levels import encode
from irstd.plots import comparison, curves, datasets, points, scenes, style
from irstd.reports import notebooks, page
from irstd.results import literature, reading, store
from irstd.scoring import evaluation
from irstd.tables import studies as study_tables
from tests.conftest import RECORDED, ROOT

TITLES = {"ours": "Ours"}


@pytest.fixture
def cells():
    base = {
        "dataset": "toy", "budget": "quick", "recipe": {"epochs": 5}, "full_epochs": 100, "selection": "validation", "split": "2-2",
        "scenes": {"train": 6, "validation": 2, "test": 3}, "best_epoch": 4, "hardware": None, "wall_s": None, "commit": None,
        "versions": {"torch": "2"}, "data_sha256": "ab" * 32, "convention": "irstd: x", "images": 3, "targets": 4,
        "point_f1_3px": 0.7, "point_f1_5px": 0.8, "point_precision_5px": 0.9, "point_recall_5px": 0.7, "point_error_px": 0.61, "point_f1_5px_greedy": 0.79,
        "interval": {"point_f1_3px": [0.6, 0.78], "point_f1_5px": [0.7, 0.88]}, "threshold": 0.5, "supervision": "mask",
        "iou": 0.5, "niou": 0.4, "pd": 0.75, "fa_per_million": 12.345, "pixel_f1": 0.6, "f1": 0.8, "distance_px": 0.5,
    }  # fmt: skip
    return pd.DataFrame(
        [
            base | {"method": "ours", "seed": 0},
            base
            | {
                "method": "points",
                "seed": 0,
                "iou": None,
                "niou": None,
                "fa_per_million": None,
                "pixel_f1": None,
                "selection": "test",
            },
        ]
    )


class TestPlots:
    def test_bars_are_as_high_as_the_scores(self, ax, cells):
        comparison.score_bars(cells, ax, order=["first", "ours", "points"], titles=TITLES)
        heights = [[round(b.get_height(), 6) for b in bars] for bars in ax.containers]

        assert heights[0][:4] == [50, 40, 75, 80]
        assert [h for h in heights[1] if h == h][-2:] == [75, 80]
        assert ax.get_ylabel() == "value, %" and ax.get_xlabel()
        assert [t.get_text() for t in ax.get_legend().get_texts()] == ["Ours", "points"]

    def test_a_method_keeps_its_colour_when_the_list_grows(self):
        assert style.colours(["a", "b"])["b"] == style.colours(["a", "b", "c"])["b"]

    def test_a_curve_goes_through_its_points(self, ax):
        table = pd.DataFrame(
            {"method": "ours", "seed": 0, "epoch": [1, 2, 3], "loss": [0.9, 0.5, 0.4], "score": [None, 0.1, None]}
        )
        curves.history(table, ax, column="score", order=["ours"], titles=TITLES)

        np.testing.assert_array_equal([[2, 0.1]], ax.lines[0].get_xydata())
        assert ax.get_xlabel() and ax.get_ylabel()

    def test_precision_over_recall_has_its_dot_at_one_half(self, ax):
        table = pd.DataFrame(
            {
                "method": "ours",
                "seed": 0,
                "threshold": [0.0, 0.5, 0.9],
                "recall": [1, 0.8, 0.1],
                "precision": [0.1, 0.7, 1.0],
            }
        )
        curves.precision_recall(table, ax, order=["ours"], titles=TITLES)

        np.testing.assert_array_equal([[0.8, 0.7]], ax.lines[1].get_xydata())

    def test_a_histogram_counts_every_positive_target_and_tells_of_others(self, ax):
        datasets.target_histogram(pd.DataFrame({"scr": [1.0, 2.0, 4.0, -1.0]}), ax, column="scr")

        assert sum(p.get_height() for p in ax.patches) == 3
        assert ax.get_title() == "median 2; 1 not above 0"

    def test_an_overlay_shows_the_scene_at_native_resolution(self, ax, rng):
        layers = rng.integers(0, 256, (3, 20, 30), np.uint8)
        scenes.overlay(layers, ax, title="x")

        assert ax.images[0].get_array().shape == (20, 30)

    def test_f1_stands_with_its_interval_at_both_distances(self, ax, cells):
        points.f1_intervals(cells, ax, order=["ours", "points"], titles=TITLES)
        centres = [line.get_xdata()[0] for line in ax.lines if line.get_marker() in "os"]
        reach = sorted({tuple(round(float(x), 6) for x, _ in bar.get_segments()[0]) for bar in ax.collections})

        assert centres == pytest.approx([70, 80, 70, 80])
        assert reach == [(60, 78), (70, 88)]
        assert [t.get_text() for t in ax.get_yticklabels()] == ["Ours", "points"]
        assert "95 % interval" in ax.get_xlabel() and ax.get_ylabel() == "method"

    def test_the_curve_of_label_noise_goes_through_the_means_of_the_seeds(self, ax, cells):
        noisy = cells.assign(recipe=[{"epochs": 5, "jitter": j} for j in (0.0, 0.0)], point_f1_5px=[0.8, 0.6])
        points.label_noise(study_tables.label_noise(noisy), ax, others=[("masks", 0.9, "--", "C1")])
        (line,) = [line for line in ax.lines if line.get_label() == "clicks, within 5 px"]
        (level,) = [line for line in ax.lines if line.get_label() == "masks, within 5 px"]

        assert line.get_ydata()[0] == pytest.approx(70) and level.get_ydata()[0] == pytest.approx(90)
        assert "halves of the target's box" in ax.get_xlabel() and ax.get_ylabel() == "F1 of points, %"

    def test_without_a_score_map_there_is_a_sentence_and_no_curve(self, ax):
        curves.precision_recall(pd.DataFrame({"method": [], "seed": []}), ax, order=["points"], titles=TITLES)

        assert [t.get_text() for t in ax.texts] == ["no method here gives a score map"] and not ax.lines

    def test_crops_stand_in_the_row_of_their_kind(self, rng):
        figure = plt.figure()
        crops = list(rng.integers(0, 256, (3, 2, 9, 9), np.uint8))
        captions = [
            {"kind": k, "name": n, "row": 1, "col": 1, "rank": 2.0}
            for k, n in (("hit", "a"), ("miss", "b"), ("miss", "c"))
        ]
        scenes.crop_rows(figure, crops, captions, most=5)

        assert [a.get_title() for a in figure.axes if a.images] == ["a\n2.0 px off", "b\n2 px large", "c\n2 px large"]
        assert [a.get_ylabel() for a in figure.axes if a.get_ylabel()] == ["hit", "miss", "false alarm"]
        assert [t.get_text() for a in figure.axes for t in a.texts] == ["no false alarm"]
        plt.close(figure)

    def test_a_figure_saved_twice_is_the_same_bytes(self, tmp_path, cells, monkeypatch):
        monkeypatch.setattr(style, "show", lambda *_: plt.close("all"))
        style.theme()
        for name in ("one", "two"):
            figure, ax = plt.subplots()
            comparison.score_bars(cells, ax, order=["ours", "points"], titles=TITLES)
            style.save(figure, tmp_path / name, "x")
        mpl.rcdefaults()

        assert (tmp_path / "one/x.svg").read_bytes() == (tmp_path / "two/x.svg").read_bytes()
        assert not list(tmp_path.rglob("*.png"))


class TestTables:
    def test_what_a_method_does_not_have_is_empty_not_zero(self, cells):
        row = tables.scores(cells, TITLES).iloc[1]

        assert list(row[["IoU %", "nIoU %", "Fa ×1e-6", "Pd %", "target F1 %"]]) == ["–", "–", "–", "75.00", "80.00"]

    def test_budget_and_selection_stand_beside_every_score(self, cells):
        table = tables.scores(cells, TITLES)

        assert list(table["budget"]) == ["quick, 5/100 epochs"] * 2
        assert list(table["epoch chosen on"]) == ["validation scenes", "the TEST split (papers' habit; optimistic)"]

    def test_the_answer_says_that_a_budget_was_reduced(self, cells):
        text = tables.answer(cells, TITLES)

        assert "Ours finds 3 targets (Pd 75.0%) at 12.3 false pixels per million, with IoU 50.0 %" in text
        assert "2 of 2 runs had a reduced budget (quick)" in text and "One seed only" in text

    def test_points_have_intervals_beside_them(self, cells):
        row = tables.points(cells, TITLES).iloc[0]

        assert list(row[["F1 % at 3 px", "F1 % at 5 px", "error px", "score above"]]) == [
            "70.00 [60.0, 78.0]", "80.00 [70.0, 88.0]", "0.61", "0.5",
        ]  # fmt: skip

    def test_labels_say_what_each_run_was_told(self, cells):
        told = cells.assign(
            recipe=[{"epochs": 5, "crops": 1, "size": 96, "jitter": j} for j in (0.0, 0.5)],
            supervision=["mask", "point"],
            clicks_sha256=[float("nan"), None],
        )
        table = study_tables.labels(told, TITLES)

        assert set(table["labels"]) == {"masks", "clicks off by 0.5 half boxes"}
        assert set(table["crops seen"]) == {"30 of 96² px"}
        of_file = study_tables.labels(told.assign(clicks_sha256="ab"), TITLES)
        assert set(of_file["labels"]) == {"masks", "clicks of a file"}
        text = study_tables.label_answer(told, TITLES, ["points"], ["ours"])
        assert "points 80.00 [70.0, 88.0] %; Ours 80.00 [70.0, 88.0] %" in text and "One seed only" in text

    def test_published_figures_keep_their_source_and_are_never_ours(self):
        table = tables.published(literature.published("nudt-sirst"))
        ours = table[table["method"] == "Point regression"].iloc[0]

        assert ours["point F1 %"] == "97.44" and ours["split"] == "not stated"
        assert "0210002" in ours["source"]
        assert table["source"].str.len().min() > 5

    def test_a_table_with_other_columns_is_refused(self, tmp_path):
        with pytest.raises(ValueError) as error:
            store.write(pd.DataFrame({"quirk": ["a"], "cuont": [1], "handling": ["b"]}), tmp_path / "q.csv", "quirks")

        assert (
            str(error.value)
            == "a quirks table lacks ['count'] and has unknown ['cuont']; irstd/results/schemas.py says what it holds"
        )

    def test_names_of_scenes_that_look_like_numbers_survive(self, tmp_path):
        row = dict.fromkeys(store.SCHEMAS["per_target"], 1) | {"name": "000007"}
        store.write(pd.DataFrame([row]), tmp_path / "t.csv", "per_target")

        assert store.read(tmp_path / "t.csv", "per_target")["name"][0] == "000007"


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The comparison notebook on the committed results, twice."""
    root = ROOT
    out = tmp_path_factory.mktemp("report")
    made = []
    for name in ("one", "two"):
        given = {
            "results": str(RECORDED), "datasets": ["synthetic"], "methods": ["ggl_net", "point_regression"],
            "figures": str(out / "figures"), "tables": str(out / "tables"),
        }  # fmt: skip
        made.append(notebooks.execute(root / "notebooks/01_comparison.ipynb", out / f"{name}.ipynb", **given))
    return out, made


def written(path, code):
    """A notebook of one parameter x and one cell of code."""
    first = nbformat.v4.new_code_cell("x = 1", metadata={"tags": ["parameters"]})
    book = nbformat.v4.new_notebook(cells=[first, nbformat.v4.new_code_cell(code)])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, path)


class TestNotebook:
    def test_it_runs_on_the_committed_tables_alone_to_the_same_bytes(self, executed):
        _, (one, two) = executed

        assert notebooks.markdown(one) == notebooks.markdown(two)

    def test_its_figures_and_tables_are_files(self, executed):
        out, (one, _) = executed
        text = notebooks.markdown(one, f"{out}/")

        assert {"scores.csv", "provenance.csv", "datasets.csv", "cost.csv"} <= {
            p.name for p in (out / "tables").iterdir()
        }
        for shown in ("scores", "points", "training", "precision-recall", "targets"):
            name = f"{shown}-synthetic"
            assert (out / f"figures/{name}.svg").stat().st_size < 200_000
            assert re.search(rf"!\[{name.replace('-', ' ')}; [^\]]+\]\(figures/{name}\.svg\)", text)
        assert "[scores.csv](tables/scores.csv)" in text

    def test_the_page_needs_no_network_to_show_its_pictures(self, executed):
        out, (one, _) = executed
        made = page.html(notebooks.markdown(one, f"{out}/"), "x", folder=out)

        assert 'src="http' not in made and made.count('src="data:image/svg+xml;base64') == 5
        assert "The answer" in made and "style.theme()" not in made

    def test_a_page_begins_with_its_answer(self, executed):
        _, (one, _) = executed
        headings = [line for line in notebooks.markdown(one).splitlines() if line.startswith("## ")]

        assert headings[:2] == ["## The answer", "## Scores"] and headings.count("## The answer") == 1

    @pytest.mark.parametrize(
        ("text", "made"),
        [
            ("# Q\n\nOn it.\n\n## A\n\n1\n\n## The answer\n\nYes.\n", "# Q\n\nOn it.\n\n## The answer\n\nYes.\n\n## A\n\n1\n"),
            ("# Q\n\n## The answer\n\nYes.\n", "# Q\n\n## The answer\n\nYes.\n"),
            ("# Q\n\n## A\n\n1\n", "# Q\n\n## A\n\n1\n"),
        ],
    )  # fmt: skip
    def test_the_answer_goes_before_the_first_section(self, text, made):
        assert notebooks.answer_first(text) == made

    def test_an_unknown_parameter_is_refused(self, tmp_path, root):
        with pytest.raises(InputError) as error:
            notebooks.execute(root / "notebooks/01_comparison.ipynb", tmp_path / "x.ipynb", dataset=["synthetic"])

        assert str(error.value) == "01_comparison.ipynb has no parameter 'dataset'; did you mean 'datasets'?"

    def test_a_cell_that_fails_leaves_its_traceback(self, tmp_path):
        written(tmp_path / "bad.ipynb", "1 / 0")

        with pytest.raises(Exception, match="ZeroDivisionError"):
            notebooks.execute(tmp_path / "bad.ipynb", tmp_path / "out.ipynb", x=2)
        assert "ZeroDivisionError" in json.dumps(json.loads((tmp_path / "out.ipynb").read_text()))

    @pytest.mark.skipif(os.name != "posix", reason="there the kernel is reached through TCP ports")
    def test_kernels_beside_each_other_cannot_want_the_same_port(self, tmp_path):
        ask = "from ipykernel.connect import get_connection_info as told; x, told(unpack=True)['transport']"
        written(tmp_path / "book.ipynb", ask)

        made = notebooks.execute(tmp_path / "book.ipynb", tmp_path / "out.ipynb", x=2)
        assert made.cells[-1].outputs[0].data["text/plain"] == "(2, 'ipc')"

    def test_without_results_it_says_what_to_do(self, tmp_path, root):
        folder = tmp_path / "results"
        shutil.copytree(RECORDED, folder)
        for path in folder.glob("*/*/*/metrics.json"):
            path.unlink()

        with pytest.raises(InputError) as error:
            reading.cells(folder, ["synthetic"])

        assert "there are no results for synthetic yet; run `dvc repro`" == str(error.value)


def test_the_notebook_of_labels_runs_on_the_committed_tables(tmp_path):
    made = notebooks.execute(
        ROOT / "notebooks/02_labels.ipynb", tmp_path / "out.ipynb", results=str(RECORDED),
        datasets=["synthetic"], clicks=["point_regression"], masks=["ggl_net"],
        figures=str(tmp_path / "figures"), tables=str(tmp_path / "tables"),
    )  # fmt: skip
    text = notebooks.markdown(made)

    assert "clicks at centres" in text and "masks" in text and "One seed only" in text
    assert {"label-noise-synthetic.svg", "label-noise-training-synthetic.svg"} <= {
        p.name for p in (tmp_path / "figures").iterdir()
    }


def executed_on_the_committed(name, tmp_path, **given):
    places = {kind: str(tmp_path / kind) for kind in ("figures", "tables")}
    return notebooks.execute(
        ROOT / f"notebooks/{name}.ipynb",
        tmp_path / "out.ipynb",
        results=str(RECORDED),
        **places,
        **given,
    )


def files(folder):
    return {p.name for p in folder.iterdir()}


def test_the_notebook_of_losses_compares_trainings_with_intervals(tmp_path):
    text = notebooks.markdown(
        executed_on_the_committed("03_loss_gradients", tmp_path, datasets=["irstd-1k"], true_px=80.0)
    )

    assert "`variance`" in text and "leads away" in text and "by seed" in text
    assert {"gradients.svg", "led-away.svg", "areas-irstd-1k.svg", "losses-training-irstd-1k.svg"} <= files(
        tmp_path / "figures"
    )
    assert {"monotonicity.csv", "differences.csv", "scores.csv"} <= files(tmp_path / "tables")


def test_the_notebook_of_oriented_kernels_runs_for_other_layers(tmp_path):
    text = notebooks.markdown(
        executed_on_the_committed(
            "04_pinwheel_orientation", tmp_path, dataset="synthetic", shown=["encoder.2.0.spatial.blur"]
        )
    )

    assert "16 layers" in text
    assert {
        "kernels.svg",
        "over-epochs.svg",
        "choices.svg",
        "orientation-map.svg",
        "turning-target.svg",
        "equivariance.svg",
    } <= files(tmp_path / "figures")


def test_the_notebook_of_detectors_says_what_the_swap_changes(tmp_path):
    text = notebooks.markdown(
        executed_on_the_committed("05_detectors", tmp_path, methods=["yolov8n", "yolov8n-gaussian"])
    )

    assert "the swap changes" in text and "AP50" in text
    assert "detection.csv" in files(tmp_path / "tables")


def test_the_page_of_pictures_says_when_there_are_none_and_shows_what_there_is(tmp_path, prepared):
    book = ROOT / "notebooks/06_pictures.ipynb"
    none = notebooks.execute(book, tmp_path / "a.ipynb", galleries=str(tmp_path / "none"))
    assert "No pictures here" in notebooks.markdown(none)

    scores = {prepared.names[n]: encode(prepared.mask(n).astype(float)) for n in (8, 9)}
    found = evaluation.evaluate(prepared, [8, 9], scores, {}, ours(), 2)
    place = tmp_path / "gallery/mine/ggl_net/0"
    place.mkdir(parents=True)
    np.savez_compressed(place / "gallery.npz", **found.gallery)
    shown = notebooks.execute(book, tmp_path / "b.ipynb", galleries=str(tmp_path / "gallery"), datasets=["mine"])

    made = page.html(notebooks.markdown(shown), "x")
    assert made.count('src="data:image/png;base64') == 2
    assert all("png" not in words and "ggl_net" in words for words in re.findall(r'alt="([^"]*)"', made))
