"""Figures for papers: what is boxed, by hand; files that open, with their fonts inside; and the command."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle
from PIL import Image

from irstd.apps import cli
from irstd.plots import paper, style


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two scenes of 60 × 80 px with two targets; a method that finds one, and draws a false region; and its points."""
    monkeypatch.chdir(tmp_path)
    rows = ["name,row,col,score"]
    for folder in ("images", "truth", "maps"):
        (tmp_path / folder).mkdir()
    for name in ("a", "b"):
        truth = np.zeros((60, 80), np.uint8)
        truth[10:13, 20:24] = truth[40:42, 60:62] = 255
        scores = np.zeros((60, 80), np.float32)
        scores[10:13, 20:24], scores[50:54, 5:8] = 0.9, 0.8
        Image.fromarray(truth // 2 + 40).save(tmp_path / f"images/{name}.png")
        Image.fromarray(truth).save(tmp_path / f"truth/{name}.png")
        np.save(tmp_path / f"maps/{name}.npy", scores)
        rows += [f"{name},11,21.5,0.9", f"{name},30,30,0.7"]
    (tmp_path / "points.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def drawn(monkeypatch):
    """The panels that the command hands over."""
    kept = {}
    for name in ("grid", "surfaces"):
        make = getattr(paper, name)
        monkeypatch.setattr(paper, name, lambda rows, make=make: kept.update(rows) or make(rows))
    return kept


def test_hits_misses_and_false_alarms_are_boxed(folders, monkeypatch):
    kept = drawn(monkeypatch)
    words = ["figure", "grid", "Net=maps", "Points=points.csv", "--truth", "truth", "--images", "images"]
    cli.main([*words, "--scenes", "b", "--out", "out/grid.png"])

    (image, net, points) = kept["b"]
    assert [one.title for one in (image, net, points)] == ["image", "Net", "Points"]
    assert image.boxes == [("target", (10, 20, 3, 4)), ("target", (40, 60, 2, 2))]
    assert net.boxes == [
        ("target found", (10, 20, 3, 4)), ("target missed", (40, 60, 2, 2)), ("false alarm", (50, 5, 4, 3)),
    ]  # fmt: skip
    assert points.boxes[2] == ("false alarm", (29.5, 29.5, 1, 1)) and not points.scores and net.scores
    assert image.zoom == (11.0, 21.5)
    with Image.open("out/grid.png") as written:
        assert written.width > 300


def test_a_box_surrounds_its_region_and_can_be_seen():
    box = paper._box((10.0, 20.0, 3.0, 4.0), 100, "red")

    assert isinstance(box, Rectangle)
    assert (box.get_x(), box.get_y(), box.get_width(), box.get_height()) == (16.5, 6.5, 10.0, 9.0)
    assert paper._box((10.0, 20.0, 1.0, 1.0), 1000, "red").get_width() == 50


def test_titles_stand_above_the_first_row_and_scenes_before_it():
    panel = paper.Panel("Net", np.zeros((20, 30)))
    figure = paper.grid({"a": [panel, panel], "b": [panel, panel]})

    assert [ax.get_title() for ax in figure.axes] == ["Net", "Net", "", ""]
    assert [ax.get_ylabel() for ax in figure.axes] == ["a", "", "b", ""]


def test_surfaces_keep_a_target_of_one_pixel():
    scores = np.zeros((500, 333))
    scores[123, 321] = 1

    coarse = paper._coarse(scores)

    assert coarse.max() == 1 and max(coarse.shape) <= paper.SURFACE_POINTS


def test_curves_begin_at_nothing_and_never_fall():
    table = pd.DataFrame({
        "threshold": [0.0, 0.5, 1.0], "false_positive_rate": [1.0, 1e-4, 0.0], "recall": [1.0, 0.8, 0.0],
        "fa_per_million": [1e6, 90.0, 0.0], "pd": [0.0, 0.9, 0.0],
    })  # fmt: skip
    figure = paper.curves({"Net": table})
    roc, pd_fa = (ax.lines[0].get_xydata() for ax in figure.axes)

    assert roc.tolist() == [[0, 0], [0, 0], [1e-4, 0.8], [1, 1]]
    assert pd_fa.tolist() == [[90, 0.9], [1e6, 0.9]]
    figure.canvas.draw()
    assert figure.axes[0].get_xlim() == (0, 1)
    assert style.unlabelled(figure) == []


@pytest.mark.parametrize("kind", ["grid", "surfaces", "curves"])
def test_files_have_their_fonts_inside_and_are_the_same_twice(folders, kind):
    words = ["figure", kind, "Net=maps", "--truth", "truth", "--images", "images", "--out"]
    for name in ("one.pdf", "two.pdf", "one.svg", "two.svg"):
        cli.main([*words, name])
        plt.close("all")

    assert (folders / "one.pdf").read_bytes() == (folders / "two.pdf").read_bytes()
    assert (folders / "one.svg").read_bytes() == (folders / "two.svg").read_bytes()
    assert b"/FontFile2" in (folders / "one.pdf").read_bytes() and b"/Type3" not in (folders / "one.pdf").read_bytes()
    assert not re.search(r"<text|font-family", (folders / "one.svg").read_text())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["grid", "maps", "--out", "a.pdf"], "'maps' is no NAME=FOLDER"),
        (["grid", "A=maps", "A=maps", "--out", "a.pdf"], "'A' is given twice"),
        (["grid", "A=maps", "--out", "a.jpg"], "--out a.jpg is of no known format; give .pdf, .svg, .png"),
        (["grid", "A=maps", "--scenes", "c", "--out", "a.pdf"], "there is no scene 'c' among these"),
        (["surfaces", "A=points.csv", "--out", "a.pdf"], "A gives points, which have no surface"),
        (["curves", "A=points.csv", "--out", "a.pdf"], "A gives points, which have no curve of pixels"),
        (["grid", "A=nowhere", "--out", "a.pdf"], "nowhere does not exist"),
    ],
)
def test_what_cannot_be_drawn_is_named(folders, words, said):
    with pytest.raises(SystemExit) as error:
        cli.main(["figure", *words, "--truth", "truth", "--images", "images"])

    assert said in str(error.value)
    assert not (folders / "a.pdf").exists()


def test_masks_without_pictures_are_asked_for_them(folders):
    with pytest.raises(SystemExit, match="--images is missing"):
        cli.main(["figure", "grid", "A=maps", "--truth", "truth", "--out", "a.pdf"])
