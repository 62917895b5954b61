"""Losses by hand-computed cases and properties."""

import pytest
import torch

from irstd.losses.overlap import empty_cost, soft_iou
from irstd.losses.pixelwise import edge_hard_bce, edges
from irstd.losses.scale import scale_loss


def test_soft_iou_of_a_hand_computed_case():
    probability = torch.tensor([[[[0.5, 1.0], [0.0, 0.25]]]])
    mask = torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]]])

    # I = 1.5, P = 1.75, T = 2: 1 - (1.5 + 1) / (2.25 + 1)
    assert pytest.approx(float(soft_iou(probability, mask)[0])) == 1 - 2.5 / 3.25


def test_a_perfect_prediction_costs_nothing_and_a_worse_one_more():
    mask = (torch.rand(3, 1, 9, 9, generator=torch.Generator().manual_seed(1)) > 0.8).float()

    assert soft_iou(mask, mask).max() == 0
    assert (soft_iou(mask * 0.5, mask) > 0).all()


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("truth", [0.0, 1.0])
def test_soft_iou_and_its_gradient_are_finite_on_empty_and_full(level, truth):
    probability = torch.full((1, 1, 8, 8), level, requires_grad=True)

    loss = soft_iou(probability, torch.full((1, 1, 8, 8), truth))
    loss.sum().backward()

    assert loss.isfinite().all() and probability.grad.isfinite().all()


def test_an_empty_image_pushes_the_prediction_down():
    probability = torch.full((1, 1, 8, 8), 0.5, requires_grad=True)

    soft_iou(probability, torch.zeros(1, 1, 8, 8)).sum().backward()

    assert (probability.grad > 0).all()


def test_half_precision_is_summed_in_single():
    large = torch.ones(1, 1, 512, 512, dtype=torch.float16)

    assert float(soft_iou(large, large)[0]) == 0


def test_edges_are_the_four_neighbours_on_both_sides_and_the_border_as_pal_leaves_it():
    mask = torch.zeros(1, 1, 7, 6)
    mask[0, 0, 3:5, 2] = 1
    mask[0, 0, 6, 4] = 1  # at the lower border, which is no edge

    expected = """
        .####.
        ......
        ..#...
        .###..
        .###..
        ..#.#.
        ......
    """
    drawn = ["".join(".#"[int(e)] for e in row) for row in edges(mask)[0, 0].tolist()]
    assert drawn == expected.split()


def test_edge_hard_bce_of_a_hand_computed_case():
    # One target pixel in the middle of 7 x 7: it and its four neighbours are edge, and the first row but for its ends.
    mask = torch.zeros(1, 1, 7, 7)
    mask[0, 0, 3, 3] = 1
    logits = torch.full((1, 1, 7, 7), -1.0)
    low, high = (float(torch.nn.functional.softplus(torch.tensor(x))) for x in (-1.0, 1.0))  # background, target

    whole = edge_hard_bce(logits, mask, keep=1.0)
    assert pytest.approx(float(whole[0]), rel=1e-6) == (4 * high + 9 * 4 * low + 39 * low) / 49
    hardest = edge_hard_bce(logits, mask, keep=0.1)
    assert pytest.approx(float(hardest[0]), rel=1e-6) == (4 * high + 9 * 4 * low) / 10


def test_edge_hard_bce_keeps_the_harder_half_of_the_batch_not_of_each_image():
    mask = torch.zeros(2, 1, 8, 8)
    logits = torch.stack([torch.full((1, 8, 8), -9.0), torch.full((1, 8, 8), 2.0)])

    each = edge_hard_bce(logits, mask, edge_weight=1.0)

    assert each[0] == 0
    assert pytest.approx(float(each.mean())) == float(torch.nn.functional.softplus(torch.tensor(2.0)))


def test_edge_hard_bce_without_weights_or_mining_is_plain_cross_entropy():
    generator = torch.Generator().manual_seed(0)
    logits, mask = (
        torch.randn(2, 1, 6, 6, generator=generator),
        (torch.rand(2, 1, 6, 6, generator=generator) > 0.7).float(),
    )
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, mask, reduction="none").mean((1, 2, 3))

    torch.testing.assert_close(expected, edge_hard_bce(logits, mask, edge_weight=1.0, keep=1.0))


@pytest.mark.parametrize("truth", [0.0, 1.0])
def test_edge_hard_bce_is_finite_when_saturated(truth):
    logits = torch.full((1, 1, 8, 8), 80.0, dtype=torch.float16, requires_grad=True)

    loss = edge_hard_bce(logits, torch.full((1, 1, 8, 8), truth))
    loss.sum().backward()

    assert loss.isfinite().all() and logits.grad.isfinite().all()


class TestEmptyImages:
    """How images without a target count; a false pixel there must cost about what it costs elsewhere."""

    @pytest.fixture
    def batch(self):
        mask = torch.zeros(2, 1, 32, 32)
        mask[0, 0, 10:15, 10:15] = 1
        return 0.01 + 0.9 * mask, mask

    @staticmethod
    def slopes(loss, probability, mask, kind):
        p = probability.clone().requires_grad_()
        loss(p, mask, kind).mean().backward()
        return p.grad[0, 0, 0, 0] * 2, p.grad[1, 0, 0, 0] * 2

    LOSSES = {
        "soft_iou": lambda p, g, kind: soft_iou(p, g, empty=kind),
        "scale": lambda p, g, kind: scale_loss(p, g, "diff", locate=False, empty=kind),
    }

    @pytest.mark.parametrize("name", LOSSES)
    def test_with_the_batch_as_one_image_a_false_pixel_costs_the_same_everywhere(self, batch, name):
        beside, empty = self.slopes(self.LOSSES[name], *batch, "batch")

        assert beside > 0
        torch.testing.assert_close(beside, empty)

    @pytest.mark.parametrize("name", LOSSES)
    def test_with_the_area_of_a_usual_target_it_costs_about_the_same(self, batch, name):
        beside, empty = self.slopes(self.LOSSES[name], *batch, "area")

        assert 0.3 < empty / beside < 3

    def test_the_mean_probability_costs_hundreds_of_times_less(self, batch):
        beside, empty = self.slopes(self.LOSSES["scale"], *batch, "own")

        assert empty < beside / 20

    @pytest.mark.parametrize("name", LOSSES)
    @pytest.mark.parametrize("kind", ["own", "area", "bce", "batch"])
    def test_without_any_target_the_loss_falls_with_the_prediction(self, name, kind):
        mask = torch.zeros(2, 1, 16, 16)
        low, high = (float(self.LOSSES[name](torch.full_like(mask, p), mask, kind).mean()) for p in (0.01, 0.9))

        assert 0 <= low < high

    def test_costs_by_hand(self):
        probability = torch.full((1, 1, 10, 5), 0.5)

        assert float(empty_cost(probability, "area")) == pytest.approx(0.5)  # 25 px of 25 + 25
        assert float(empty_cost(probability, "bce")) == pytest.approx(0.6931472)
