"""Figures of failures, efficiency, datasets, the home page and revisions, by their artists."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from irstd.analysis import failures as analysis
from irstd.plots import datasets, efficiency, failures, headline, revisions, scenes, style

TITLES = {"a": "A", "b": "B"}


class TestLabels:
    def test_an_axis_must_say_what_it_shows_and_in_which_unit(self, ax):
        ax.plot([0, 100], [0, 1])
        ax.set_xlabel("length")
        ax.figure.canvas.draw()

        assert style.unlabelled(ax.figure) == ["the x axis 'length' has no unit", "the y axis of '' has no label"]
        ax.set(xlabel="length, px", ylabel="share, 0 to 1")
        assert style.unlabelled(ax.figure) == []

    def test_names_need_no_unit_and_pictures_no_label(self, ax):
        ax.imshow(np.zeros((3, 3)))
        ax.set(xticks=[], yticks=[0, 1], yticklabels=["one", "two"], ylabel="method")
        ax.figure.canvas.draw()

        assert style.unlabelled(ax.figure) == []

    def test_a_reader_who_cannot_see_it_is_told_axes_panels_and_series(self, ax):
        ax.plot([0, 1], [0, 1], label="GGL-Net")
        ax.plot([0, 1], [1, 0], label="_none")
        ax.set(xlabel="Fa [px]", ylabel="Pd, %", title="nuaa-sirst\n10 found")
        ax.legend()

        assert (
            style.described(ax.figure, "pd-over-fa") == "pd over fa; Pd, % over Fa (px); nuaa-sirst 10 found; GGL-Net"
        )

    def test_such_a_figure_is_not_saved(self, ax, tmp_path):
        ax.plot([0, 100], [0, 1])
        with pytest.raises(ValueError, match="f: the x axis of '' has no label"):
            style.save(ax.figure, tmp_path, "f")

    @pytest.mark.parametrize(("limits", "ticks"), [((2, 18), ["2", "5", "10"]), ((1, 90), ["1", "3", "10", "30"])])
    def test_a_logarithmic_axis_has_a_few_plain_numbers(self, ax, limits, ticks):
        ax.plot(limits, [0, 1])
        ax.set(xscale="log", xlim=limits)
        style.plain_log(ax.xaxis)
        ax.figure.canvas.draw()
        low, high = limits
        shown = [t.get_text() for t in ax.get_xticklabels() if low <= t.get_position()[0] <= high]

        assert shown == ticks


WIDE = pd.DataFrame(
    {"a": [0.0, 0.0, 1.0, 1.0], "b": [0.0, 1.0, 0.0, 1.0]},
    index=pd.MultiIndex.from_tuples([("s", n) for n in range(4)], names=["name", "target"]),
)


class TestFailures:
    def test_targets_come_hardest_first_and_seeds_are_averaged(self):
        rows = [("s", 0, "a", 0, 1), ("s", 0, "a", 1, 0), ("s", 1, "a", 0, 0), ("s", 1, "a", 1, 0), ("r", 0, "a", 0, 1)]
        table = pd.DataFrame(rows, columns=["name", "target", "method", "seed", "detected"])
        wide = analysis.found(table, ["b", "a"])

        assert list(wide.index) == [("s", 1), ("s", 0), ("r", 0)] and list(wide["a"]) == [0, 0.5, 1]
        assert list(wide) == ["a"]

    def test_common_misses_are_a_share_of_all_that_either_misses(self):
        shared = analysis.shared(WIDE)

        assert shared.loc["a", "b"] == shared.loc["b", "a"] == pytest.approx(1 / 3)
        assert shared.loc["a", "a"] == 1
        assert np.isnan(analysis.shared(WIDE * 0 + 1).loc["a", "b"])

    def test_false_pixels_are_cumulated_from_the_worst_image(self):
        table = pd.DataFrame({"method": "a", "seed": 0, "name": list("wxyz"), "false_pixels": [0, 30, 10, 0]})
        found = analysis.concentration(pd.concat([table, table.assign(method="b", false_pixels=0)]))

        assert list(found["images"]) == [0.25, 0.5, 0.75, 1] and list(found["false_pixels"]) == [0.75, 1, 1, 1]
        assert set(found["method"]) == {"a"}
        assert len(analysis.concentration(table.assign(false_pixels=np.nan))) == 0

    def test_who_finds_what_is_dark_where_a_target_is_missed(self, ax):
        failures.who_finds(WIDE, ax, titles=TITLES)
        image = np.asarray(ax.images[0].get_array())

        np.testing.assert_array_equal(image, [[1, 1, 0], [1, 0, 1]])  # the fourth is found by all
        assert "1 more are found by all" in ax.get_xlabel()
        assert [t.get_text() for t in ax.get_yticklabels()] == ["A", "B"]

    def test_found_and_missed_targets_stand_where_they_belong(self, ax):
        table = pd.DataFrame({"area_px": [4, 9], "scr": [-2.0, 5.0], "found": [0.5, 1.0]})
        failures.found_over(table, ax, title="A")

        np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[9, 5]])
        np.testing.assert_array_equal(ax.lines[1].get_xydata(), [[4, 2]])
        assert ax.get_title() == "A\n1 found, 1 missed"

    def test_without_false_pixels_there_is_a_sentence(self, ax):
        failures.concentration(pd.DataFrame(columns=["method", "images", "false_pixels"]), ax, order=["a"], titles={})

        assert [t.get_text() for t in ax.texts] == ["no method here has false pixels"]


class TestEfficiency:
    TABLE = pd.DataFrame(
        {"dataset": "d", "method": ["a", "b"], "seed": 0, "iou": [0.5, None], "gmac": [2.0, 1.0], "ms": [10.0, np.nan]}
    )

    def test_accuracy_stands_over_cost_and_published_figures_have_their_names(self, ax):
        theirs = pd.DataFrame({"method": ["Other"], "gmac": [4.0], "iou": [70.0]})
        options = {"cost": "gmac", "score": "iou", "order": ["a", "b"], "titles": TITLES, "published": theirs}
        efficiency.accuracy_over(self.TABLE, ax, **options)

        assert [line.get_xydata().tolist() for line in ax.lines] == [[[4, 70]], [[2, 50]]]
        assert [t.get_text() for t in ax.texts] == ["Other"]
        assert ax.get_xlabel() == "multiply-adds at 256×256, ×1e9" and ax.get_ylabel() == "IoU, %"

    def test_latency_is_of_one_image_and_its_bar_says_images_a_second(self, ax):
        table = pd.DataFrame(
            {"method": "a", "form": "torch", "size_px": 256, "batch": [1, 8], "latency_ms": [20.0, 80.0]}
        )
        efficiency.latency(table, ax, order=["a"], titles=TITLES)

        assert [p.get_width() for p in ax.patches] == [20, 10]
        assert [t.get_text() for t in ax.texts] == [" torch, batch 1: 50/s", " torch, batch 8: 100/s"]


class TestDatasets:
    TARGETS = pd.DataFrame(
        {"name": ["x", "x", "y"], "row": [0, 9, 4], "col": [0, 19, 4], "area_px": [4, 9, 2], "scr": [-1.0, 3, 2]}
    )
    SCENES = pd.DataFrame({"name": ["x", "y", "z"], "height": 10, "width": 20, "targets": [2, 1, 0], "role": ["train", "test", "test"]})  # fmt: skip

    def test_the_share_at_or_below_ends_at_all_of_them(self, ax):
        datasets.shares_below({"d": self.TARGETS}, ax, column="scr")

        np.testing.assert_allclose(ax.lines[0].get_xydata(), [[1, 100 / 3], [2, 200 / 3], [3, 100]])

    def test_bars_are_shares_of_the_scenes(self, ax):
        datasets.company({"d": self.SCENES}, ax)

        np.testing.assert_allclose([p.get_height() for p in ax.patches], [100 / 3, 100 / 3, 100 / 3, 0, 0, 0])

    def test_targets_are_counted_where_they_are_in_the_image(self, ax):
        datasets.places(self.TARGETS, self.SCENES, ax, title="d")
        image = np.asarray(ax.images[0].get_array())

        assert image.sum() == pytest.approx(100)
        assert image[0, 0] == image[7, 7] == image[3, 1] == pytest.approx(100 / 3)

    def test_training_and_test_targets_are_told_apart(self, ax):
        datasets.split_shares(self.TARGETS, self.SCENES, ax, column="area_px", title="d")

        assert [line.get_label() for line in ax.lines] == ["train (2)", "test (1)"]


def test_the_headline_sets_published_figures_beside_ours(ax):
    row = {"score": "iou", "ours": 0.5, "low": 0.4, "high": 0.6, "published": 70.0, "alike": 1}
    table = pd.DataFrame([{"method": "a", "seed": 0, **row}, {"method": "b", "seed": 0, **row, "published": None}])
    headline.beside_published(table, ax, score="iou", rows=["a", "b"], order=["a", "b"], titles=TITLES)

    assert [line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "D"] == [[[70, 0]]]
    assert [line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "o"] == [[[50, 0]], [[50, 1]]]


class TestRevisions:
    def test_a_cell_that_is_new_has_one_dot(self, ax):
        cell = {"dataset": "d", "method": "a", "seed": 0}
        table = pd.DataFrame(
            [{**cell, "iou_before": 0.4, "iou_after": 0.5}, {**cell, "iou_before": None, "iou_after": 0.3}]
        )
        revisions.moved(table, ax, score="iou", titles=TITLES)
        dots = [line.get_xydata()[0].tolist() for line in ax.lines]

        assert dots[0] == [40, 0] and dots[1] == [50, 0] and np.isnan(dots[2][0]) and dots[3] == [30, 1]
        assert len(ax.texts) == 1  # one arrow

    def test_curves_lie_over_each_other(self, ax):
        table = pd.DataFrame({"method": ["before", "before", "after"], "epoch": [1, 2, 1], "loss": [3.0, np.nan, 2.0]})
        revisions.overlay(table, ax, x="epoch", y="loss")

        assert {line.get_label(): line.get_xydata().tolist() for line in ax.lines} == {
            "before": [[1, 3]],
            "after": [[1, 2]],
        }


class TestScenes:
    IMAGE = np.zeros((6, 8), np.uint8)

    def colours(self, ax):
        return [mpl.colors.to_hex(c.get_edgecolor()[0]).upper() for c in ax.collections]

    def test_outlines_say_what_became_of_targets_and_regions(self, ax):
        truth, found = np.zeros((2, 6, 8), int)
        truth[1, 1], truth[4, 4] = 1, 2
        found[1, 2], found[4, 6] = 1, 2
        scenes.outlined(self.IMAGE, truth, found, ax, pairs=[(0, 0)])

        assert self.colours(ax) == [style.TRUTH, style.MISS, style.HIT, style.FALSE]

    def test_points_are_shown_inside_the_window_only(self, ax):
        points = np.array([[1.0, 1.0, 0.9], [5.0, 7.0, 0.2]])
        window = (slice(3, 6), slice(4, 8))
        scenes.scattered(self.IMAGE[window], points, ax, window=window, threshold=0.5)
        np.testing.assert_array_equal(ax.collections[0].get_offsets(), [[3, 2]])

        scenes.crosses(points, ax, window=window, right={1})
        assert [line.get_xydata().tolist() for line in ax.lines] == [[[3, 2]], []]

    def test_a_score_map_is_outlined_where_it_exceeds_the_threshold(self, ax):
        score = np.zeros((6, 8))
        score[2, 2] = 0.7
        scenes.score_map(score, ax, threshold=0.5)
        assert len(ax.collections) == 1 and ax.figure.axes[1].get_ylabel() == "score, 0 to 1"
        plt.close(ax.figure)


def test_greys_of_classical_detectors_can_be_seen_on_white_and_told_apart():
    levels = sorted(float(grey) for grey in style.GREYS.values())
    light = [(level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4) for level in levels]

    assert min(1.05 / (one + 0.05) for one in light) >= 3  # WCAG's contrast of graphics
    assert min(np.diff(levels)) >= 0.12
