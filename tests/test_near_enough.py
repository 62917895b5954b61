"""The 3 and 5 px rules at exactly 3 and 5 px, wherever they are applied."""

import numpy as np
import pytest

from irstd.data.prepared import Prepared
from irstd.metrics import matching, points
from irstd.metrics.conventions import CONVENTIONS, ours
from irstd.scoring.evaluation import GREEDY, evaluate
from irstd.training import selection

NAN = float("nan")


def close(expected, rel=1e-4):
    """Equal as far as processors agree: they differ by far less, in float64 and in the losses' sums in float32."""
    return pytest.approx(expected, rel=rel, abs=1e-7)


class TestNearEnough:
    """Points count within 3 and 5 px, which may be reached; our convention's centroids must be nearer than 3 px."""

    TRUTH = np.array([[20.0, 20.0]])
    BEYOND = 1 + 1e-9

    def beside(self, row, col):
        return self.TRUTH + np.array([row, col])

    @pytest.mark.parametrize(("row", "col", "within"), [(3.0, 4.0, 5.0), (0.0, -5.0, 5.0), (3.0, 0.0, 3.0)])
    def test_pairs_of_points_may_reach_the_distance(self, row, col, within):
        assert points.pairs(self.TRUTH, self.beside(row, col), within) == [(0, 0, within)]
        assert points.pairs(self.TRUTH, self.beside(row * self.BEYOND, col * self.BEYOND), within) == []
        truth, found = np.array([[0.0, 0.0], [0.0, within + 1]]), np.array([[0.0, within], [0.0, within + 3]])
        assert points.pairs(truth, found, within) == [(0, 0, within), (1, 1, 2.0)]

    def test_the_greedy_rule_may_reach_5_px(self):
        pairs = [matching.by_centroid(self.TRUTH, self.beside(3.0, col), GREEDY).pairs for col in (4.0, 4.000001)]
        assert pairs == [[(0, 0, 5.0)], []]

    @pytest.mark.parametrize("name", [*CONVENTIONS])
    def test_a_convention_says_whether_its_distance_may_be_reached(self, name):
        convention = CONVENTIONS[name]
        assert (convention.within_px, convention.inclusive) == (3, name in ("rc-irstd-centroid", "irst-library"))
        ways = [self.beside(0.0, col) for col in (3 / self.BEYOND, 3.0, 3 * self.BEYOND)]
        found = [len(matching.by_centroid(self.TRUTH, way, convention).pairs) for way in ways]
        assert found == [1, int(convention.inclusive), 0]

    def test_the_score_that_chooses_an_epoch_may_reach_3_px(self):
        found = [selection.right(self.beside(0.0, col), self.TRUTH) for col in (3.0, 3 * self.BEYOND)]
        assert found == [1, 0]

    @pytest.mark.parametrize(
        ("row", "col", "f1"),  # of points at 3 px, at 5 px, greedily at 5 px, and of our convention, whose share is Pd
        [(0, 2.999, (1, 1, 1, 1)), (0, 3, (1, 1, 1, 0)), (3, 4, (0, 1, 1, 0)), (3, 4.001, (0, 0, 0, 0))],
    )
    def test_what_a_report_says(self, prepared, monkeypatch, row, col, f1):
        mask = np.zeros((64, 64), bool)
        mask[19:22, 19:22] = True
        monkeypatch.setattr(Prepared, "mask", lambda *_: mask)
        name = prepared.names[8]
        metrics = evaluate(prepared, [8], {}, {name: np.c_[self.beside(row, col), 0.9]}, ours(), 1).metrics
        names = ("point_f1_3px", "point_f1_5px", "point_f1_5px_greedy", "pd")
        assert f1 == tuple(metrics[n] for n in names)
