"""Truth from one form to another and back: equal where nothing is lost, and said where something is."""

import json
import re

import mlcroissant
import numpy as np
import pytest
from PIL import Image

from irstd.apps import cli
from irstd.data import catalogue, convert, croissant, own
from irstd.errors import InputError
from irstd.formats import pixels


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


def test_what_two_levels_do_not_hold_is_among_what_is_lost(tmp_path, capsys):
    ids = np.zeros((20, 30), np.uint8)
    ids[5:8, 5:8], ids[5:8, 8:11], ids[14, 20] = 1, 2, 3
    soft = np.zeros((20, 30), np.uint8)
    soft[5, 5:9] = (60, 255, 130, 40)
    for name, mask in (("ids", ids), ("soft", soft)):
        (tmp_path / name).mkdir()
        Image.fromarray(mask).save(tmp_path / name / "a.png")

    said = run(capsys, tmp_path / "ids", tmp_path / "p.csv", "--to", "points")
    assert "2 targets of 1 scenes" in said and "Lost: ids of targets that touch and become one, in a.png; sizes" in said
    assert "targets of several ids touch in a.png: those that do count as one" in said
    said = run(capsys, tmp_path / "soft", tmp_path / "c.json", "--to", "coco")
    assert "Lost: grey levels of soft masks." in said


@pytest.mark.parametrize("layout", ["basicirstd", "pal", "croissant"])
def test_layouts_say_what_they_lose_and_refuse_what_is_broken(tmp_path, capsys, layout):
    dataset = tmp_path / "mine"
    for kind in ("images", "masks"):
        (dataset / kind).mkdir(parents=True)
    for number in range(4):
        mask = np.zeros((21 if number == 3 else 20, 30), np.uint8)
        mask[5, 5:8] = (90, 255, 200)
        Image.fromarray(mask).save(dataset / f"masks/s{number}.png")
        Image.fromarray(np.full((20, 30, 3), (90, 80, 70 + number), np.uint8)).save(dataset / f"images/s{number}.bmp")
    (dataset / "train.txt").write_text("s0\n")
    (dataset / "test.txt").write_text("s1\ns3\n")

    said = run(capsys, dataset, tmp_path / "NEW", "--to", layout)

    assert "grey levels of soft masks" in said and "colours of " in said
    assert "a line of pixels of the masks of s3, one px larger or smaller" in said
    assert ("1 scenes that no list names are left out" in said) == (layout != "croissant")
    assert ("left out of the lists" in said) == (layout == "basicirstd")
    assert all(pixels.size_of(path) == (20, 30) for path in (tmp_path / "NEW").rglob("s3.png"))
    Image.fromarray(np.zeros((40, 60), np.uint8)).save(dataset / "masks/s2.png")
    with pytest.raises(SystemExit, match=r"masks/s2.png \(60×40 px, its image 30×20\) cannot be used"):
        cli.main(["convert", str(dataset), str(tmp_path / "AGAIN"), "--to", layout])


def test_pictures_that_no_label_names_are_said(tmp_path, masks, capsys):
    folder, _ = masks
    (tmp_path / "p.csv").write_text("name,row,col\ns0,5,5\ns1,,\n")

    said = run(capsys, tmp_path / "p.csv", tmp_path / "out", "--to", "masks", "--images", folder)

    assert "p.csv does not name s2, s3: taken as without a target" in said


@pytest.fixture
def several(tmp_path, masks):
    """A dataset with two splits."""
    folder, drawn = masks
    dataset = tmp_path / "mine"
    (dataset / "images").mkdir(parents=True)
    folder.rename(dataset / "masks")
    for number, name in enumerate(drawn):
        Image.fromarray(np.full((40, 56), 90 + number, np.uint8)).save(dataset / f"images/{name}.bmp")
    (dataset / "splits.csv").write_text("name,a,b\ns0,train,test\ns1,test,\ns2,val,train\ns3,test,train\n")
    return dataset, drawn


@pytest.mark.filterwarnings("ignore")  # of the reference's own
def test_croissant_is_read_by_its_own_library(tmp_path, several, capsys):
    dataset, drawn = several
    assert "Lost: nothing." in run(capsys, dataset, tmp_path / "NEW", "--to", "croissant")

    found = mlcroissant.Dataset(str(tmp_path / "NEW/croissant.json"))

    assert not found.metadata.ctx.issues.errors and found.metadata.name == "NEW"
    roles = {
        one["scenes/name"].decode(): (one["scenes/a"].decode(), one["scenes/b"]) for one in found.records("scenes")
    }
    assert {name: row[0] for name, row in roles.items()} == {"s0": "train", "s1": "test", "s2": "val", "s3": "test"}
    assert roles["s0"][1] == b"test" and roles["s1"][1] in (None, b"")
    images = {one["images/name"].decode(): np.asarray(one["images/image"])[..., 0] for one in found.records("images")}
    truth = {one["masks/name"].decode(): np.asarray(one["masks/mask"])[..., 0] for one in found.records("masks")}
    for number, (name, mask) in enumerate(drawn.items()):
        assert (images[name] == 90 + number).all() and (truth[name] == mask * 255).all()
    assert own.take(tmp_path / "NEW").roles == own.take(dataset).roles


def test_datasets_of_the_catalogue_are_known_by_their_scenes(tmp_path):
    names = list(catalogue.manifest("irstd-1k"))
    (tmp_path / "splits.csv").write_text("name,800-201\n" + "".join(f"{name},test\n" for name in names))

    made = croissant.describe(tmp_path)

    assert made["name"] == "IRSTD-1k" and "MIT" in made["license"] and "ISNet" in made["citeAs"]
    assert croissant.known(names[1:]) is None and croissant.known([]) is None


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("name,a\ns0,trian\n", "a column `name`, and one of train, val, test"),
        ("scene,a\ns0,train\n", "a column `name`, and one of train, val, test"),
        ("name\ns0\n", "a column `name`, and one of train, val, test"),
        ("name,a\nx9,train\n", "splits.csv names x9, of which there are no images"),
    ],
)
def test_a_table_of_splits_that_is_none_is_said(several, table, sentence):
    dataset, _ = several
    (dataset / "splits.csv").write_text(table)

    with pytest.raises(InputError, match=re.escape(sentence)):
        own.take(dataset)


def test_what_is_there_is_not_written_over(tmp_path, masks):
    folder, _ = masks
    with pytest.raises(SystemExit, match="is there already; name a new folder"):
        cli.main(["convert", str(folder), str(folder), "--to", "masks"])
    (tmp_path / "d.json").write_text(json.dumps([]))
    with pytest.raises(SystemExit, match=r"d.json is there already; name a new file"):
        cli.main(["convert", str(folder), str(tmp_path / "d.json"), "--to", "coco"])
