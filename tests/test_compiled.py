"""Labelling, dilation and resizing by OpenCV and by SciPy: one answer, with either."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from irstd.metrics import compiled
from irstd.metrics.regions import regions


@st.composite
def masks(draw):
    shape = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    seed, share = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([0.0, 0.05, 0.3, 0.6, 1.0]))
    return (np.random.default_rng(seed).random(shape) < share).astype(np.uint8)


def both(monkeypatch, call):
    """What a call gives with OpenCV, and without."""
    assert compiled.cv2 is not None
    with_it = call()
    with monkeypatch.context() as patched:
        patched.setattr(compiled, "cv2", None)
        return with_it, call()


@given(mask=masks(), connectivity=st.sampled_from([4, 8]), reach=st.sampled_from([1, 4]))
@settings(max_examples=200)
def test_regions_and_their_numbers_are_the_same(mask, connectivity, reach):
    with pytest.MonkeyPatch.context() as patch:
        (n, labels), (count, others) = both(patch, lambda: compiled.label(mask, connectivity))
        with_it, without = both(patch, lambda: compiled.measured(mask, connectivity))
        near, near_too = both(patch, lambda: compiled.dilated(mask, reach))

    assert n == count == with_it[0] == without[0]
    np.testing.assert_array_equal(labels, others)
    np.testing.assert_array_equal(with_it[1], without[1])
    np.testing.assert_allclose(with_it[2], without[2], atol=1e-9)
    np.testing.assert_array_equal(near, near_too)
    first = [int(np.flatnonzero(labels.ravel() == k)[0]) for k in range(1, n + 1)]
    assert first == sorted(first)


@given(mask=masks(), connectivity=st.sampled_from([4, 8]))
def test_boxes_are_those_of_scipy(mask, connectivity):
    found = regions(mask > 0, connectivity)
    slices = ndimage.find_objects(found.labels.astype(np.int32))

    assert found.boxes.tolist() == [[r.start, c.start, r.stop - r.start, c.stop - c.start] for r, c in slices]


@given(
    old=st.tuples(st.integers(2, 90), st.integers(2, 90)),
    new=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    seed=st.integers(0, 1000),
)
@settings(max_examples=200)
def test_maps_and_masks_are_resized_to_the_same(old, new, seed):
    values = np.random.default_rng(seed).random(old)
    mask = (values > 0.5).astype(np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        smooth, smooth_too = both(patch, lambda: compiled.resized(values, new))
        hard, hard_too = both(patch, lambda: compiled.nearest(mask, new))

    np.testing.assert_allclose(smooth, smooth_too, atol=1e-9)
    np.testing.assert_array_equal(hard, hard_too)
