"""The scale-loss family: closed forms against autograd, monotonicity, and losses that stay finite."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irstd.losses.scale import WEIGHTS, alpha, location, scale_loss, slope

FAMILY = list(WEIGHTS)
areas = st.floats(0.5, 2000)


def doubles(*values):
    return [torch.tensor([v], dtype=torch.double) for v in values]


class TestWeights:
    @pytest.mark.parametrize("name", FAMILY)
    @settings(deadline=None, max_examples=50)
    @given(areas, areas)
    def test_slopes_in_closed_form_are_those_of_autograd(self, name, predicted, true):
        p, t = doubles(predicted, true)
        if abs(predicted - true) < 1e-6 * true:
            return  # a corner
        p.requires_grad_()
        (expected,) = torch.autograd.grad(alpha(name, p, t).sum(), p)

        torch.testing.assert_close(slope(name, p.detach(), t), expected, atol=1e-10, rtol=1e-9)

    @pytest.mark.parametrize("name", FAMILY)
    @given(areas)
    def test_it_is_one_at_equal_areas_and_the_same_with_areas_exchanged(self, name, true):
        t, larger = doubles(true, 1.7 * true)

        assert alpha(name, t, t).item() == 1
        assert alpha(name, t, larger).item() == alpha(name, larger, t).item()

    # methods.md B.2: name, whether it depends on the ratio of areas alone, whether it always leads to equal areas.
    @pytest.mark.parametrize(
        ("name", "scale_free", "leads"),
        [
            ("diff", True, True), ("variance", False, False), ("mobius", True, True), ("linear", True, True),
            ("quadratic", False, True), ("ratio", True, True), ("log_ratio", True, True),
        ],
    )  # fmt: skip
    def test_the_table_of_monotonicity(self, name, scale_free, leads):
        t = torch.full((4000,), 20.0, dtype=torch.double)
        p = torch.linspace(0.1, 400, 4000, dtype=torch.double)
        towards = torch.where(p <= t, 1.0, -1.0).double()
        right = torch.sign(slope(name, p, t)) == towards

        assert bool(right.all()) == leads
        assert bool(torch.allclose(alpha(name, 3 * p, 3 * t), alpha(name, p, t), rtol=1e-12)) == scale_free

    @pytest.mark.parametrize(
        ("name", "least"), [("diff", 1 / 3), ("mobius", 1 / 3), ("linear", 0), ("quadratic", 0), ("ratio", 0)]
    )
    def test_its_lower_limit(self, name, least):
        huge, one = doubles(1e9, 1.0)

        assert alpha(name, huge, one).item() == pytest.approx(least, abs=1e-8)

    @settings(deadline=None)
    @given(st.floats(4.1, 1000))
    def test_variance_leads_away_exactly_beyond_twice_the_root_of_the_area(self, true):
        edge = 2 * true**0.5
        for side in (-1, 1):
            for share, towards in ((0.999, True), (1.001, False)):
                p, t = doubles(true + side * share * edge, true)
                assert (slope("variance", p, t).item() * -side > 0) == towards
            p, t = doubles(true + side * edge, true)
            assert slope("variance", p, t).item() == pytest.approx(0, abs=1e-12)

    def test_the_share_of_areas_where_variance_leads_away(self):
        # 20 px true, 0.5 to 120 px predicted: 85 %; the least weight is near 11.1 px.
        p = torch.linspace(0.5, 120, 20_000, dtype=torch.double)
        t = torch.full_like(p, 20)
        weights = alpha("variance", p, t)

        assert (slope("variance", p, t) * (t - p) < 0).double().mean().item() == pytest.approx(0.85, abs=0.005)
        assert weights.min().item() == pytest.approx(0.776, abs=5e-4)
        assert p[weights.argmin()].item() == pytest.approx(20 - 2 * 20**0.5, abs=0.01)


def square(size=32, row=10, col=14, side=4):
    mask = torch.zeros(1, 1, size, size)
    mask[..., row : row + side, col : col + side] = 1
    return mask


class TestLoss:
    @pytest.mark.parametrize("name", [*FAMILY, None])
    @pytest.mark.parametrize("logit", [-200.0, -20.0, 0.0, 20.0, 200.0])
    @pytest.mark.parametrize("truth", [0.0, 1.0])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
    def test_empty_full_saturated_and_half_inputs_stay_finite(self, name, logit, truth, dtype):
        # 300×300 px overflow half precision if summed in it.
        logits = torch.full((1, 1, 300, 300), logit, dtype=dtype, requires_grad=True)
        loss = scale_loss(logits.sigmoid(), torch.full((1, 1, 300, 300), truth), name)
        loss.sum().backward()

        assert loss.dtype == torch.float32
        assert torch.isfinite(loss).all()
        assert torch.isfinite(logits.grad).all()

    @pytest.mark.parametrize("name", FAMILY)
    @pytest.mark.parametrize("small", [False, True])
    def test_it_falls_to_its_optimum_on_a_fitting_problem(self, name, small):
        # After a warm-up by IoU, as in training: without one the location term finds a blot with the right centroid.
        torch.manual_seed(0)
        mask = square()
        logits = (0.1 * torch.randn(1, 1, 32, 32)).requires_grad_()
        optimiser = torch.optim.Adam([logits], 0.2)
        values = []
        for number in range(250):
            warm = number < 100
            loss = scale_loss(logits.sigmoid(), mask, None if warm else name, locate=not warm, small=small and not warm)
            optimiser.zero_grad()
            loss.sum().backward()
            optimiser.step()
            values.append(loss.item())

        assert values[-1] < 0.01 < 0.5 < values[0]
        assert values[-1] < values[100]
        assert torch.equal(logits.detach() > 0, mask > 0)

    def test_a_perfect_prediction_costs_nothing(self):
        for name in FAMILY:
            torch.testing.assert_close(scale_loss(square(), square(), name), torch.zeros(1), atol=1e-6, rtol=0)

    def test_an_image_without_a_target_costs_its_mean_probability_and_teaches(self):
        probability = torch.full((1, 1, 8, 8), 0.3, requires_grad=True)
        loss = scale_loss(probability, torch.zeros(1, 1, 8, 8), "diff")
        loss.sum().backward()

        torch.testing.assert_close(loss.detach(), torch.tensor([0.3]))
        assert (probability.grad == 1 / 64).all()

    def test_one_images_loss_does_not_depend_on_the_others(self):
        generator = torch.Generator().manual_seed(0)
        probability, mask = torch.rand(3, 1, 16, 16, generator=generator), square(16, 3, 5).repeat(3, 1, 1, 1)
        mask[1] = 0

        whole = scale_loss(probability, mask, "mobius")

        for number in range(3):
            torch.testing.assert_close(
                whole[number : number + 1],
                scale_loss(probability[number : number + 1], mask[number : number + 1], "mobius"),
            )

    def test_the_whole_by_hand(self):
        # 8 of 16 true pixels and 4 others at one half: I = 4, p = 6, t = 16.
        mask, probability = square(), torch.zeros(1, 1, 32, 32)
        probability[..., 10:12, 14:18] = 0.5
        probability[..., 20, 14:18] = 0.5
        weight = (6 + 5) / (16 + 5)

        got = scale_loss(probability, mask, "diff", locate=False)

        torch.testing.assert_close(got, torch.tensor([1 - weight * 4 / 18]))

    def test_small_targets_weigh_location_more(self):
        # SD loss: 1 + β and 1 - β with β = t · (512² / hw) · δ / 81, at most δ = 1/2.
        near, far = square(64, 10, 14, 1), square(64, 40, 44, 1)
        plain = scale_loss(near, far, "variance", locate=False), location(near, far)
        beta = min(512**2 / 64**2 * 0.5 / 81, 0.5)

        got = scale_loss(near, far, "variance", small=True)

        torch.testing.assert_close(got, (1 + beta) * plain[0] + (1 - beta) * plain[1])


class TestLocation:
    def test_by_hand(self):
        # Centroids at (8, 0) and (0, 16) of 32: distances 1/4 and 1/2, angles 90° and 0.
        one, other = torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32)
        one[..., 8, 0], other[..., 0, 16] = 1, 1

        torch.testing.assert_close(location(one, other), torch.tensor([1 - 0.5 + 1.0]), atol=1e-3, rtol=0)

    def test_the_centroid_of_mshnets_code_punishes_area_and_ours_does_not(self):
        mask = square(side=5)
        half = 0.5 * mask

        assert location(half, mask).item() == pytest.approx(0, abs=1e-5)
        assert location(half, mask, "pixels").item() == pytest.approx(0.5, abs=1e-3)
