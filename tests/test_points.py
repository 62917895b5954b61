"""Scores of points against all ways of pairing them, and intervals against a plain bootstrap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irstd.metrics import ratios, statistics
from irstd.metrics.conventions import ours
from irstd.metrics.levels import encode
from irstd.metrics.points import pairs
from irstd.scoring.evaluation import evaluate
from tests.reference import scoring

# Whole and half pixels, so that ties and distances of exactly 3 and 5 px occur.
PLACES = st.lists(st.tuples(*[st.integers(0, 24).map(lambda x: x / 2)] * 2), max_size=5)
NUMBERS = [8, 9, 10, 11]


def array(places):
    return np.array(places, float).reshape(-1, 2)


@given(PLACES, PLACES, st.sampled_from([3.0, 5.0]))
def test_pairs_are_as_many_and_as_near_as_any_pairing(truth, found, within):
    got = pairs(array(truth), array(found), within)

    count, total = scoring.hits(truth, found, within)
    assert count == len(got)
    assert sum(far for *_, far in got) == pytest.approx(total)
    assert len({t for t, *_ in got}) == len({p for _, p, _ in got}) == len(got)


@given(PLACES, PLACES)
def test_swapping_truth_and_prediction_changes_nothing_but_the_roles(truth, found):
    assert len(pairs(array(truth), array(found), 3.0)) == len(pairs(array(found), array(truth), 3.0))


def test_a_near_pair_is_not_given_up_for_two_too_far_apart():
    assert pairs(np.array([[0.0, 0.0], [0.0, 9.0]]), np.array([[0.0, 0.5], [0.0, 20.0]]), 5.0) == [(0, 0, 0.5)]


def test_two_targets_are_matched_where_a_greedy_rule_finds_one():
    # The first target is nearer to the second one's only point.
    truth, found = np.array([[0.0, 0.0], [0.0, 4.0]]), np.array([[0.0, 1.5], [0.0, -2.0]])

    assert [(0, 1), (1, 0)] == [(t, p) for t, p, _ in pairs(truth, found, 3.0)]


class TestEvaluation:
    def shifted(self, prepared, by):
        return {
            prepared.names[n]: np.c_[prepared.points[n] + [0.0, by], np.full(len(prepared.points[n]), 0.9)]
            for n in NUMBERS
        }

    @pytest.mark.parametrize(("by", "f1"), [(0.0, (1, 1)), (2.9, (1, 1)), (4.0, (0, 1)), (5.5, (0, 0))])
    def test_f1_at_three_and_five_px(self, prepared, by, f1):
        metrics = evaluate(prepared, NUMBERS, {}, self.shifted(prepared, by), ours(), 2).metrics

        assert f1 == (metrics["point_f1_3px"], metrics["point_f1_5px"])
        assert metrics["point_error_px"] == (None if by > 5 else pytest.approx(by, abs=1e-3))

    def test_a_map_is_scored_by_the_centroids_of_its_regions(self, prepared):
        scores = {prepared.names[n]: encode(prepared.mask(n).astype(np.float32)) for n in NUMBERS}

        found = evaluate(prepared, NUMBERS, scores, {}, ours(), 2)

        assert (1, 1, 0) == tuple(found.metrics[f"point_{k}"] for k in ("f1_3px", "f1_5px", "error_px"))
        assert [1, 1] == found.metrics["interval"]["point_f1_3px"]

    def test_a_score_that_a_method_cannot_have_has_no_interval(self, prepared):
        interval = evaluate(prepared, NUMBERS, {}, self.shifted(prepared, 0.0), ours(), 2).metrics["interval"]

        assert interval["iou"] is None and interval["fa_per_million"] is None
        assert interval["pd"] == [1, 1]


class TestBootstrap:
    def test_it_is_that_of_a_plain_loop(self):
        rng = np.random.default_rng(1)
        counts = np.c_[rng.integers(0, 3, 40), rng.integers(1, 4, 40)].astype(float)
        ratio = lambda sums: ratios.over(sums[:, 0], sums[:, 1])  # noqa: E731

        got = statistics.bootstrap(counts, ratio, repeats=4000)

        slow = []
        for _ in range(4000):
            drawn = counts[rng.integers(0, 40, 40)].sum(0)
            slow.append(drawn[0] / drawn[1])
        np.testing.assert_allclose(got, np.quantile(slow, [0.025, 0.975]), atol=0.01)

    def test_it_holds_the_truth_as_often_as_it_says(self):
        rng, held = np.random.default_rng(2), 0
        for trial in range(200):
            hits = (rng.random((60, 1)) < 0.7).astype(float)
            low, high = statistics.bootstrap(
                np.c_[hits, np.ones(60)], lambda s: s[:, 0] / s[:, 1], repeats=400, seed=trial
            )
            held += low <= 0.7 <= high

        assert 180 <= held <= 198  # 95 % of 200, five deviations to each side at most

    def test_without_anything_to_divide_by_there_is_none(self):
        empty = statistics.bootstrap(np.zeros((5, 2)), lambda s: ratios.over(s[:, 0], s[:, 1]))

        assert np.isnan(empty).all()
