"""Files that were once read wrongly, or ended in a traceback: the right value, or the right refusal."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

import irstd
from irstd.apps import cli
from irstd.errors import InputError
from irstd.formats import coco, labels, masks, pixels, tables, text
from irstd.formats.masks import Layer
from irstd.formats.names import Names
from irstd.tables.board import _size


def test_tiffs_of_32_bits_without_a_sign_keep_their_values(tmp_path):
    tifffile.imwrite(tmp_path / "u.tif", np.full((4, 5), 4_000_000_000, np.uint32))
    tifffile.imwrite(tmp_path / "i.tif", np.full((4, 5), -7, np.int32))

    assert pixels.read(tmp_path / "u.tif").values.max() == 4_000_000_000
    assert pixels.read(tmp_path / "i.tif").values.max() == -7


def test_pages_whose_lowest_is_white_are_turned_over_like_a_single_one(tmp_path):
    values = np.arange(40, dtype=np.uint16).reshape(2, 4, 5)
    tifffile.imwrite(tmp_path / "w.tif", values, photometric="miniswhite")

    assert np.array_equal(pixels.read(tmp_path / "w.tif").values, 65535 - values)


@pytest.mark.parametrize(("scenes", "name"), [("123", "fold_3_1"), ("ab", "pred_a_b")])
def test_a_name_in_which_two_scenes_are_equally_long_is_refused(scenes, name):
    with pytest.raises(InputError, match=f"'{name}' may be"):
        Names(dict.fromkeys(scenes)).find(name)


@pytest.mark.parametrize("written", ["nan", "inf"])
def test_a_size_that_is_no_number_is_refused(tmp_path, written):
    (tmp_path / "p.csv").write_text(f"name,x,y,width,height\na,1,2,{written},5\n")

    with pytest.raises(InputError, match=r"p\.csv, line 2: .* must be numbers"):
        tables.read(tmp_path / "p.csv", {"a": (8, 8)})


def test_a_cell_that_does_not_end_is_refused(tmp_path):
    (tmp_path / "p.csv").write_text('name,row,col\na,1,2\n"' + "x" * 200_000)

    with pytest.raises(InputError, match=r"p\.csv: line 3 is no line of a table"):
        tables.read(tmp_path / "p.csv", None)


def test_a_table_may_begin_with_blank_lines(tmp_path):
    (tmp_path / "p.csv").write_text("\n  \nname,row,col\na,1,2\n")

    (mark,) = tables.read(tmp_path / "p.csv", None).every
    assert (mark.scene, mark.centre, mark.where) == ("a", (1, 2), "line 4")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_known_whatever_it_begins_with(encoding):
    assert text.decoded("中文\na\nb\n".encode(encoding), "test.txt") == "中文\na\nb\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"images": [{"id": 1, "file_name": "a.png", "height": 60_000, "width": 60_000}], "annotations": []}, "60000×60000 px, more than"),
        ({"images": [{"id": 1, "file_name": "a.png", "height": "x", "width": 5}], "annotations": []}, "height 'x' and width 5 are no size"),
        ([{"image_id": [1], "bbox": [1, 2, 3, 4]}], r"annotation 0 has image_id \[1\]"),
    ],
)  # fmt: skip
def test_a_coco_file_that_no_image_can_be_of_is_refused(tmp_path, content, words):
    (tmp_path / "c.json").write_text(json.dumps(content))

    with pytest.raises(InputError, match=rf"c\.json: .*{words}"):
        coco.read(tmp_path / "c.json", None)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.xml", "<annotation><size><width>inf</width><height>5</height></size></annotation>", "no size of an image"),
        ("a.xml", "<annotation><size><width>900000</width><height>900000</height></size></annotation>", "more than"),
        ("a.xml", '<?xml version="1.0" encoding="foo-99"?><annotation/>', "no XML"),
        ("a.json", '{"imageHeight": 1e999, "imageWidth": 3, "shapes": []}', "no size of an image"),
    ],
)
def test_labels_of_an_image_that_cannot_be_are_refused(tmp_path, name, content, words):
    (tmp_path / name).write_text(content)

    with pytest.raises(InputError, match=rf"{name} \(.*{words}"):
        labels.read(tmp_path, None)


def test_arrays_that_unfold_into_gigabytes_are_refused(tmp_path):
    zeros = np.zeros((11_000, 11_000), np.uint8)
    np.savez_compressed(tmp_path / "z.npz", **{f"a{n}": zeros for n in range(9)})

    with pytest.raises(pixels.UnreadableError, match="its arrays are of 1,089,"):
        pixels.read(tmp_path / "z.npz")


def test_a_faint_mask_among_bright_ones_is_said_to_be_empty():
    bright, faint = np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint8)
    bright[3:6, 3:6], faint[3:6, 3:6] = 255, 100
    survey = masks.Survey("masks")
    for name, values in (("a.jpg", bright), ("b.jpg", faint)):
        survey.add(name, Layer(values, lossy=True))

    assert any("no target, since no pixel is above one half, in b.jpg" in note for note in survey.decide().notes)


@pytest.mark.parametrize(
    ("scored", "dataset", "size"),
    [
        ("native size, score > 0.5", "nuaa-sirst", "native"),
        ("512 px squares (NUDT-SIRST 256), score > 0.5", "nuaa-sirst", "512×512"),
        ("512 px squares (NUDT-SIRST 256), score > 0.5", "nudt-sirst", "256×256"),
        ("256 px squares, the native size", "nudt-sirst", "native"),
        ("points within 5 px, one to one", "nudt-sirst", "not said"),
    ],
)
def test_the_board_knows_the_size_at_which_a_paper_scores(scored, dataset, size):
    assert _size(scored, dataset) == size


@pytest.fixture
def ones(tmp_path, monkeypatch):
    """Truth and predictions of two scenes, as masks, arrays, boxes and points."""
    monkeypatch.chdir(tmp_path)
    mask = np.zeros((20, 20), np.uint8)
    mask[3:6, 3:6] = 255
    for folder in ("truth", "pngs", "arrays"):
        (tmp_path / folder).mkdir()
        for name in "ab":
            if folder == "arrays":
                np.savez(tmp_path / f"arrays/{name}.npz", T=mask / 255, other=mask * 0.0)
            else:
                Image.fromarray(mask).save(tmp_path / f"{folder}/{name}.png")
    np.savez(tmp_path / "all.npz", a=mask / 255, b=mask / 255)
    (tmp_path / "p.csv").write_text("name,row,col\na,4,4\nb,4,4\n")
    (tmp_path / "box.csv").write_text("name,xmin,ymin,xmax,ymax\na,3,3,6,6\nb,3,3,6,6\n")
    images = [{"id": n, "file_name": f"{name}.png", "height": 20, "width": 20} for n, name in enumerate("ab")]
    marks = [{"image_id": n, "category_id": n, "bbox": [3, 3, 3, 3]} for n in range(2)]
    kinds = [{"id": 0, "name": "bird"}, {"id": 1, "name": "drone"}]
    (tmp_path / "c.json").write_text(json.dumps({"images": images, "annotations": marks, "categories": kinds}))
    return tmp_path


@pytest.mark.parametrize(
    ("pred", "truth", "more", "words"),
    [
        ("pngs", "truth", {"logits": True}, "--logits is for floats, and pngs holds whole numbers alone; leave it out"),
        ("pngs", "truth", {"key": "T"}, "--key names the array in .npz and .mat files of one scene each, and pngs has no file of"),
        ("all.npz", "truth", {"key": "T"}, "and all.npz is one archive, whose arrays are named after scenes; leave it out"),
        ("p.csv", "truth", {"key": "T"}, "--key is for score maps, and p.csv has points or boxes; leave it out"),
        ("arrays", "truth", {"key": "none"}, "a.npz (it holds T, other, and no 'none'"),
        ("pngs", "truth", {"coco_images": "names"}, "--coco-images names the images of COCO JSON, and nothing given is that"),
        ("p.csv", "truth", {"coco_images": "c.json"}, "--coco-images names the images of COCO JSON, and nothing given is that"),
        ("pngs", "truth", {"images": "pngs"}, "--images is for truth of boxes and points, and truth has masks; leave it out"),
    ],
)  # fmt: skip
def test_an_option_that_would_do_nothing_is_refused(ones, pred, truth, more, words):
    given = [f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}") for name, value in more.items()]
    for call in (lambda: irstd.score(pred, truth, **more), lambda: cli.main(["score", pred, "--truth", truth, *given])):
        with pytest.raises((InputError, SystemExit)) as error:
            call()
        assert words in str(error.value)


def test_options_that_choose_are_taken_from_python_as_from_the_command_line(ones):
    assert irstd.score("arrays", "truth", key="T").conventions.loc["irstd", "iou"] == 1
    assert irstd.score("p.csv", "box.csv", images="pngs").conventions.loc["irstd", "pd"] == 1
    assert irstd.score("c.json", "truth", coco_images="c.json").conventions.loc["irstd", "pd"] == 1
    with pytest.raises(InputError, match="images goes with a path of boxes or points as truth"):
        irstd.score("pngs", {"a": np.zeros((20, 20), bool)}, images="pngs")
    with pytest.raises(SystemExit, match="--images goes with --truth"):
        cli.main(["score", "pngs", "--dataset", "nuaa-sirst", "--images", "pngs"])


def test_classes_and_regions_that_become_one_are_told(ones, capsys):
    cli.main(["convert", "c.json", "one", "--to", "masks"])
    assert "2 classes (bird, drone): all are taken as targets, without distinction" in capsys.readouterr().out

    halves = [{"image_id": 0, "category_id": 1, "score": 0.5, "segmentation": [[x, 2, x + 3, 2, x + 3, 6, x, 6]]} for x in (3, 6)]  # fmt: skip
    content = json.loads((ones / "c.json").read_text()) | {"annotations": halves}
    (ones / "d.json").write_text(json.dumps(content))
    cli.main(["convert", "d.json", "two", "--to", "masks"])

    said = capsys.readouterr().out
    assert "Lost: 1 targets touch another one and become one region with it; scores." in said
