"""A split under every convention and at every level: against thresholding one by one, and by what theory says."""

import numpy as np
import pandas as pd
import pytest

from irstd.analysis.cases import paint
from irstd.metrics import curves
from irstd.metrics.conventions import CONVENTIONS, ours
from irstd.metrics.counts import Counts, Pair, count
from irstd.metrics.levels import HALF, TOP, encode
from irstd.metrics.regions import regions
from irstd.results import store
from irstd.scoring import totals
from irstd.scoring.squares import squared
from tests.reference import scoring as reference


def scenes(rng, number=6, size=40):
    """Targets, and scores that are highest near them."""
    every = []
    for _ in range(number):
        mask = np.zeros((size, size), bool)
        for row, col in rng.integers(3, size - 6, (rng.integers(0, 4), 2)):
            mask[row : row + 3, col : col + 4] = True
        score = np.clip(0.7 * mask + rng.normal(0, 0.2, mask.shape), 0, 1)
        every.append((mask, encode(score)))
    return every


class TestSweep:
    def test_every_level_counts_what_thresholding_there_counts(self, rng):
        for mask, levels in scenes(rng, 3):
            table = curves.sweep(levels, regions(mask), ours())
            for level in (0, 1, 2, 3, 40, 130, 200, 258, 264, 266):
                above = levels >= curves.EDGES[level]
                expected = reference.counts(mask, above)
                found = dict(zip(curves.TARGETS, table[:, level].tolist(), strict=True))
                assert {k: expected[k] for k in found} == found

    def test_levels_are_dense_at_both_ends_and_among_them_are_those_of_256(self):
        edges, gaps = curves.EDGES.tolist(), np.diff(curves.EDGES)

        assert set(range(0, TOP, 256)) <= set(edges) and edges[-1] == TOP
        assert gaps[:3].tolist() == [1, 15, 240] and gaps[-4:].tolist() == [4, 2, 1, 1] and gaps.max() == 256
        assert HALF + 1 in edges  # the first above one half is an edge

    def test_a_network_that_saturates_has_its_curve(self):
        """Its targets at 0.99997 and a false region at 0.999 are in one of 256 levels, and apart here."""
        mask = paint(((4, 4, 3, 3), (15, 9, 2, 2)))
        score = mask * 0.99997
        score[20, 20] = 0.999

        summary = totals.summary(totals.swept(Pair(mask, encode(score)), ours()), None)

        assert summary["pd_at_fa"]["1"] == 1.0 and summary["lowest_fa_per_million"] == 0

    @pytest.mark.parametrize("size", [30, 400])
    def test_both_ways_of_measuring_regions_agree(self, rng, monkeypatch, size):
        mask, levels = scenes(rng, 1, size)[0]
        tables = []
        for few in (0, size * size + 1):
            monkeypatch.setattr(curves, "FEW", few)
            tables.append(curves.sweep(levels, regions(mask), ours()))

        assert np.array_equal(*tables)

    def test_a_perfect_map_has_areas_of_one(self):
        mask = paint(((4, 4, 3, 3), (15, 9, 2, 2)))
        swept = totals.swept(Pair(mask, mask.astype(np.uint16) * TOP), ours())

        under = curves.areas(swept.pixels, swept.targets, swept.size)
        assert (under.roc, under.pr, under.pd_fa) == pytest.approx((1, 1, 1))

    def test_areas_are_those_of_a_ranking(self, rng):
        mask, levels = rng.random((60, 60)) < 0.1, encode(rng.random((60, 60)))
        binned, truth = np.digitize(levels, curves.EDGES).ravel(), mask.ravel()

        under = curves.areas(curves.histogram(levels, mask), np.ones((4, curves.LEVELS), int), mask.size)

        higher = (binned[truth][:, None] > binned[~truth]).mean() + (
            binned[truth][:, None] == binned[~truth]
        ).mean() / 2
        assert under.roc == pytest.approx(higher)
        thresholds = np.unique(binned[truth])[::-1]
        precision = [truth[binned >= t].mean() for t in thresholds]
        gained = np.diff([0, *(truth[binned >= t].sum() for t in thresholds)]) / truth.sum()
        assert under.pr == pytest.approx((np.array(precision) * gained).sum())

    def test_the_best_pd_at_an_fa_is_read_off_all_levels(self):
        table = np.zeros((4, 256), np.int64)
        table[0], table[1, 5], table[3, 5], table[1, 9], table[3, 9] = 10, 9, 4, 6, 1
        table[3, [k for k in range(256) if k not in (5, 9)]] = 10**6

        found = curves.best_pd(table, 10**6, np.array([0.5, 1, 4, 100]))
        assert np.isnan(found[0]) and found[1:].tolist() == [0.6, 0.9, 0.9]
        assert curves.lowest_fa(table, 10**6) == 1

    def test_saturated_scores_do_not_reach_a_low_fa_and_masks_have_no_curve(self, rng):
        mask = paint(((4, 4, 3, 3), (15, 9, 2, 2)))
        false = np.zeros_like(mask)
        false[20, 20] = True
        levels = np.where(mask | false, TOP, 0).astype(np.uint16)
        levels[1, 20] = 300
        curved = totals.summary(totals.swept(Pair(mask, levels), ours()), None)
        levels[1, 20] = 0
        of_mask = totals.summary(totals.swept(Pair(mask, levels), ours()), None)
        lowest = round(1e6 / mask.size, 6)

        assert curved["pd_at_fa"]["1"] is None and curved["lowest_fa_per_million"] == lowest
        assert of_mask["pd_at_fa"] == {} and of_mask["pd_fa_area"] is None


