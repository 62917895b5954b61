"""Decoding: equal to plain loops on random maps, unbiased under flips, exact on Gaussians."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irstd.layers.peaks import local_maxima, merged, peaks
from irstd.losses.heatmap import gaussian_heatmap, to_cells, to_px
from irstd.methods import point_regression
from tests.reference import peaks as slow


def random_maps(seed, size=(12, 17)):
    generator = torch.Generator().manual_seed(seed)
    heat = torch.rand(2, 1, *size, generator=generator)
    # Smoothed, so that maxima are not everywhere.
    heat = torch.nn.functional.avg_pool2d(heat, 3, 1, 1)
    return heat, torch.rand(2, 2, *size, generator=generator) - 0.5


@settings(deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from([0.2, 0.5]),
    st.sampled_from([1.0, 0.2]),
    st.sampled_from([3, 5]),
    st.sampled_from([0.0, 1.5, 4.0]),
)
def test_decoding_is_that_of_plain_loops(seed, least, relative, window, merge):
    heat, offset = random_maps(seed)

    got = peaks(heat, offset, least=least, relative=relative, window=window, merge=merge)

    for number in range(2):
        expected = slow.peaks(heat[number, 0].numpy(), offset[number].numpy(), least, relative, window, merge)
        np.testing.assert_allclose(got[number].numpy(), np.array(expected).reshape(-1, 3), atol=1e-5)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000))
def test_windows_that_adapt_are_those_of_plain_loops(seed):
    heat, offset = random_maps(seed)
    spread = 4.5 * torch.rand(heat.shape, generator=torch.Generator().manual_seed(seed))

    got = peaks(heat, offset, spread, least=0.3)

    for number in range(2):
        maps = heat[number, 0].numpy(), offset[number].numpy()
        expected = slow.peaks(*maps, 0.3, 1.0, 3, 1.5, spread[number, 0].numpy())
        np.testing.assert_allclose(got[number].numpy(), np.array(expected).reshape(-1, 3), atol=1e-5)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000))
def test_steps_of_dark_are_those_of_plain_loops(seed):
    heat, offset = random_maps(seed)
    heat = torch.nn.functional.avg_pool2d(heat.double(), 5, 1, 2)  # smooth, so that most peaks are bent

    got = peaks(heat, offset.double(), least=0.3, subpixel="dark", blur=0.0)

    for number in range(2):
        expected = slow.peaks(heat[number, 0].numpy(), None, 0.3, 1.0, 3, 1.5, dark=True)
        np.testing.assert_allclose(got[number].numpy(), np.array(expected).reshape(-1, 3), atol=1e-4)


@pytest.mark.parametrize("subpixel", ["offset", "dark", "none"])
@given(seed=st.integers(0, 10_000), axis=st.sampled_from([0, 1]))
@settings(deadline=None, max_examples=30)
def test_a_flipped_map_gives_flipped_points(subpixel, seed, axis):
    # Doubles: where a map is nearly flat, Newton's step magnifies what rounding leaves of single precision.
    heat, offset = (layer.double() for layer in random_maps(seed))
    turned = offset.flip(2 + axis)
    turned[:, axis] = -turned[:, axis]

    got = peaks(heat, offset, least=0.3, subpixel=subpixel)
    mirrored = peaks(heat.flip(2 + axis), turned, least=0.3, subpixel=subpixel)

    for one, other in zip(got, mirrored, strict=True):
        other[:, axis] = heat.shape[2 + axis] - 1 - other[:, axis]
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)


@given(row=st.floats(4, 26), col=st.floats(4, 26))
@settings(deadline=None)
def test_dark_finds_a_gaussians_centre_between_cells(row, col):
    heat = gaussian_heatmap(torch.tensor([[[row, col]]]), 1.0, 32, 32)

    ((found, *_),) = peaks(heat, torch.zeros(1, 2, 32, 32), subpixel="dark", merge=3.0)

    assert abs(found[0] - row) < 0.02 and abs(found[1] - col) < 0.02


def test_dark_takes_no_step_where_there_is_no_peak_or_no_room():
    flat = torch.full((1, 1, 9, 9), 0.5)
    corner = torch.zeros(1, 1, 9, 9)
    corner[..., 0, 0] = 0.9

    assert [[0.0, 0.0]] == peaks(corner, torch.zeros(1, 2, 9, 9), subpixel="dark", blur=0.0)[0][:, :2].tolist()
    assert peaks(flat, torch.zeros(1, 2, 9, 9), subpixel="dark", merge=0.0)[0][:, :2].frac().abs().max() == 0


def test_windows_grow_with_the_spread():
    heat = torch.zeros(1, 1, 1, 9)
    heat[0, 0, 0, [2, 4]] = torch.tensor([0.9, 0.8])

    def number(spread):
        return int((local_maxima(heat, 3, spread) & (heat > 0)).sum())

    assert number(None) == 2
    assert number(torch.full_like(heat, 0.9)) == 2
    assert number(torch.full_like(heat, 1.1)) == 1


def test_of_close_points_the_best_stays_and_what_it_drops_drops_nothing():
    points = torch.tensor([[[0.0, 0.0], [0.0, 1.0], [0.0, 2.0], [9.0, 9.0]]])

    kept = merged(points, torch.tensor([[True, True, True, False]]), 1.5)

    assert kept.tolist() == [[True, False, True, False]]


def test_the_map_from_px_to_cells_is_undone_and_keeps_the_image_centre():
    px = torch.linspace(-0.5, 20, 50)

    torch.testing.assert_close(to_px(to_cells(px, 2), 2), px)
    assert to_cells(torch.tensor(255 / 2), 2) == 127 / 2


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_perfect_maps_are_decoded_to_a_tenth_of_a_pixel(seed):
    rng = np.random.default_rng(seed)
    points = torch.tensor(rng.uniform(10, 54, (1, 3, 2)), dtype=torch.float32)
    apart = torch.cdist(points[0], points[0]) + 99 * torch.eye(3)
    if apart.min() < 16:
        return
    cells = to_cells(points, 2)
    heat = gaussian_heatmap(cells, 1.0, 32, 32).clamp(1e-4, 1 - 1e-4)
    for subpixel in ("offset", "dark"):
        maps = torch.cat([torch.logit(heat), torch.zeros(1, 3, 32, 32)], 1)
        for cell in cells[0]:
            row, col = cell.round().long()
            maps[0, 1:3, row, col] = cell - cell.round()
        found = point_regression.decode(maps, point_regression.Options(subpixel=subpixel)).points[0][:, :2]

        nearest = torch.cdist(points[0], found).min(1).values
        assert len(found) == 3 and nearest.max() < 0.1
