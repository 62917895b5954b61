"""The rotated mask, the choice of an angle, and the U-Net that holds them."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from irstd import methods
from irstd.inference.profiling import gmac, parameters
from irstd.layers.attention import mean_and_maximum
from irstd.layers.pinwheel import OrientedGaussian2d, PinwheelConv2d, arm_mask, largest, period
from irstd.methods import Step
from irstd.methods import gaussian_pinwheel as unet

SHARP = torch.tensor(1e-3)


def bar(degrees, **how):
    return arm_mask(torch.tensor([math.radians(degrees)]), SHARP, **how)[0] > 0.5


class TestMask:
    def test_the_drawn_masks(self):
        assert bar(0, size=5).nonzero().tolist() == [[2, k] for k in range(5)]
        assert bar(90, size=5).nonzero().tolist() == [[k, 2] for k in range(5)]
        assert bar(45, size=5).nonzero().tolist() == [[1, 1], [2, 2], [3, 3]]  # along a row towards larger rows
        cross = bar(0, size=5, arms=2)
        assert torch.equal(cross, bar(0, size=5) | bar(90, size=5))
        # Four blades on one side each, and the centre.
        blades = bar(0, size=5, arms=4, chiral=True)
        assert blades.int().tolist() == [
            [0, 0, 0, 1, 0],
            [1, 1, 0, 1, 0],
            [0, 0, 1, 0, 0],
            [0, 1, 0, 1, 1],
            [0, 1, 0, 0, 0],
        ]

    @settings(deadline=None)
    @given(st.floats(-180, 180), st.integers(1, 4), st.booleans())
    def test_it_repeats_after_its_period_and_turns_with_its_angle(self, degrees, arms, chiral):
        angle = torch.tensor([math.radians(degrees)], dtype=torch.double)
        softness = torch.tensor(0.2, dtype=torch.double)
        mask = arm_mask(angle, softness, arms=arms, chiral=chiral)

        repeated = arm_mask(angle + period(arms, chiral=chiral), softness, arms=arms, chiral=chiral)
        turned = arm_mask(angle + math.pi / 2, softness, arms=arms, chiral=chiral)

        torch.testing.assert_close(repeated, mask, atol=1e-5, rtol=0)  # π is rounded
        torch.testing.assert_close(turned, mask.rot90(-1, (1, 2)), atol=1e-5, rtol=0)

    def test_only_blades_differ_from_their_mirror_image(self):
        for arms in (1, 2, 4):
            assert torch.equal(bar(0, arms=arms), bar(0, arms=arms).flip(0))
        blades = bar(0, arms=4, chiral=True)
        assert not any(torch.equal(blades, blades.flip(0).rot90(k)) for k in range(4))


def distances(layer):
    """L1 distances of the kernels of all pairs of candidate angles; they are of unit mass."""
    kernels = layer.kernel().detach()
    return [(a - b).abs().sum().item() for a, b in itertools.combinations(kernels, 2)]


class TestCandidates:
    @pytest.mark.parametrize("shape", [{}, {"arms": 2}, {"arms": 4, "chiral": True}, {"arms": 1, "chiral": True}])
    def test_kernels_of_all_candidate_angles_are_distinct(self, shape):
        assert min(distances(OrientedGaussian2d(**shape))) >= 0.4

    def test_the_star_of_eight_arms_is_degenerate(self):
        # Turned by 45° steps, as its public code does, the star is itself again, or nearly.
        turns = torch.arange(4) * math.pi / 4
        masks = (arm_mask(turns, SHARP, arms=4) > 0.5).float()
        gauss = OrientedGaussian2d(arms=4).squared.div(-2 * 1.5**2).exp()
        kernels = masks * gauss / (masks * gauss).sum((1, 2), keepdim=True)

        assert max((a - b).abs().sum() for a, b in itertools.combinations(kernels, 2)) < 0.2

    def test_the_hard_mask_is_binary_and_has_the_slopes_of_the_soft_one(self):
        hard, soft = (
            OrientedGaussian2d(softness=0.4, angle=0.3),
            OrientedGaussian2d(softness=0.4, angle=0.3, estimator="soft"),
        )
        assert set(hard.masks().unique().tolist()) == {0, 1}
        assert not set(soft.masks().unique().tolist()) <= {0, 1}

        weights = torch.rand(4, 7, 7)
        for layer in (hard, soft):
            (layer.masks() * weights).sum().backward()
        for name in ("angle", "log_softness"):
            slope = getattr(hard, name).grad
            torch.testing.assert_close(slope, getattr(soft, name).grad)
            assert slope.abs() > 1e-3

    def test_slopes_are_the_finite_differences_of_the_soft_mask(self):
        layer = OrientedGaussian2d(softness=0.4, angle=0.3, estimator="soft").double()
        x = torch.rand(1, 1, 9, 9, dtype=torch.double)
        names = ("log_sigma", "angle", "log_softness")

        def output(*values):
            return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

        assert torch.autograd.gradcheck(output, tuple(getattr(layer, n) for n in names))

    def test_one_candidate_is_the_plain_masked_kernel(self):
        layer = OrientedGaussian2d(candidates=1)
        x = torch.rand(2, 1, 16, 16)

        torch.testing.assert_close(layer(x), nn.functional.conv2d(x, layer.kernel(), padding=3))

    def test_an_even_kernel_is_refused(self):
        with pytest.raises(ValueError, match="make it odd"):
            OrientedGaussian2d(6)


class TestChoice:
    @pytest.mark.parametrize(("degrees", "expected"), [(0, 0), (45, 1), (90, 2), (135, 3)])
    def test_a_line_chooses_its_own_angle(self, degrees, expected):
        line = bar(degrees, size=21).float()[None, None]
        layer = OrientedGaussian2d()

        assert layer.chosen(layer.responses(line))[0, 0, 10, 10] == expected

    @settings(deadline=None, max_examples=20)
    @given(st.integers(0, 1000), st.sampled_from([1, 2]))
    def test_turning_the_image_by_90_degrees_turns_the_choice(self, seed, arms):
        image = torch.rand(1, 1, 15, 15, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
        layer = OrientedGaussian2d(arms=arms).double()
        steps = round(math.pi / 2 / (period(arms) / 4)) % 4

        before = layer.chosen(layer.responses(image))
        after = layer.chosen(layer.responses(image.rot90(-1, (2, 3))))

        assert torch.equal(after, (before.rot90(-1, (2, 3)) + steps) % 4)
        torch.testing.assert_close(layer(image.rot90(-1, (2, 3))), layer(image).rot90(-1, (2, 3)))

    @given(st.integers(0, 1000))
    def test_the_fast_choice_is_that_of_argmax(self, seed):
        answers = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(seed))

        assert torch.equal(largest(answers), answers.gather(1, answers.abs().argmax(1, keepdim=True)))

    @pytest.mark.parametrize("selection", ["pixel", "image"])
    def test_slopes_are_those_of_the_straight_through_estimator(self, selection):
        # y = Σ_k (chosen_k + π_k - const(π_k)) y_k, written out.
        torch.manual_seed(0)
        layer = OrientedGaussian2d(selection=selection, temperature=0.3).double()
        x, weights = torch.randn(2, 1, 9, 9, dtype=torch.double), torch.randn(2, 1, 9, 9, dtype=torch.double)
        answers = layer.responses(x)
        shares = layer._shares(answers)
        one_hot = torch.zeros_like(shares).scatter(1, shares.argmax(1, keepdim=True), 1)
        expected = ((one_hot + shares - shares.detach()) * answers).sum(1, keepdim=True)
        names = [layer.log_sigma, layer.angle, layer.log_softness]

        got = layer(x)

        torch.testing.assert_close(got, expected)
        slopes = [torch.autograd.grad((y * weights).sum(), names, retain_graph=True) for y in (got, expected)]
        torch.testing.assert_close(*slopes)
        assert all(s.abs() > 0 for s in slopes[0][:2])

    def test_without_slopes_the_choice_is_the_same(self):
        layer, x = OrientedGaussian2d().eval(), torch.rand(1, 1, 12, 12)
        with torch.no_grad():
            quick = layer(x)

        torch.testing.assert_close(quick, layer(x).detach())

    def test_soft_routing_comes_near_the_hard_choice_as_it_grows_cold(self):
        x = torch.rand(1, 1, 12, 12)
        hard = OrientedGaussian2d(softness=1e-3)
        soft = OrientedGaussian2d(softness=1e-3, estimator="soft", temperature=1e-5)

        torch.testing.assert_close(soft(x), hard(x), atol=1e-4, rtol=1e-4)


def test_mean_and_maximum_has_the_slopes_of_its_parts():
    x = torch.randn(2, 3, 4, 4, dtype=torch.double, requires_grad=True)

    torch.testing.assert_close(mean_and_maximum(x), x.mean(1, keepdim=True) + x.amax(1, keepdim=True))
    assert torch.autograd.gradcheck(mean_and_maximum, (x,))


class TestPinwheelConvolution:
    @pytest.mark.parametrize("stride", [1, 2])
    @pytest.mark.parametrize("length", [3, 4])
    def test_sizes_and_parameters(self, length, stride):
        layer = PinwheelConv2d(8, 8, length, stride)

        assert layer(torch.rand(2, 8, 16, 20)).shape == (2, 8, 16 // stride, 20 // stride)
        # c²(k/2 + 4) weights, and batch normalisation after each of three convolutions.
        assert parameters(layer) == 8 * 8 * (length / 2 + 4) + 2 * (2 + 2 + 8)

    def test_its_field_of_view_is_a_pinwheel(self):
        layer = PinwheelConv2d(1, 4, 3).eval()
        spot = torch.zeros(1, 1, 15, 15, requires_grad=True)
        layer(spot)[..., 7, 7].sum().backward()

        seen = spot.grad[0, 0] != 0
        assert seen.sum() == 25  # the paper's receptive field of PConv(3)
        assert torch.equal(seen, seen.rot90(1))

    def test_channels_that_cannot_be_parted_are_refused(self):
        with pytest.raises(ValueError, match="multiple of 4"):
            PinwheelConv2d(3, 6)


class TestNetwork:
    @pytest.mark.parametrize(
        ("attention", "expected"), [("plain", 4_065_513), ("gaussian", 4_063_961), ("pinwheel", 4_063_993)]
    )
    def test_parameters(self, attention, expected):
        assert parameters(unet.GaussianPinwheelUNet(unet.Options(attention=attention))) == expected

    def test_parameters_module_by_module(self):
        network = unet.GaussianPinwheelUNet(unet.Options(attention="plain"))

        # Two 3×3 convolutions with bias and batch normalisation, channel attention, 98 weights, a shortcut.
        def block(a, c):
            shortcut = 0 if a == c else a * c + c + 2 * c
            return 9 * a * c + c + 9 * c * c + c + 4 * c + 2 * c * (c // 16) + 98 + shortcut

        assert parameters(network.entry) == 3 * 16 + 16
        for stage, a, c, count in zip(
            network.encoder, (16, 16, 32, 64, 128), (16, 32, 64, 128, 256), (1, 2, 2, 2, 2), strict=True
        ):
            assert parameters(stage) == block(a, c) + (count - 1) * block(c, c)
        for stage, low, high, count in zip(
            network.decoder, (16, 32, 64, 128), (32, 64, 128, 256), (1, 2, 2, 2), strict=True
        ):
            assert parameters(stage) == block(low + high, low) + (count - 1) * block(low, low)
        assert parameters(network.sides) == 16 + 32 + 64 + 128 + 4
        assert parameters(network.final) == 4 * 9 + 1

    def test_multiply_adds(self):
        # MSHNet's published 6.11 by thop, which counts more kinds of layer than convolutions.
        assert gmac(unet.GaussianPinwheelUNet(unet.Options(attention="plain"))) == pytest.approx(6.11, rel=0.02)

    def test_maps_of_five_heads_in_training_one_in_inference_and_in_warm_up(self):
        options = unet.Options(width=16)
        network, image = unet.GaussianPinwheelUNet(options), torch.rand(2, 1, 32, 48)
        sizes = lambda: [tuple(m.shape[-2:]) for m in network(image)]  # noqa: E731

        assert sizes() == [(32, 48), (32, 48), (16, 24), (8, 12), (4, 6)]
        unet.at_epoch(network, Step(0, 100, 0), options)
        assert sizes() == [(32, 48)]
        unet.at_epoch(network, Step(5, 100, 0), options)  # the sixth epoch
        assert sizes() == [(32, 48)]
        unet.at_epoch(network, Step(6, 100, 0), options)
        assert len(sizes()) == 5
        unet.at_epoch(network, Step(1, 5, 0), options)  # a fifth of a short training
        assert len(sizes()) == 5
        network.eval()
        assert sizes() == [(32, 48)]

    def test_weights_of_the_warm_up_remember_which_head_they_have(self):
        options = unet.Options()
        warm, fresh = unet.GaussianPinwheelUNet(options), unet.GaussianPinwheelUNet(options)
        unet.at_epoch(warm, Step(0, 100, 0), options)
        fresh.load_state_dict(warm.state_dict())
        image = torch.rand(1, 1, 32, 32)

        assert fresh.warm
        torch.testing.assert_close(fresh.eval()(image), warm.eval()(image))

    @pytest.mark.parametrize(
        "loss", ["diff", "variance", "mobius", "linear", "quadratic", "ratio", "log_ratio", "sd", "soft_iou"]
    )
    def test_every_loss_reaches_every_parameter(self, loss):
        options = unet.Options(loss=loss)
        network = unet.GaussianPinwheelUNet(options)
        mask = torch.zeros(2, 1, 32, 32)
        mask[0, 0, 10:13, 20:24] = 1
        unet.loss(network(torch.rand(2, 1, 32, 32)), mask, Step(9, 10, 0), options).mean().backward()

        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
        for name in ("log_sigma", "angle"):
            assert any(p.grad.abs() > 0 for n, p in network.named_parameters() if n.endswith(name))

    def test_what_is_watched(self):
        options = unet.Options()
        network = unet.GaussianPinwheelUNet(options)
        mask = torch.zeros(2, 1, 32, 32)
        mask[0, 0, 10:13, 20:24] = 1

        seen = unet.watch(network, network(torch.rand(2, 1, 32, 32)), mask)

        assert seen["true area"] == 12  # the image without a target does not count
        assert sum(name.startswith("sigma ") for name in seen) == sum(name.startswith("angle ") for name in seen) == 16
        assert not any(value.requires_grad for value in seen.values())

    @pytest.mark.parametrize("row", ["mshnet", "plain", "gaussian", "pconv", "soft", "mobius", "linear"])
    def test_the_rows_of_the_ablation_are_rows(self, row):
        from irstd.config import params
        from pipelines.lookup import method_of

        method, options = method_of(params.load("params.yaml"), f"gaussian_pinwheel-{row}")

        assert method is methods.get("gaussian_pinwheel")
        assert options != unet.Options()
