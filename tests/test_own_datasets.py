"""Datasets of one's own as people have them: cases from public reports, each with the value that follows by hand."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from irstd.data import download, prepare, raw
from irstd.data.catalogue import Source
from irstd.data.prepared import Prepared
from irstd.errors import InputError
from irstd.inference import sources
from irstd.scoring import submission
from tests.test_cases import EXACT, MASKS, NAMES, PNG, SCENES, TEST, TRAIN, png, put, tif

H, W = 48, 64


def own(folder, image=EXACT, mask=PNG, lists=None, encoding="utf-8"):
    put(folder / "images", SCENES, image)
    put(folder / "masks", MASKS, mask)
    for name, text in (lists or {"train.txt": TRAIN, "test.txt": TEST}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode(encoding))
    return folder


def taken(folder, place, **how):
    """The dataset as prepared; its roles must be six and six."""
    download.copy_own("mine", folder, place / "raw/mine", **how)
    prepare.prepare(place / "raw/mine", place / "mine")
    prepared = Prepared(place / "mine")
    roles = prepared.roles("lists", 0.0)
    return prepared, (sum(map(len, prepared.points)), len(roles["train"]), len(roles["test"]))


def colour(*rgb):
    return lambda d, n, m: Image.fromarray(np.dstack([m * v for v in rgb]).astype(np.uint8)).save(d / f"{n}.png")


def alpha(d, n, m):
    Image.fromarray(np.dstack([np.full_like(m, 255)] * 3 + [m * 255])).save(d / f"{n}.png")


def voc(d, n, m):
    palette = Image.new("P", m.shape[::-1])
    palette.frombytes((m * np.uint8(2)).tobytes())
    palette.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] + [0] * 747)
    palette.save(d / f"{n}.png")


def inverted_palette(d, n, m):
    palette = Image.new("P", m.shape[::-1])
    palette.frombytes((1 - m).tobytes())
    palette.putpalette([255] * 3 + [0] * 765)
    palette.save(d / f"{n}.png")


@pytest.mark.parametrize(
    "mask",
    [
        png(k=1), colour(0, 255, 0), colour(0, 0, 255), colour(128, 0, 0), alpha, voc, inverted_palette, png("_mask"),
        png("_PIXELS0", "bmp"), lambda d, n, m: Image.fromarray(m.astype(np.uint16) * 65535).save(d / f"{n}.png"),
        lambda d, n, m: Image.fromarray((m * 60 + 17).astype(np.uint8)).save(d / f"{n}.png"),
    ],
)  # fmt: skip
def test_masks_of_ones_own_mean_the_same_everywhere(tmp_path, mask):
    folder = own(tmp_path / "own", mask=mask)

    prepared, found = taken(folder, tmp_path)

    assert found == (12, 6, 6)
    truth = submission.of_folder(folder / "masks")
    assert all((prepared.mask(n) == (truth.mask(name) > 127)).all() for n, name in enumerate(NAMES))
    assert all((prepared.mask(n) == MASKS[name]).all() for n, name in enumerate(NAMES))


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (lambda d, n, m: Image.fromarray(255 - m * 255).save(d / f"{n}.png"), "the masks seem inverted"),
        (lambda d, n, m: png()(d, n, m * 0), "no mask has a target"),
        (
            lambda d, n, m: Image.fromarray(np.dstack([m * 255, np.roll(m, 20) * 255, m * 0])).save(d / f"{n}.png"),
            "masks hold #000000 .* #00ff00 .* more than two colours",
        ),
        (
            lambda d, n, m: Image.fromarray(m * 40 + np.roll(m, 9) * 90).save(d / f"{n}.png"),
            "neither ids nor grey levels",
        ),
        (lambda d, n, m: Image.fromarray(m * 255 + np.roll(m, 9)).save(d / f"{n}.png"), None),
    ],
)
def test_masks_of_several_readings_are_refused_by_their_values(tmp_path, mask, words):
    folder = own(tmp_path / "own", mask=mask)

    for way in (lambda: taken(folder, tmp_path), lambda: submission.of_folder(folder / "masks")):
        if words is None:
            way()  # faint specks beside full targets stay background
        else:
            with pytest.raises(InputError, match=words):
                way()


@pytest.mark.parametrize(
    ("lists", "encoding"),
    [
        (None, "utf-8-sig"), (None, "utf-16"), (None, "utf-16-le"),
        ({"train.txt": "".join(f"images\\{n}.png\n" for n in NAMES[:6]), "test.txt": TEST}, "utf-8"),
        ({"train.txt": TRAIN + "s00\n", "test.txt": TEST}, "utf-8"),
        ({"train.txt": TRAIN.replace("\n", ".PNG\r\n") + "\r\n \r\n", "test.txt": TEST.replace("\n", " \r\n")}, "utf-8"),
        ({"img_idx/train_own.txt": TRAIN, "img_idx/test_own.txt": TEST}, "utf-8"),
        ({"50_50/train.txt": TRAIN, "50_50/test.txt": TEST}, "utf-8"),
        ({"trainval.txt": TRAIN, "test.txt": TEST}, "utf-8"),
        ({"idx_427/trainval.txt": TRAIN, "idx_427/test.txt": TEST}, "utf-8"),
        ({"ImageSets/Main/train.txt": TRAIN.replace("\n", " 1\n"), "ImageSets/Main/val.txt": TEST}, "utf-8"),
    ],
)  # fmt: skip
def test_lists_in_the_fields_layouts_and_encodings(tmp_path, lists, encoding):
    assert taken(own(tmp_path / "own", lists=lists, encoding=encoding), tmp_path)[1] == (12, 6, 6)


def test_lists_of_an_unknown_name_are_refused_and_a_hash_split_has_a_test_scene(tmp_path):
    folder = own(tmp_path / "own", lists={"learning.txt": TRAIN})
    with pytest.raises(InputError, match=r"learning.txt lists scenes, but for which role is not clear"):
        raw.listed_splits(folder, NAMES)
    from irstd.data.roles import by_hash

    for names in (["a", "b"], [f"x{n}" for n in range(4)], NAMES):
        roles = [row["lists"] for row in by_hash(names, "lists").values()]
        assert {"train", "test"} == set(roles)


def test_hidden_doubles_do_not_count_in_folders_and_archives(tmp_path):
    folder = own(tmp_path / "own")
    for kind in ("images", "masks"):
        (folder / kind / "._s00.png").write_bytes(b"\0\5\26\7" * 30)
    (folder / "images/Thumbs.db").write_bytes(b"x")
    assert taken(folder, tmp_path)[1] == (12, 6, 6)

    with zipfile.ZipFile(tmp_path / "mac.zip", "w") as opened:
        for path in sorted(folder.rglob("*.png")):
            apple = "__MACOSX/" if path.name.startswith("._") else ""
            opened.write(path, f"{apple}D/{path.parent.name}/{path.name}")
    download.unpack(tmp_path / "mac.zip", Source("mirror", "", ""), tmp_path / "unpacked")
    assert sorted(raw.pairs(tmp_path / "unpacked")) == NAMES


def test_two_files_of_a_scene_are_refused_and_all_faults_are_named_at_once(tmp_path):
    folder = own(tmp_path / "own")
    Image.fromarray(255 - SCENES["s00"]).save(folder / "images/s00.bmp")
    png("_pixels0")(folder / "masks", "s01", MASKS["s09"])
    (folder / "masks/s05.png").unlink()
    (folder / "train.txt").write_text(TRAIN + "s99\n")

    with pytest.raises(InputError) as error:
        taken(folder, tmp_path)

    for words in (
        "s00.bmp and s00.png are both images of 's00'",
        "masks/s01.png and masks/s01_pixels0.png are both masks of 's01'",
        "the image 's05' has no mask",
        "train.txt names 's99'",
    ):
        assert words in str(error.value)


def test_images_of_more_than_8_bits_are_stretched_as_stated(tmp_path):
    deep = own(tmp_path / "own", image=lambda d, n, m: Image.fromarray(m.astype(np.uint16) * 64).save(d / f"{n}.png"))

    prepared, found = taken(deep, tmp_path, levels=(0.0, 255.0 * 64))
    assert found == (12, 6, 6) and all((prepared.image(n) == SCENES[name]).all() for n, name in enumerate(NAMES))
    assert "deep,12," in (tmp_path / "mine/quirks.csv").read_text()
    kelvin = own(tmp_path / "k", image=tif(lambda m: m.astype(np.float32) / 10 + 280))
    assert taken(kelvin, tmp_path)[1] == (12, 6, 6)
    path = kelvin / "images/s03.tif"
    assert (sources.read(path).grey == Prepared(tmp_path / "mine").image(3)).all()  # as `irstd predict` takes it


def truth_of_points(folder, kind):
    at = {n: (5 + 4 * i, 6 + 4 * i) for i, n in enumerate(NAMES)}
    for path in (folder / "masks").iterdir():
        path.unlink()
    (folder / "masks").rmdir()
    if kind == "clicks":
        (folder / "clicks.csv").write_text("name,row,col\n" + "".join(f"{n},{r},{c}\n" for n, (r, c) in at.items()))
    elif kind == "yolo":
        (folder / "labels").mkdir()
        for n, (r, c) in at.items():
            (folder / f"labels/{n}.txt").write_text(f"0 {(c + 0.5) / 64} {(r + 0.5) / 64} {3 / 64} {3 / 64}\n")
    elif kind == "voc":
        (folder / "Annotations").mkdir()
        for n, (r, c) in at.items():
            sides = f"<xmin>{c}</xmin><ymin>{r}</ymin><xmax>{c + 2}</xmax><ymax>{r + 2}</ymax>"
            text = f"<annotation><object><name>t</name><bndbox>{sides}</bndbox></object></annotation>"
            (folder / f"Annotations/{n}.xml").write_text(text)
    elif kind == "labelme":
        (folder / "labels").mkdir()
        for n, (r, c) in at.items():
            shape = {"shape_type": "rectangle", "points": [[c - 1, r - 1], [c + 2, r + 2]]}
            text = json.dumps({"shapes": [shape], "imageHeight": 64, "imageWidth": 64})
            (folder / f"labels/{n}.json").write_text(text)
    else:
        images = [{"id": i, "file_name": f"{n}.png", "height": 64, "width": 64} for i, n in enumerate(NAMES)]
        boxes = [{"id": i, "image_id": i, "bbox": [at[n][1] - 1, at[n][0] - 1, 3, 3]} for i, n in enumerate(NAMES)]
        (folder / "annotations.json").write_text(json.dumps({"images": images, "annotations": boxes}))
    return [[float(r), float(c)] for r, c in at.values()]


@pytest.mark.parametrize("kind", ["clicks", "yolo", "voc", "labelme", "coco"])
def test_points_or_boxes_alone_are_for_methods_of_points(tmp_path, kind):
    from irstd.data.batches import Resident

    folder = own(tmp_path / "own")
    at = truth_of_points(folder, kind)

    prepared, found = taken(folder, tmp_path)

    assert found == (12, 6, 6) and prepared.labels == ("points" if kind == "clicks" else "boxes")
    np.testing.assert_allclose(np.concatenate(prepared.points), at, atol=1e-3)
    with pytest.raises(InputError, match="no masks; train a method of points"):
        Resident(prepared, [0])


def test_all_broken_files_are_named_and_may_be_left_out(tmp_path):
    folder = own(tmp_path / "own")
    for name in ("s03", "s05", "s07"):
        path = folder / f"images/{name}.png"
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(InputError) as error:
        taken(folder, tmp_path)
    assert "3 files cannot be used: images/s03.png" in str(error.value) and "images/s07.png" in str(error.value)
    assert taken(folder, tmp_path, skip_broken=True)[1] == (9, 4, 5)


@pytest.mark.parametrize("name", ["split.json", "dataset_split.csv", "splits.mat"])
def test_a_split_in_a_form_that_is_not_read_is_not_forgotten(tmp_path, name):
    folder = own(tmp_path / "own", lists={"readme.md": "mine"})
    (folder / name).write_text("{}")

    with pytest.raises(InputError, match=rf"{name} may say which scenes train, and is not read; give train.txt and"):
        taken(folder, tmp_path)


def sequences(folder, lists):
    """Five sequences of four frames."""
    own(folder, lists=lists)
    for kind in ("images", "masks"):
        for number, path in enumerate(sorted((folder / kind).iterdir())):
            for sequence in range(5):
                place = folder / kind / f"q{sequence}/{number:03}.png"
                place.parent.mkdir(exist_ok=True)
                place.write_bytes(path.read_bytes())
            path.unlink()
    return folder


def test_frames_of_a_sequence_are_of_one_role_where_there_are_no_lists(tmp_path):
    prepared, _ = taken(sequences(tmp_path / "own", {"readme.md": "mine"}), tmp_path)

    roles = {
        kind: {prepared.names[n].split("/")[0] for n in found} for kind, found in prepared.roles("lists", 0.0).items()
    }
    assert roles["train"] and roles["test"] and not roles["train"] & roles["test"]
    assert roles["train"] | roles["test"] == {f"q{n}" for n in range(5)}


def test_lists_may_name_sequences(tmp_path):
    folder = sequences(tmp_path / "own", {"train.txt": "q0\nq1/\nq2\n", "test.txt": "q3\nq4\n"})

    prepared, found = taken(folder, tmp_path)

    frames = len(prepared.names) // 5
    assert found[1:] == (3 * frames, 2 * frames)
    assert {prepared.names[n].split("/")[0] for n in prepared.roles("lists", 0.0)["test"]} == {"q3", "q4"}


def test_a_sequence_may_be_called_as_a_frame_of_another(tmp_path):
    folder = sequences(tmp_path / "own", {"train.lst": "q1/\n002\n", "test.lst": "q3\nq4\n"})
    for kind in ("images", "masks"):
        (folder / kind / "q2").rename(folder / kind / "002")

    prepared, _ = taken(folder, tmp_path)

    assert {prepared.names[n].split("/")[0] for n in prepared.roles("lists", 0.0)["train"]} == {"q1", "002"}


def test_boxes_called_after_a_split_are_no_split(tmp_path):
    folder = own(tmp_path / "own", lists={"readme.md": "mine"})
    at = truth_of_points(folder, "clicks")
    next(path for path in folder.iterdir() if path.suffix == ".csv").rename(folder / "my_split_boxes.csv")

    prepared, _ = taken(folder, tmp_path)

    assert sum(map(len, prepared.points)) == len(at)


def test_usual_folders_are_found_and_others_are_named(tmp_path):
    folder = own(tmp_path / "a")
    (folder / "images").rename(folder / "IRSTD1k_Img")
    (folder / "masks").rename(folder / "IRSTD1k_Label")
    assert taken(folder, tmp_path)[1] == (12, 6, 6)

    parted = own(tmp_path / "b", lists={"readme.md": "x"})
    for name in NAMES:
        for kind in ("images", "masks"):
            to = parted / ("trainval" if name in NAMES[:6] else "test") / kind
            to.mkdir(parents=True, exist_ok=True)
            (parted / kind / f"{name}.png").rename(to / f"{name}.png")
    for kind in ("images", "masks"):
        (parted / kind).rmdir()
    assert taken(parted, tmp_path)[1] == (12, 6, 6)
    (parted / "test").rename(parted / "other")
    (parted / "trainval").rename(parted / "some")
    with pytest.raises(InputError, match=r"a dataset is images/ and masks/, but here are other/, readme.md, some/"):
        taken(parted, tmp_path)


def test_what_of_the_folder_is_not_read_is_told(tmp_path):
    folder = own(tmp_path / "mine")
    (folder / "labels").mkdir()
    for name in ("train.csv", "split.json", "README.md", ".DS_Store"):
        (folder / name).write_text("x")

    told = download.copy_own("mine", folder, tmp_path / "raw/mine")

    assert "not read: labels/, split.json, train.csv" in told
    assert all("not read" not in one for one in download.copy_own("mine", own(tmp_path / "two"), tmp_path / "raw/two"))
