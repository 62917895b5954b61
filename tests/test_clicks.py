"""Labels of points only: what a click may be, and that no mask reaches whoever trains on clicks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from irstd import methods
from irstd.config import params
from irstd.data.batches import Resident
from irstd.data.clicks import Clicks, PointView, read_clicks
from irstd.data.prepared import Prepared
from irstd.errors import InputError
from irstd.training import loop

RECIPE = params.Recipe(epochs=1, batch=2, size=32, optimiser=params.Optimiser("adamw", 1e-3))


def test_without_jitter_a_click_is_the_centroid(prepared):
    clicks = Clicks(prepared)

    assert all(np.array_equal(clicks[n], prepared.points[n]) for n in range(len(prepared.names)))


def test_jitter_scales_with_the_targets_box_and_is_fixed_by_seed_and_scene(prepared):
    numbers = range(len(prepared.names))
    moved = {seed: Clicks(prepared, 0.5, seed) for seed in range(200)}
    steps = np.concatenate(
        [(moved[s][n] - prepared.points[n]) / (prepared.boxes[n] / 2) for s in moved for n in numbers]
    )

    assert abs(steps.mean()) < 0.02 and steps.std() == pytest.approx(0.5, rel=0.05)
    assert np.array_equal(moved[3][0], Clicks(prepared, 0.5, 3)[0])
    assert not np.array_equal(moved[3][0], moved[4][0])


def test_a_click_never_leaves_its_image(prepared):
    height, width = prepared.sizes[0]
    for seed in range(50):
        points = Clicks(prepared, 40.0, seed)[0]
        assert (points >= 0).all() and (points <= [height - 1, width - 1]).all()


def test_a_view_of_points_has_no_mask_and_batches_of_it_have_none(prepared):
    view = PointView(prepared, Clicks(prepared))
    batch = Resident(view, range(4), least=32).cut(torch.arange(2), torch.zeros(2, 2, dtype=torch.long), 32)

    assert not hasattr(view, "mask")
    assert batch.mask is None and batch.image.shape == (2, 1, 32, 32)


def test_training_on_clicks_opens_no_mask(prepared, monkeypatch):
    """Not even the file: whoever asks for a mask, in training or in validation, fails."""
    method = methods.get("point_regression")

    def forbidden(*_):
        raise AssertionError("a mask was asked for")

    monkeypatch.setattr(Prepared, "mask", forbidden)
    torch.manual_seed(0)
    options = method.options(widths=(16, 8, 8))
    fitted = loop.fit(
        method, options, method.build(options), replace(RECIPE, jitter=0.5), prepared,
        training=range(6), validation=[6, 7], seed=0, on=torch.device("cpu"),
    )  # fmt: skip

    assert np.isfinite(fitted.history[-1]["loss"]) and fitted.history[-1]["score"] is not None


def test_given_clicks_replace_centroids_in_training_and_validation(prepared, monkeypatch):
    seen = []
    method = methods.get("point_regression")
    spy = replace(method, targets=lambda labels: seen.append(labels.points) or method.targets(labels))
    options = method.options(widths=(16, 8, 8))
    given = {prepared.names[n]: np.array([[20.0, 30.0]]) for n in range(6)}
    recipe = replace(RECIPE, size=64, augment=params.Augment(flip=0.0, transpose=0.0))

    loop.fit(
        spy, options, method.build(options), recipe, prepared,
        training=range(6), validation=[], seed=0, on=torch.device("cpu"), clicks=given,
    )  # fmt: skip

    assert all(torch.equal(points, torch.tensor([[[20.0, 30.0]]] * 2)) for points in seen)


def test_clicks_are_read_from_a_table(prepared, tmp_path):
    path = tmp_path / "clicks.csv"
    name = prepared.names[0]
    # As spreadsheets write it, with a mark in front.
    path.write_text(f"name,who,row,col\n{name},me,3.5,4\n{name},me,10,11.25\n", encoding="utf-8-sig")

    clicks = read_clicks(path, prepared)

    assert clicks[name].tolist() == [[3.5, 4.0], [10.0, 11.25]]
    assert Clicks(prepared, given=clicks)[1].shape == (0, 2)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name,row\n", "clicks.csv has no column 'col' but name, row; it needs name, row, col (px), or name, xmin, ymin, xmax, ymax, and perhaps score"),
        ("name,row,col\nnowhere,1,2\n", "clicks.csv: prepared has no scene 'nowhere'; correct the names"),
        ("name,row,col\n{name},1,x\n", "clicks.csv, line 2: row, col of '{name}' must be numbers; correct the line"),
        ("name,row,col\n{name},1\n", "clicks.csv, line 2: row, col of '{name}' must be numbers; correct the line"),
        ("name,row,col\n{name},64,2\n", "clicks.csv, line 2: (64, 2) is outside '{name}' (64 rows, 64 columns)"),
        ("name,row,col\n{name},nan,2\n", "clicks.csv, line 2: (nan, 2) is outside '{name}' (64 rows, 64 columns)"),
    ],
)  # fmt: skip
def test_a_wrong_click_is_named(prepared, tmp_path, text, sentence):
    path, name = tmp_path / "clicks.csv", prepared.names[0]
    path.write_text(text.format(name=name))

    with pytest.raises(InputError) as error:
        read_clicks(path, prepared)

    assert str(error.value) == sentence.format(name=name)


def test_a_missing_file_is_named(prepared, tmp_path):
    with pytest.raises(InputError, match=r"set dataset\.prepared\.clicks to a CSV of name, row and col"):
        read_clicks(tmp_path / "none.csv", prepared)
