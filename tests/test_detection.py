"""Average precision: hand-computed cases, a slow reference, and what must not matter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irstd.metrics.detection import Detections, average_precision, overlaps, rightly


def slow_average_precision(scores, right, targets):
    """At each recall that is reached, the best precision at that recall or beyond; summed over the steps."""
    points = []
    for threshold in sorted(set(scores), reverse=True):
        taken = [r for s, r in zip(scores, right, strict=True) if s >= threshold]
        points.append((sum(taken) / targets, sum(taken) / len(taken)))
    area, before = 0.0, 0.0
    for recall, _ in points:
        area += (recall - before) * max(p for r, p in points if r >= recall)
        before = recall
    return area


detections = st.lists(st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]), st.booleans()), min_size=1, max_size=20)


@settings(deadline=None)
@given(detections, st.integers(0, 5))
def test_average_precision_is_that_of_plain_loops(found, missed):
    scores, right = (np.array(column) for column in zip(*found, strict=True))
    targets = int(right.sum()) + missed
    if not targets:
        assert np.isnan(average_precision(scores, right, targets))
        return

    got = average_precision(scores, right, targets)

    assert got == pytest.approx(slow_average_precision(scores.tolist(), right.tolist(), targets))
    shuffled = np.random.default_rng(0).permutation(len(scores))
    assert got == pytest.approx(average_precision(scores[shuffled], right[shuffled], targets))


def test_a_hand_computed_case():
    # Precision 1 to a recall of 1/4, then 2/3 to 1/2; two targets are never found.
    assert average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), 4) == pytest.approx(
        0.25 + 0.25 * 2 / 3
    )


def test_overlap_of_boxes():
    box = np.array([[0.0, 0.0, 2.0, 3.0]])
    others = np.array([[0.0, 0.0, 2.0, 3.0], [1.0, 0.0, 3.0, 3.0], [5.0, 5.0, 6.0, 6.0]])

    assert overlaps(box, others).tolist() == [[1.0, pytest.approx(3 / 9), 0.0]]


def test_a_second_box_on_one_target_is_false_unless_another_target_is_free():
    near = np.array([[0.9, 0.6], [0.8, 0.6], [0.7, 0.5]])

    assert rightly(near, 0.5).tolist() == [True, True, False]
    assert rightly(near[:, :1], 0.5).tolist() == [True, False, False]


def test_perfect_boxes_are_perfect_and_none_are_worth_nothing():
    truth = np.array([[1.5, 4.5, 3.5, 5.5], [9.5, 9.5, 12.5, 12.5]])
    centroids = (truth[:, :2] + truth[:, 2:]) / 2
    perfect, empty = Detections(), Detections()
    perfect.add(np.column_stack([truth, [0.9, 0.4]]), truth, centroids)
    empty.add(np.zeros((0, 5)), truth, centroids)

    assert perfect.scores() == {"box_ap50": 1.0, "point_ap_3px": 1.0}
    assert empty.scores() == {"box_ap50": 0.0, "point_ap_3px": 0.0}


def test_a_box_of_the_wrong_size_still_has_a_centre():
    truth = np.array([[9.5, 9.5, 12.5, 12.5]])
    found = Detections()
    found.add(np.array([[8.5, 8.5, 13.5, 13.5, 0.8]]), truth, np.array([[11.0, 11.0]]))

    assert found.scores() == {"box_ap50": 0.0, "point_ap_3px": 1.0}
