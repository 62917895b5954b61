"""The explorer: what each widget does to the picture and the words."""

import numpy as np
import pytest
from PIL import Image

from irstd.apps import explorer
from irstd.metrics.levels import encode


@pytest.fixture
def shown():
    return explorer.Explorer({"drawn": lambda: explorer.drawn(4)})


def test_it_opens_with_the_worst_scene(shown):
    missed = [int(text.split(": ")[1].split()[0]) for text, _ in shown.scene.options]

    assert missed == sorted(missed, reverse=True) and shown.scene.index == 0
    assert bytes(shown.picture.value).startswith(b"\x89PNG")
    assert f"<b>{shown.judged.counts.detected} of 4</b> targets found" in shown.words.value


def test_the_slider_changes_what_is_found(shown):
    pictures, regions = [], []
    for value in (0.9, 0.5, 0.1):
        shown.threshold.value = value
        pictures.append(bytes(shown.picture.value))
        regions.append(shown.judged.counts.regions)

    assert len(set(pictures)) == 3 and regions == sorted(regions)


def test_one_can_look_at_a_target_at_native_resolution(shown):
    whole = bytes(shown.picture.value)
    assert [text for text, _ in shown.place.options][1].startswith("target 0, ")
    shown.place.index = 1

    assert bytes(shown.picture.value) != whole


def test_predictions_of_the_pipeline_are_found_with_their_own_threshold(tmp_path, prepared):
    (tmp_path / "data/prepared").mkdir(parents=True)
    (tmp_path / "data/prepared/mine").symlink_to(prepared.folder)
    for kind, values in (("map", encode(prepared.mask(8).astype(float))), ("dots", np.array([[5.0, 6.0, 0.4]]))):
        folder = tmp_path / "runs/predict/mine" / kind / "0/test"
        folder.mkdir(parents=True)
        given = {prepared.names[8]: values}
        np.savez_compressed(folder / "scores.npz", **(given if kind == "map" else {}))
        np.savez_compressed(folder / "points.npz", **(given if kind == "dots" else {}))
    result = tmp_path / "runs/results/mine/dots/0/metrics.json"
    result.parent.mkdir(parents=True)
    result.write_text('{"threshold": 0.3}')
    found = explorer.found(tmp_path)
    shown = explorer.Explorer(found)

    assert list(found) == ["mine · dots · 0", "mine · map · 0", explorer.DRAWN]
    assert shown.threshold.value == 0.3 and shown.judged.counts.regions == 1
    shown.source.value = "mine · map · 0"
    assert shown.threshold.value == 0.5 and "IoU 100.0%" in shown.words.value


def test_folders_of_ones_own_are_read_as_irstd_score_reads_them(tmp_path, prepared):
    for kind, values in (("images", prepared.image(8)), ("masks", prepared.mask(8)), ("mine", prepared.mask(8))):
        (tmp_path / kind).mkdir()
        grey = values if values.dtype == np.uint8 else values.astype(np.uint8) * 255
        Image.fromarray(grey).save(tmp_path / kind / "a.png")
    found = explorer.folders(*(tmp_path / kind for kind in ("images", "masks", "mine")))
    shown = explorer.Explorer(found)

    assert list(found) == ["mine"] and "IoU 100.0%" in shown.words.value
    np.testing.assert_array_equal(shown.view.image, prepared.image(8))
