"""Images in, predictions out: stored scores keep their side of one half, padding and resizing are undone."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from irstd.inference.predict import predict
from irstd.methods import Method, Prediction
from irstd.metrics.levels import HALF, encode, level


def passing(decode):
    """A method that hands the image through."""
    return Method("pass", "none", "mask", dict, lambda _: nn.Identity(), lambda *_: torch.zeros(1), decode)


@given(st.floats(0, 1, width=32))
def test_a_stored_score_is_on_the_same_side_of_one_half(score):
    stored = int(encode(np.array([[score]], np.float32))[0, 0])

    assert (score > 0.5, score >= 0.5) == (stored > level(0.5), stored >= level(0.5))
    assert abs(stored / (2 * HALF) - score) <= 1 / (2 * HALF)


def test_predictions_come_back_at_native_size_in_order(rng):
    images = [rng.integers(0, 256, size, dtype=np.uint8) for size in ((40, 33), (40, 33), (96, 70), (40, 33))]

    found = list(predict(nn.Identity(), passing(lambda x, _: Prediction(score=x)), None, images, batch=2))

    for image, one in zip(images, found, strict=True):
        np.testing.assert_allclose(one.score, image / np.float32(255), rtol=1e-6)


def test_points_in_the_padding_are_dropped_and_those_over_the_border_brought_back():
    over = [[-0.7, 3.0, 0.9], [39.6, 3.0, 0.9], [3.0, -2.0, 0.9], [3.0, 32.6, 0.9], [3.0, 3.0, 0.9]]
    twice = [[39.25, 20.0, 0.9], [39.6, 20.0, 0.9]]
    places = torch.tensor([*over, [41.0, 3.0, 0.9], [3.0, 33.6, 0.9], *twice])
    method = passing(lambda x, _: Prediction(points=[places]))

    (one,) = predict(nn.Identity(), method, None, [np.zeros((40, 33), np.uint8)])

    assert one.points[:, :2].tolist() == [[-0.5, 3.0], [39.5, 3.0], [3.0, -0.5], [3.0, 32.5], [3.0, 3.0], [39.25, 20.0]]


def test_resizing_is_undone_for_maps_and_points():
    image = np.zeros((60, 90), np.uint8)
    image[20:24, 45:51] = 255
    centre = torch.tensor([[(21.5 + 0.5) * 48 / 60 - 0.5, (47.5 + 0.5) * 48 / 90 - 0.5, 0.9]])
    method = passing(lambda x, _: Prediction(score=x, points=[centre]))

    one = next(iter(predict(nn.Identity(), method, None, [image], geometry="resize", side=48)))

    assert one.score.shape == (60, 90)
    np.testing.assert_allclose(one.points[0, :2], [21.5, 47.5], atol=1e-4)
    rows, cols = np.nonzero(one.score > 0.5)
    np.testing.assert_allclose([rows.mean(), cols.mean()], [21.5, 47.5], atol=0.5)