class TestScore:
    def test_rows_are_what_counting_image_by_image_gives(self, rng):
        every = scenes(rng)
        found = totals.score(Pair(m, x) for m, x in every)

        table = found.conventions.set_index("convention")
        assert list(table.index) == list(CONVENTIONS)
        for name in ("irstd", "dnanet", "deeppro", "rc-irstd-overlap"):
            total = sum((count(Pair(m, x), CONVENTIONS[name]).counts for m, x in every), Counts())
            assert table.loc[name, ["iou", "pd", "f1"]].tolist() == pytest.approx([total.iou, total.pd, total.f1])
            assert table.loc[name, "fa_per_million"] == pytest.approx(1e6 * total.fa)
            assert table.loc[name, "pd_low"] <= total.pd <= table.loc[name, "pd_high"]

    def test_workers_do_not_change_a_number(self, rng):
        every = scenes(rng)
        tables = [totals.score([Pair(m, x) for m, x in every], workers=n) for n in (1, 3)]

        pd.testing.assert_frame_equal(tables[0].conventions, tables[1].conventions)
        pd.testing.assert_frame_equal(tables[0].sweep, tables[1].sweep)

    def test_what_a_convention_does_not_say_is_empty(self, rng):
        every = [*scenes(rng), (np.zeros((40, 40), bool), np.zeros((40, 40), np.uint16))]
        table = totals.score(Pair(m, x) for m, x in every).conventions.set_index("convention")

        assert table.loc["acm-niou", ["pd", "f1", "fa_per_million", "detected"]].isna().all()
        assert table.loc["irst-library", ["fa_per_million", "niou"]].isna().all()
        assert table.loc["istd-python-overlap"].isna().all()  # its code stops at an image without targets
        assert table.loc["irstd"].notna().all()

    def test_images_with_neither_count_zero_or_are_left_out(self):
        mask = paint(((4, 4, 3, 3),))
        blank = np.zeros_like(mask)
        table = totals.score(Pair(m, m.astype(np.uint16) * TOP) for m in (mask, blank)).conventions

        assert table.set_index("convention").loc["pal", ["niou", "niou_without_empty"]].tolist() == [0.5, 1]

    def test_points_are_scored_by_conventions_of_centroids_only(self):
        mask = paint(((4, 4, 3, 3),))
        found = totals.score([Pair(mask, None, np.array([[5.0, 5.0, 0.9]]))])

        assert set(found.conventions["convention"]) == {c.name for c in CONVENTIONS.values() if c.takes_points}
        assert found.swept is None and len(found.sweep) == 0
        assert found.conventions["iou"].isna().all() and (found.conventions["pd"] == 1).all()

    def test_points_have_no_natural_half_so_their_threshold_is_given_and_holds_for_them_only(self):
        mask = paint(((4, 4, 3, 3),))
        points = [Pair(mask, None, np.array([[5.0, 5.0, 0.4], [20.0, 20.0, 0.2]]))]
        levels = [Pair(mask, (0.4 * TOP * mask).astype(np.uint16))]
        plain = totals.score(points).conventions
        above = totals.score(points, points_above=0.3).conventions

        assert (plain["detected"] == 0).all() and (above["detected"] == 1).all() and (above["false_regions"] == 0).all()
        pd.testing.assert_frame_equal(
            totals.score(levels).conventions, totals.score(levels, points_above=0.3).conventions
        )

    def test_tables_can_be_written_and_read_back(self, rng, tmp_path):
        found = totals.score(Pair(m, x) for m, x in scenes(rng))
        for kind, table in (("conventions", found.conventions), ("sweep", found.sweep)):
            store.write(table, tmp_path / f"{kind}.csv", kind)

            assert len(store.read(tmp_path / f"{kind}.csv", kind)) == len(table)

    def test_the_threshold_of_held_out_scenes_is_carried_over(self, rng):
        test, held_out = (totals.score(Pair(m, x) for m, x in scenes(rng)).swept for _ in range(2))

        chosen = totals.summary(test, held_out)["at_chosen_threshold"]

        level = curves.best_level(held_out.pixels)
        assert chosen["threshold"] == pytest.approx(curves.EDGES[level] / TOP, abs=1e-6)
        assert chosen["iou"] == pytest.approx(curves.curve(test.pixels)["iou"][level], abs=1e-6)
        assert totals.summary(test, None)["at_chosen_threshold"] is None

    def test_nothing_to_score_is_refused(self):
        with pytest.raises(ValueError, match="no image"):
            totals.score([])


