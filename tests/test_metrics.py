"""Counts against an independent reference, hand-drawn scenes of the field's quirks, and properties."""

from dataclasses import asdict
from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from irstd.metrics import curves
from irstd.metrics.conventions import ours
from irstd.metrics.counts import Counts, Pair, niou
from irstd.metrics.counts import count as count_pair
from irstd.metrics.levels import TOP, encode
from irstd.metrics.regions import regions
from tests.reference import scoring

IRSTD = ours()


def count(mask, predicted, convention, points=None):
    levels = None if predicted is None else predicted.astype(np.uint16) * TOP
    return count_pair(Pair(mask, levels, points), convention)


def sky(*boxes, size=32):
    """A mask with a rectangle (top, left, height, width) for each of `boxes`."""
    mask = np.zeros((size, size), bool)
    for top, left, height, width in boxes:
        mask[top : top + height, left : left + width] = True
    return mask


@pytest.mark.parametrize("connectivity", [4, 8])
def test_counts_equal_the_slow_reference_on_random_scenes(rng, connectivity):
    for _ in range(150):
        mask, predicted = rng.random((2, 24, 24)) < rng.uniform(0.01, 0.3)

        counts = count(mask, predicted, ours(connectivity=connectivity)).counts

        assert scoring.counts(mask, predicted, connectivity=connectivity) == asdict(counts)


def test_a_false_alarm_as_large_as_a_hit_still_counts():
    truth = sky((4, 4, 3, 3))
    predicted = sky((4, 4, 3, 3), (20, 20, 3, 3), (20, 4, 3, 3))

    counts = count(truth, predicted, IRSTD).counts

    assert (counts.detected, counts.false_pixels) == (1, 18)


def test_a_centroid_exactly_three_pixels_away_is_no_hit():
    counts = count(sky((4, 4, 3, 3)), sky((4, 7, 3, 3)), IRSTD).counts

    assert (counts.detected, counts.false_pixels) == (0, 9)


def test_a_large_target_half_found_is_missed_by_its_centroid():
    counts = count(sky((4, 4, 14, 14)), sky((4, 4, 14, 7)), IRSTD).counts

    assert (counts.detected, counts.false_pixels) == (0, 98)


def test_one_region_over_two_targets_detects_one():
    counts = count(sky((4, 4, 3, 3), (4, 8, 3, 3)), sky((4, 4, 3, 7)), IRSTD).counts

    assert (counts.targets, counts.detected, counts.false_pixels) == (2, 1, 0)


def test_a_target_in_two_fragments_is_found_once_and_one_fragment_is_false():
    counts = count(sky((4, 4, 3, 3)), sky((4, 4, 3, 1), (4, 6, 3, 1)), IRSTD).counts

    assert (counts.detected, counts.false_pixels) == (1, 3)


def test_targets_that_touch_at_a_corner_are_one_target():
    truth = sky((4, 4, 2, 2), (6, 6, 2, 2))

    assert [len(regions(truth, 8)), len(regions(truth, 4))] == [1, 2]


def test_an_empty_image_has_no_iou_and_counts_zero_in_niou():
    empty = count(sky(), sky(), IRSTD).counts
    perfect = count(sky((4, 4, 3, 3)), sky((4, 4, 3, 3)), IRSTD).counts

    assert isnan(empty.iou) and isnan(empty.pd)
    assert niou([empty, perfect]) == 0.5


def test_ratios_of_a_hand_computed_pool():
    pool = Counts(
        images=2,
        pixels=2000,
        intersection=6,
        predicted=10,
        true=8,
        targets=4,
        detected=3,
        regions=5,
        false_regions=2,
        false_pixels=3,
    )

    assert (pool.iou, pool.pixel_precision, pool.pixel_recall, pool.pixel_f1) == (0.5, 0.6, 0.75, 2 * 6 / 18)
    assert pool.pixel_f_measure == pytest.approx(1.3 * 0.6 * 0.75 / (0.3 * 0.6 + 0.75))
    assert (pool.pd, pool.fa, pool.precision, pool.f1) == (0.75, 0.0015, 0.6, 2 * 3 / 9)


def test_points_are_matched_without_a_map():
    points = np.array([[5.2, 4.9, 0.9], [20.0, 20.0, 0.8], [5.0, 5.0, 0.1]])

    scored = count(sky((4, 4, 3, 3)), None, IRSTD, points)

    assert (scored.counts.detected, scored.counts.regions, scored.counts.false_regions) == (1, 2, 1)
    assert np.hypot(0.2, 0.1) == pytest.approx(scored.matches[0][2])


masks = arrays.arrays(bool, (16, 16))


@given(masks)
@settings(max_examples=60, deadline=None)
def test_a_perfect_prediction_is_perfect(mask):
    counts = count(mask, mask, IRSTD).counts

    assert counts.detected == counts.targets == counts.regions
    assert counts.false_pixels == 0
    assert counts.iou == 1 or not mask.any()


@given(st.lists(st.tuples(masks, masks), min_size=1, max_size=4), st.randoms())
@settings(max_examples=30, deadline=None)
def test_order_of_images_does_not_matter_and_pooling_adds(pairs, random):
    each = [count(*pair, IRSTD).counts for pair in pairs]
    shuffled = list(each)
    random.shuffle(shuffled)

    assert sum(each, Counts()) == sum(shuffled, Counts())
    assert len(pairs) == sum(each, Counts()).images


@given(arrays.arrays(bool, (10, 10)), arrays.arrays(bool, (10, 10)), st.integers(0, 8), st.integers(0, 8))
@settings(max_examples=60, deadline=None)
def test_moving_truth_and_prediction_together_changes_nothing(mask, predicted, down, right):
    still, moved = np.zeros((2, 2, 30, 30), bool)
    for place, (r, c) in ((still, (6, 6)), (moved, (6 + down, 6 + right))):
        place[:, r : r + 10, c : c + 10] = mask, predicted

    assert count(*still, IRSTD).counts == count(*moved, IRSTD).counts


def test_the_curve_counts_what_thresholding_counts(rng):
    score, mask = rng.random((40, 40)).astype(np.float32), rng.random((40, 40)) < 0.1
    levels = encode(score)
    curve = curves.curve(curves.histogram(levels, mask))

    for bin_ in (0, 3, 17, 128, 255, 266):
        above = (levels / 65534) >= curve["threshold"][bin_]
        assert (above & mask).sum() == curve["true_positive"][bin_]
        assert (above & ~mask).sum() == curve["false_positive"][bin_]
