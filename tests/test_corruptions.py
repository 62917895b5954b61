"""Changes of images: of the stated size, repeatable, and nothing else."""

from typing import get_args, get_type_hints

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from irstd.analysis.corruptions import CHANGES, changed
from irstd.config.params import Robustness
from irstd.tables.weights import UNITS


@pytest.fixture
def scene(rng):
    image = np.clip(rng.normal(120, 12, (96, 96)), 0, 255).astype(np.uint8)
    mask = np.zeros((96, 96), bool)
    mask[40:43, 50:54] = True
    image[mask] = 200
    return image, mask


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_level_of_the_same_scene_is_the_same_image(scene, change):
    once, again = (changed(*scene, change, 0.5, "a") for _ in range(2))

    assert (once == again).all() and (once != scene[0]).any()


def test_everything_that_is_done_has_a_unit_and_may_be_asked_for():
    asked = get_args(get_args(get_type_hints(Robustness)["changes"])[0])

    assert list(CHANGES) == list(UNITS) == list(asked)


@pytest.mark.parametrize("level", [2.0, 10.0])
def test_noise_has_the_stated_deviation(scene, level):
    difference = changed(*scene, "noise", level, "a").astype(float) - scene[0]

    assert difference.std() == pytest.approx(level, rel=0.1)
    assert abs(difference.mean()) < level / 10


def test_stripes_are_one_offset_a_column(scene):
    difference = changed(*scene, "stripes", 5.0, "a").astype(float) - scene[0]

    assert difference.std(axis=0).max() < 0.6  # of rounding
    assert difference.mean(axis=0).std() == pytest.approx(5, rel=0.2)


def test_blur_is_scipys(scene):
    wanted = gaussian_filter(scene[0].astype(float), 1.0, mode="nearest", truncate=3.0)

    assert np.abs(changed(*scene, "blur", 1.0, "a") - wanted).max() < 1.5


def test_contrast_shrinks_what_differs_from_the_mean(scene):
    image = scene[0].astype(float)

    after = changed(*scene, "contrast", 0.5, "a").astype(float)

    np.testing.assert_allclose(after, image.mean() + 0.5 * (image - image.mean()), atol=0.51)


@pytest.mark.parametrize("level", [0.25, 0.75])
def test_targets_stand_so_much_less_above_the_background_which_stays(scene, level):
    image, mask = scene
    after = changed(image, mask, "scr", level, "a")

    near = np.zeros_like(mask)
    near[39:44, 49:55] = True
    assert (after[~near] == image[~near]).all()
    background = image[~near].mean()
    height = (after[mask].mean() - background) / (image[mask].mean() - background)
    assert height == pytest.approx(level, abs=0.05)