class TestSquares:
    def test_half_the_side_by_hand(self):
        """Every other pixel of the mask, the mean of each four scores, points where their pixel's middle goes."""
        mask = np.zeros((8, 8), bool)
        mask[2:4, 4:6] = True
        mask[7, 7] = True  # odd row and column: lost
        levels = np.zeros((8, 8), np.uint16)
        levels[2, 4], levels[3, 5] = 60000, 20000

        small = squared(Pair(mask, levels, np.array([[2.5, 4.5, 0.9]])), 4)

        assert np.argwhere(small.mask).tolist() == [[1, 2]]
        assert small.levels is not None and small.levels[1, 2] == 20000 and small.levels.sum() == 20000
        assert small.points is not None and small.points.tolist() == [[1.0, 2.0, 0.9]]

    def test_at_its_own_size_a_scene_stays(self, rng):
        for mask, levels in scenes(rng, 2, 32):
            same = squared(Pair(mask, levels), 32)

            assert np.array_equal(same.mask, mask) and np.array_equal(same.levels, levels)

    def test_the_side_of_one_half_is_not_lost(self):
        """A quarter of a level above or below one half would be rounded to it."""
        half = TOP // 2
        for step in (-1, 0, 1):
            levels = np.full((2, 2), half, np.uint16)
            levels[0, 0] = half + step

            small = squared(Pair(np.zeros((2, 2), bool), levels), 1)

            assert small.levels is not None and small.levels.item() == half + step
