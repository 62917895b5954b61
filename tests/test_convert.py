"""Truth from one form to another and back: equal where nothing is lost, and said where something is."""

import json

import numpy as np
import pytest
from PIL import Image

from irstd.apps import cli
from irstd.data import convert, own
from irstd.errors import InputError


@pytest.fixture
def masks(tmp_path, rng):
    folder, drawn = tmp_path / "masks", {}
    folder.mkdir()
    for number in range(4):
        mask = np.zeros((40, 56), bool)
        for row, col in rng.integers(2, 30, (number, 2)):
            mask[row : row + 3, col : col + 4] = True
            mask[row + 1, col + 4] = True
        drawn[f"s{number}"] = mask
        Image.fromarray(mask.view(np.uint8) * np.uint8(255)).save(folder / f"s{number}.png")
    return folder, drawn


def run(capsys, *words):
    cli.main(["convert", *map(str, words)])
    return capsys.readouterr().out


def test_coco_keeps_masks_to_the_pixel(tmp_path, masks, capsys):
    folder, drawn = masks

    assert "Lost: nothing." in run(capsys, folder, tmp_path / "c.json", "--to", "coco")
    assert "Lost: nothing." in run(capsys, tmp_path / "c.json", tmp_path / "back", "--to", "masks")

    for name, mask in drawn.items():
        assert (np.asarray(Image.open(tmp_path / f"back/{name}.png")) == mask * 255).all()


@pytest.mark.parametrize(("form", "name"), [("yolo", "labels"), ("voc", "xml"), ("coco", "c.json")])
def test_boxes_survive_every_form_of_boxes(tmp_path, masks, capsys, form, name):
    folder, _ = masks
    said = run(capsys, folder, tmp_path / name, "--to", form)
    before = convert.read(folder)

    after = convert.read(tmp_path / name, folder)

    assert ("shapes of targets: boxes around them stay" in said) == (form != "coco")
    assert after.sizes == before.sizes
    for scene, found in before.marks.items():
        np.testing.assert_allclose(
            sorted(m.box for m in after.marks[scene]), sorted(m.box for m in found), atol=1e-9
        ) if found else None
        assert len(after.marks[scene]) == len(found)


def test_points_keep_centres_and_scenes_without_any(tmp_path, masks, capsys):
    folder, drawn = masks
    said = run(capsys, folder, tmp_path / "p.csv", "--to", "points")

    after = convert.read(tmp_path / "p.csv", folder)

    assert "Lost: sizes and shapes of targets." in said and set(after.sizes) == set(drawn)
    for scene, found in convert.read(folder).marks.items():
        centres = [tuple(np.argwhere(m.mask).mean(0)) for m in found]
        np.testing.assert_allclose([m.centre for m in after.marks[scene]], centres or np.zeros((0,)))
    with pytest.raises(InputError, match="points have no extent"):
        convert.to_coco(after, tmp_path / "no.json")


@pytest.mark.parametrize("layout", ["basicirstd", "pal"])
def test_layouts_hold_the_dataset(tmp_path, masks, capsys, layout):
    folder, drawn = masks
    dataset = tmp_path / "mine"
    dataset.mkdir()
    folder.rename(dataset / "masks")
    (dataset / "images").mkdir()
    for name in drawn:
        Image.fromarray(np.full((40, 56), 90, np.uint8)).save(dataset / f"images/{name}.bmp")
    (dataset / "train.txt").write_text("s0\ns2\n")
    (dataset / "test.txt").write_text("s1\ns3\n")

    run(capsys, dataset, tmp_path / "NEW", "--to", layout)

    again = own.take(tmp_path / "NEW")
    roles = {name: row["lists"] for name, row in again.roles.items()}
    assert roles == {"s0": "train", "s2": "train", "s1": "test", "s3": "test"}
    for name, path in again.masks.items():
        assert (np.asarray(Image.open(path)) == drawn[name] * 255).all()
    if layout == "basicirstd":
        assert (tmp_path / "NEW/img_idx/train_NEW.txt").read_text() == "s0\ns2\n"
    else:
        assert np.asarray(Image.open(tmp_path / "NEW/origin/masks_centroid/s2.png")).sum() in (255, 510)


def test_what_is_there_is_not_written_over(tmp_path, masks):
    folder, _ = masks
    with pytest.raises(SystemExit, match="is there already; name a new folder"):
        cli.main(["convert", str(folder), str(folder), "--to", "masks"])
    (tmp_path / "d.json").write_text(json.dumps([]))
    with pytest.raises(SystemExit, match=r"d.json is there already; name a new file"):
        cli.main(["convert", str(folder), str(tmp_path / "d.json"), "--to", "coco"])
