"""Crops placed where the network fires wrongly."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from irstd.data import batches
from irstd.errors import InputError
from irstd.inference.predict import Predicted
from irstd.methods import Prediction
from irstd.training import loop, mining
from tests.test_training import BLOB, MINED, fit

SCORE = np.zeros((12, 12))
SCORE[1:3, 1:3] = 0.9  # touches the target
SCORE[6, 6:9] = (0.6, 0.8, 0.7)
SCORE[10, 1] = 0.95
SCORE[1, 10] = 0.4  # not above the threshold
CENTRES = np.array([[2.5, 2.5]])


def test_false_alarms_of_a_map_are_its_regions_that_touch_no_target():
    mask = np.zeros((12, 12), bool)
    mask[2:4, 2:4] = True
    found = mining.false_alarms(Predicted(SCORE, None), mask, CENTRES, 0.5)

    assert found.tolist() == [[10, 1], [6, 7]]  # the strongest first


def test_without_a_mask_those_far_from_every_centre():
    found = mining.false_alarms(Predicted(SCORE, None), None, CENTRES, 0.5)

    assert found.tolist() == [[10, 1], [6, 7]]


def test_false_alarms_of_points_are_those_far_from_every_centre():
    points = np.array([[2.0, 2.0, 0.9], [9.0, 9.0, 0.6], [9.5, 1.0, 0.7], [1.0, 9.0, 0.2]])
    found = mining.false_alarms(Predicted(None, points), None, CENTRES, 0.5)

    assert found.tolist() == [[9.5, 1.0], [9.0, 9.0]]
    everywhere = mining.false_alarms(Predicted(None, points), None, np.zeros((0, 2)), 0.5)
    assert everywhere.tolist() == [[2.0, 2.0], [9.5, 1.0], [9.0, 9.0]]


def test_a_scene_has_no_more_than_the_strongest_and_others_are_filled_up():
    score = np.zeros((40, 40))
    score[::4, ::4] = 0.6 + np.arange(100).reshape(10, 10) / 1000
    many = mining.false_alarms(Predicted(score, None), np.zeros((40, 40), bool), np.zeros((0, 2)), 0.5)
    none = mining.false_alarms(Predicted(np.zeros((4, 4)), None), None, np.zeros((0, 2)), 0.5)
    table = mining.table([many, none])

    assert many.tolist() == [[36, 4 * col] for col in range(9, 1, -1)]
    assert table.shape == (2, mining.MOST, 2) and table[1].isnan().all()
    assert mining.table([none]).isnan().all()


@pytest.mark.parametrize("average", [0.0, 1.0], ids=["its own weights", "the average"])
def test_places_are_looked_for_when_validation_is_due(prepared, monkeypatch, average):
    seen = []
    monkeypatch.setattr(loop, "epoch", lambda *given: (seen.append(given[4]), batches.epoch(*given))[1])

    def decode(outputs, _options):
        """Whatever the network says: one pixel in the upper left corner."""
        score = torch.zeros_like(outputs)
        score[..., 3, 1] = 0.9
        return Prediction(score)

    assert not any(prepared.mask(number)[3, 1] for number in range(8))
    fit(prepared, recipe=replace(MINED, epochs=5, average_epochs=average), method=replace(BLOB, decode=decode))

    assert seen[:2] == [None, None] and seen[2] is seen[3] and seen[4] is not seen[3]
    assert seen[2].tolist() == seen[4].tolist() == [[[3.0, 1.0]]] * 8


def test_squeezed_images_have_no_crops_to_place(prepared):
    with pytest.raises(InputError, match="mined says where crops are placed"):
        fit(prepared, recipe=replace(MINED, geometry="resize"))
