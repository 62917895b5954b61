"""Layers against formulas written out by hand."""

import numpy as np
import pytest
import torch

from irstd.layers.attention import ChannelAttention, SpatialAttention, SqueezeExcite
from irstd.layers.gradient import GradientMagnitude


def test_the_gradient_is_a_central_difference_with_black_beyond_the_border(rng):
    x = rng.random((5, 6))
    around = np.pad(x, 1)
    rows, cols = (around[2:, 1:-1] - around[:-2, 1:-1]) / 2, (around[1:-1, 2:] - around[1:-1, :-2]) / 2

    got = GradientMagnitude()(torch.from_numpy(x)[None, None])[0, 0].numpy()

    np.testing.assert_allclose(got, np.hypot(rows, cols), atol=1e-6)


@pytest.mark.parametrize("operator", ["central", "sobel"])
def test_a_ramp_has_its_slope_everywhere_inside(operator):
    ramp = torch.arange(8.0).repeat(8, 1)[None, None] * 3

    got = GradientMagnitude(operator, "replicate")(ramp)[0, 0, 1:-1, 1:-1]

    torch.testing.assert_close(got, torch.full((6, 6), 3.0))


def test_replicating_the_border_leaves_no_frame():
    flat = torch.full((1, 1, 6, 6), 0.8)

    assert GradientMagnitude(border="replicate")(flat).max() < 1e-5
    assert GradientMagnitude(border="zeros")(flat).max() == pytest.approx(0.4 * 2**0.5, rel=1e-5)


def test_the_gradient_of_the_gradient_image_is_finite_on_a_flat_image():
    flat = torch.full((1, 1, 6, 6), 0.8, requires_grad=True)

    GradientMagnitude()(flat).sum().backward()

    assert flat.grad.isfinite().all()


def test_attention_gates_are_what_the_formulas_say():
    torch.manual_seed(0)
    x = torch.randn(2, 16, 5, 7)
    squeeze, channel, spatial = SqueezeExcite(16), ChannelAttention(16), SpatialAttention()

    first, second = squeeze.gate[0].weight, squeeze.gate[2].weight
    gate = torch.sigmoid(second @ torch.relu(first @ x.mean((2, 3)).T)).T
    torch.testing.assert_close(squeeze(x), x * gate[:, :, None, None])

    a, b = channel.mlp[0].weight[:, :, 0, 0], channel.mlp[2].weight[:, :, 0, 0]
    both = sum(b @ torch.relu(a @ v.T) for v in (x.amax((2, 3)), x.mean((2, 3))))
    torch.testing.assert_close(channel(x)[:, :, 0, 0], torch.sigmoid(both).T)

    stacked = torch.stack([x.amax(1), x.mean(1)], 1)
    torch.testing.assert_close(spatial(x), torch.sigmoid(spatial.conv(stacked)))
    assert [sum(p.numel() for p in SpatialAttention(bias=b).parameters()) for b in (True, False)] == [99, 98]
