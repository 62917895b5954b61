"""Targets and losses of point regression against their definitions, cell by cell."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from irstd.losses.heatmap import around_peaks, focal, gaussian_heatmap, nearest_cells, weighted_mse

NAN = math.nan
CENTRES = torch.tensor([[[3.2, 4.7], [8.5, 1.0]], [[NAN, NAN], [NAN, NAN]]])


def test_the_heatmap_is_the_highest_gaussian_at_each_cell():
    got = gaussian_heatmap(CENTRES, 1.3, 10, 12)

    for row in range(10):
        for col in range(12):
            expected = max(math.exp(-((row - r) ** 2 + (col - c) ** 2) / (2 * 1.3**2)) for r, c in CENTRES[0].tolist())
            assert float(got[0, 0, row, col]) == pytest.approx(expected, abs=1e-6)
    assert got[1].abs().max() == 0


def test_each_target_may_have_its_own_spread():
    both = gaussian_heatmap(CENTRES[:1], torch.tensor([[0.8, 2.0]]), 10, 12)
    alone = [gaussian_heatmap(CENTRES[:1, k : k + 1], s, 10, 12) for k, s in enumerate((0.8, 2.0))]

    torch.testing.assert_close(both, torch.maximum(*alone))


@given(st.floats(-0.49, 9.49), st.floats(-0.49, 11.49))
def test_a_centre_marks_the_cell_it_lies_in(row, col):
    got = nearest_cells(torch.tensor([[[row, col]]]), 10, 12)

    (place,) = got[0, 0].nonzero().tolist()
    assert got.sum() == 1
    assert abs(place[0] - row) <= 0.5 and abs(place[1] - col) <= 0.5


def test_focal_is_its_formula():
    logits = torch.randn(2, 1, 10, 12, generator=torch.Generator().manual_seed(0))
    heatmap, peaks = gaussian_heatmap(CENTRES, 1.0, 10, 12), nearest_cells(CENTRES, 10, 12)

    got = focal(logits, heatmap, peaks)

    for image, count in ((0, 2), (1, 1)):
        total = 0.0
        for x, y, peak in zip(*(t[image].flatten().tolist() for t in (logits, heatmap, peaks)), strict=True):
            p = 1 / (1 + math.exp(-x))
            total -= (1 - p) ** 2 * math.log(p) if peak else (1 - y) ** 4 * p**2 * math.log(1 - p)
        assert float(got[image]) == pytest.approx(total / count, rel=1e-4)


@pytest.mark.parametrize(
    "loss",
    [lambda x: focal(x, torch.zeros_like(x), torch.zeros_like(x)), lambda x: weighted_mse(x, torch.zeros_like(x))],
)
@pytest.mark.parametrize("value", [-200.0, 0.0, 200.0])
def test_losses_and_gradients_are_finite_for_saturated_maps_and_half_precision(loss, value):
    for kind in (torch.float32, torch.float16, torch.bfloat16):
        logits = torch.full((1, 1, 4, 4), value, dtype=kind, requires_grad=True)

        got = loss(logits)
        got.sum().backward()

        assert got.dtype == torch.float32
        assert got.isfinite().all() and logits.grad.isfinite().all()


def test_weighted_mse_weighs_cells_of_targets():
    heatmap = torch.tensor([[[[1.0, 0.5, 0.0]]]])

    got = weighted_mse(torch.zeros(1, 1, 1, 3), heatmap, weight=10.0)

    assert float(got) == pytest.approx(0.25 * 11 + 0.0 * 6 + 0.25 * 1)


def test_offsets_are_learnt_around_the_peak_each_leading_to_the_centre():
    centres = torch.tensor([[[3.2, 4.7]]])
    rows, cols = torch.meshgrid(torch.arange(10.0), torch.arange(12.0), indexing="ij")
    right = torch.stack([3.2 - rows, 4.7 - cols])[None]
    wrong = right + 0.25

    assert float(around_peaks(right, centres - centres.round(), centres)) == pytest.approx(0, abs=1e-6)
    assert float(around_peaks(wrong, centres - centres.round(), centres)) == pytest.approx(0.5)


def test_only_cells_inside_the_map_count_and_only_targets_that_are_there():
    values = torch.zeros(2, 1, 10, 12)
    corner = torch.tensor([[[0.0, 0.0], [NAN, NAN]], [[NAN, NAN], [NAN, NAN]]])

    got = around_peaks(values, torch.full((2, 2, 1), 2.0), corner)

    assert got.tolist() == [2.0, 0.0]
