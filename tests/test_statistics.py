"""Intervals, permutation tests, corrections and ranks against hand-computed cases and independent implementations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from irstd.metrics import ratios, statistics


def mean(sums):
    return ratios.over(sums[..., 0], sums[..., 1])


def columns(values):
    return np.stack([values, np.ones(len(values))], 1)


class TestPermutation:
    def test_p_is_that_of_scipy_on_means(self, rng):
        one, other = rng.normal(0.3, 1, 40), rng.normal(0, 1, 40)

        mine = statistics.permutation(columns(one), columns(other), mean)

        theirs = stats.permutation_test(
            (one, other), lambda a, b: a.mean() - b.mean(), permutation_type="samples", n_resamples=20000, rng=rng
        ).pvalue
        assert mine == pytest.approx(theirs, abs=0.02)

    def test_all_deals_of_three_images(self):
        # 1, 2, 4 against 0: of the eight deals, two are as far apart as the one at hand.
        p = statistics.permutation(columns(np.array([1.0, 2.0, 4.0])), columns(np.zeros(3)), mean)

        assert p == pytest.approx(2 / 8, abs=0.02)

    def test_equal_methods_are_never_told_apart(self, rng):
        one = columns(rng.random(30))

        assert statistics.permutation(one, one, mean) == 1

    def test_under_the_null_few_are_called_different(self):
        rng = np.random.default_rng(4)
        p = [
            statistics.permutation(columns(rng.random(20)), columns(rng.random(20)), mean, swaps=400)
            for _ in range(300)
        ]

        assert 0.02 < np.mean(np.array(p) < 0.05) < 0.09

    def test_order_of_the_two_does_not_matter(self, rng):
        one, other = columns(rng.random(30)), columns(rng.random(30))

        assert statistics.permutation(one, other, mean) == statistics.permutation(other, one, mean)


class TestHolm:
    def test_a_worked_example(self):
        assert statistics.holm(np.array([0.01, 0.04, 0.03])) == pytest.approx([0.03, 0.06, 0.06])

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
    @settings(max_examples=50, deadline=None)
    def test_corrected_values_are_no_smaller_in_the_same_order_and_at_most_one(self, values):
        values = np.array(values)
        corrected = statistics.holm(values)

        assert (corrected >= values - 1e-12).all() and (corrected <= 1).all()
        assert (np.diff(corrected[np.argsort(values, kind="stable")]) >= 0).all()


class TestSeeds:
    def test_the_t_interval_of_three_values_by_hand(self):
        # Mean 2, deviation 1, t of 0.975 at two degrees of freedom 4.302653: 2 ± 4.302653 / sqrt(3).
        assert statistics.t_interval(np.array([1.0, 2.0, 3.0])) == pytest.approx((-0.484138, 4.484138), abs=1e-5)

    def test_the_t_interval_of_two_values_by_hand(self):
        # Mean 0.5, deviation 0.1 * sqrt(2), over sqrt(2): 0.5 ± 12.7062 * 0.1.
        assert statistics.t_interval(np.array([0.4, 0.6])) == pytest.approx((0.5 - 1.27062, 0.5 + 1.27062), abs=1e-4)

    @pytest.mark.parametrize("values", [[], [0.7], [0.7, np.nan, 0.6]])
    def test_of_less_than_two_values_nothing_is_said(self, values):
        assert np.isnan(statistics.t_interval(np.array(values))).all()

    @pytest.mark.parametrize("seeds", [2, 3, 4])
    def test_one_interval_in_twenty_misses_however_few_the_seeds(self, seeds):
        drawn = np.random.default_rng(seeds).normal(0.6, 0.02, (4000, seeds))
        missed = [not low <= 0.6 <= high for low, high in map(statistics.t_interval, drawn)]

        assert 0.04 < np.mean(missed) < 0.06

    def test_no_images_no_interval(self):
        assert np.isnan(statistics.bootstrap(np.zeros((0, 2)), mean)).all()


class TestRanks:
    def test_the_critical_difference_of_demsars_example(self):
        # JMLR 2006, section 3.2.2: four classifiers on 14 datasets, q = 2.569 at 0.05.
        assert statistics.critical_difference(4, 14) == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 14)), abs=2e-3)

    def test_no_methods_or_no_datasets_have_no_critical_difference(self):
        assert np.isnan(statistics.critical_difference(0, 3)) and np.isnan(statistics.critical_difference(3, 0))

    def test_ranks_share_ties(self):
        assert statistics.ranks(np.array([[0.9, 0.5, 0.9]])).tolist() == [[1.5, 3, 1.5]]

    def test_friedman_needs_three_of_both(self):
        assert np.isnan(statistics.friedman(np.ones((2, 3))))
        assert statistics.friedman(np.array([[3.0, 2, 1]] * 8)) < 0.01


def test_f1_of_many_to_one_counts_is_that_of_one_to_one_where_they_are():
    names, ratio = ratios.RATIOS["f1"]
    assert names == ["detected", "regions", "false_regions", "targets"]

    assert ratio(np.array([[3.0, 5, 2, 4], [0, 0, 0, 4], [0, 2, 2, 3]])) == pytest.approx([6 / 9, 0, 0])
    assert np.isnan(ratio(np.zeros((1, 4)))).all()
