"""Gaussian convolutions: what they equal, what they learn, what they remember; and the swap."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from irstd.errors import InputError
from irstd.inference.profiling import parameters
from irstd.layers.gaussian import GaussianConv2d, GaussianConv3d, taps
from irstd.layers.replace import replace_convs, under_gaussian

WAYS = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 7, "padding": 3, "stride": 2},
    {"kernel_size": 3, "padding": 2, "dilation": 2},
    {"kernel_size": 4, "padding": 0},
    {"kernel_size": (1, 5), "padding": (0, 2), "groups": 2},
]


def pair(**way):
    """An ordinary convolution, and one with the same weights under a Gaussian."""
    torch.manual_seed(0)
    plain = nn.Conv2d(4, 6, **way)
    return plain, under_gaussian(plain, 1e6, project=False)


class TestEnvelope:
    @pytest.mark.parametrize("way", WAYS)
    def test_under_a_wide_gaussian_it_is_an_ordinary_convolution(self, way):
        plain, _ = pair(**way)
        wide = GaussianConv2d(4, 6, **way, sigma=1e4, limits=(0.01, 1e6))
        wide.load_state_dict({**plain.state_dict(), "log_sigma": wide.log_sigma})
        x = torch.rand(2, 4, 17, 19)

        torch.testing.assert_close(wide(x), plain(x))
        assert parameters(wide) == parameters(plain) + 1

    @pytest.mark.parametrize("way", WAYS)
    def test_projected_weights_compute_the_same_and_kept_ones_do_not(self, way):
        plain, _ = pair(**way)
        x = torch.rand(2, 4, 17, 19)

        torch.testing.assert_close(under_gaussian(plain)(x), plain(x), atol=1e-5, rtol=1e-4)
        assert not torch.allclose(under_gaussian(plain, 0.8, project=False)(x), plain(x), atol=1e-3)

    def test_a_gaussian_too_narrow_to_project_is_refused(self):
        with pytest.raises(InputError, match="make sigma larger"):
            under_gaussian(nn.Conv2d(1, 1, 7), 0.5)

    def test_slopes_reach_weights_and_width_and_are_right(self):
        layer = GaussianConv2d(2, 3, 3, padding=1).double()
        x = torch.rand(1, 2, 5, 5, dtype=torch.double)

        def output(weight, log_sigma):
            return torch.func.functional_call(layer, {"weight": weight, "log_sigma": log_sigma}, (x,))

        assert torch.autograd.gradcheck(output, (layer.weight, layer.log_sigma))


class TestFixed:
    def test_it_is_the_gaussian_itself_of_unit_sum(self):
        layer = GaussianConv2d(1, 1, 7, padding=3, bias=False, mode="fixed", sigma=1.2)
        spot = torch.zeros(1, 1, 15, 15)
        spot[..., 7, 7] = 1
        places = torch.arange(-3, 4.0)
        expected = torch.exp(-(places[:, None] ** 2 + places**2) / (2 * 1.2**2))

        got = layer(spot)[0, 0, 4:11, 4:11]

        torch.testing.assert_close(got, expected / expected.sum())
        assert parameters(layer) == 1

    def test_groups_are_summed_and_blurred(self):
        layer = GaussianConv2d(4, 2, 3, padding=1, groups=2, bias=False, mode="fixed")
        alone = GaussianConv2d(1, 1, 3, padding=1, bias=False, mode="fixed")
        x = torch.rand(2, 4, 9, 9)

        expected = torch.cat([alone(x[:, k : k + 2].sum(1, keepdim=True)) for k in (0, 2)], 1)

        torch.testing.assert_close(layer(x), expected)

    @pytest.mark.parametrize("size", [3, 4])
    def test_however_narrow_it_is_finite(self, size):
        layer = GaussianConv2d(1, 1, size, mode="fixed", sigma=1e-6)

        assert layer.sigma().item() == pytest.approx(0.01)
        assert layer.kernel().sum().item() == pytest.approx(1)

    def test_the_slope_of_its_width_moves_mass_outwards(self):
        # ∂K/∂s = K (r²/σ² - E_K[r²]/σ²), with σ = exp(s); methods.md B.4
        layer = GaussianConv2d(1, 1, 7, bias=False, mode="fixed").double()
        kernel, squared, sigma = layer.kernel()[0, 0], layer.squared.double(), layer.sigma()
        slopes = torch.autograd.functional.jacobian(
            lambda s: torch.func.functional_call(
                layer, {"log_sigma": s}, (torch.eye(49, dtype=torch.double).view(49, 1, 7, 7),)
            ).flatten(),
            layer.log_sigma,
        )

        expected = kernel * (squared - (kernel * squared).sum()) / sigma**2

        torch.testing.assert_close(slopes.view(7, 7), expected.detach(), atol=1e-10, rtol=0)


class TestOverTime:
    def test_frozen_in_time_it_is_the_two_dimensional_one(self):
        flat = GaussianConv2d(1, 1, 5, padding=2, bias=False, mode="fixed")
        layer = GaussianConv3d(1, 1, (1, 5, 5), padding=(0, 2, 2), bias=False, mode="fixed")
        frames = torch.rand(2, 1, 4, 9, 9)

        got = layer(frames)

        for number in range(4):
            torch.testing.assert_close(got[:, :, number], flat(frames[:, :, number]))

    def test_it_answers_most_to_the_velocity_it_has(self):
        # A spot that moves one column a frame.
        frames = torch.zeros(1, 1, 5, 11, 15)
        for time in range(5):
            frames[0, 0, time, 5, 5 + time] = 1
        answers = {
            speed: GaussianConv3d(1, 1, 5, padding=2, bias=False, mode="fixed", velocity=(0.0, speed), sigma=1.0)(
                frames
            )[0, 0, 2, 5, 7].item()
            for speed in (-1.0, 0.0, 1.0)
        }

        assert answers[1.0] > answers[0.0] > answers[-1.0]

    def test_slopes_reach_width_duration_and_velocity(self):
        layer = GaussianConv3d(1, 2, 3, padding=1, mode="envelope").double()
        x = torch.rand(1, 1, 4, 5, 5, dtype=torch.double)
        names = ("weight", "log_sigma", "log_duration", "velocity")

        def output(*values):
            return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

        assert torch.autograd.gradcheck(output, tuple(getattr(layer, n) for n in names))


class TestMemory:
    def test_the_kernel_is_computed_once_in_inference_and_anew_when_a_parameter_changes(self):
        layer = GaussianConv2d(2, 2, 3).eval()
        x = torch.rand(1, 2, 8, 8)
        with torch.no_grad():
            first = layer.now()
            assert layer.now() is first
            layer.log_sigma.add_(0.5)
            assert layer.now() is not first
            torch.testing.assert_close(layer(x), F.conv2d(x, layer.kernel(), layer.bias))
            layer.load_state_dict(GaussianConv2d(2, 2, 3).state_dict())
            torch.testing.assert_close(layer.now(), layer.kernel())

    def test_training_and_autograd_never_use_the_memory(self):
        layer = GaussianConv2d(2, 2, 3).eval()
        with torch.inference_mode():
            layer.now()

        assert layer.now().requires_grad
        assert layer.train().now().requires_grad
        copy.deepcopy(layer)

    def test_a_cast_is_noticed(self):
        layer = GaussianConv2d(2, 2, 3).eval()
        with torch.no_grad():
            layer.now()
            assert layer.double().now().dtype == torch.double


class TestReplace:
    def network(self):
        shared = nn.Conv2d(4, 4, 3, padding=1)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Sequential(shared, nn.ReLU(), shared), nn.Conv2d(4, 1, 1)
        )

    def test_chosen_convolutions_are_replaced_and_the_parameters_told(self):
        network = self.network()
        x = torch.rand(1, 1, 8, 8)
        before = network(x)

        done = replace_convs(network, lambda _name, conv: conv.kernel_size == (3, 3))

        assert done.names == ("0", "2.0", "2.2")
        assert done.after - done.before == 2  # the shared one counts once
        assert network[2][0] is network[2][2]
        assert "3 convolutions replaced" in str(done)
        torch.testing.assert_close(network(x), before)

    def test_nothing_chosen_and_a_lone_convolution_are_refused(self):
        with pytest.raises(InputError, match="none of the 4 convolutions"):
            replace_convs(self.network(), lambda _name, _conv: False)
        with pytest.raises(InputError, match="itself a convolution"):
            replace_convs(nn.Conv2d(1, 1, 3), lambda _name, _conv: True)


def test_taps_of_an_even_kernel_lie_beside_its_centre():
    assert taps(4).tolist() == [-1.5, -0.5, 0.5, 1.5]
