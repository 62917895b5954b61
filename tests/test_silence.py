"""What a second reader found to be wrong without a word, refused though sound, or advised against all sense."""

import os
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import io

import irstd
from irstd.apps import api, cli
from irstd.data import own, prepare
from irstd.errors import InputError
from irstd.formats import images, lists, marks, predictions, tables
from irstd.formats.predictions import Reading
from irstd.inference import sources
from irstd.scoring import truth as truths

SIZE = (48, 64)
SIZES = {"a": SIZE, "b": SIZE}


def square(row, col, side=3):
    mask = np.zeros(SIZE, np.uint8)
    mask[row : row + side, col : col + side] = 1
    return mask


TRUTH = {"a": square(10, 10), "b": square(30, 40)}


def put(folder, maps, kind=lambda _name, mask: mask * np.uint8(255), suffix=".png"):
    for name, mask in maps.items():
        path = folder / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        array = kind(name, mask)
        np.save(path, array) if suffix == ".npy" else Image.fromarray(array).save(path)
    return folder


class TestMaps:
    @pytest.mark.parametrize(
        "kind",
        [
            lambda n, m: m if n == "a" else m * np.uint8(255),
            lambda n, m: m.astype(np.uint16) * 65535 if n == "a" else m * np.uint8(255),
            lambda n, m: m.astype(np.uint16) * 65535 if n == "a" else m,
        ],
        ids=["1 and 255", "65535 and 255", "65535 and 1"],
    )
    def test_masks_of_several_ranges_in_one_folder_are_masks(self, tmp_path, kind):
        given = predictions.read(put(tmp_path, TRUTH, kind), SIZES)

        assert all(np.array_equal(given.maps[name], mask) for name, mask in TRUTH.items())

    def test_maps_of_8_bits_beside_maps_of_16_are_over_255(self, tmp_path):
        def kind(name, mask):
            return (
                mask.astype(np.uint16) * np.uint16(40000) + np.uint16(3)
                if name == "a"
                else (mask * 200 + 3).astype(np.uint8)
            )

        given = predictions.read(put(tmp_path, TRUTH, kind), SIZES)

        assert [given.maps[name].max() for name in SIZES] == pytest.approx([40003 / 65535, 203 / 255])
        assert "1 maps of more than 8 bits are over 65535, 1 others over 255" in given.notes

    def test_logits_without_a_sign_are_refused(self, tmp_path):
        put(tmp_path, TRUTH, lambda _, m: (m * 0.8 + 0.1).astype(np.float32), ".npy")

        with pytest.raises(InputError, match="none below 0, so that every pixel would count as found"):
            predictions.read(tmp_path, SIZES, Reading(logits=True))
        with pytest.raises(InputError, match="both say what a map's numbers are"):
            predictions.read(tmp_path, SIZES, Reading(logits=True, stretch="max"))

    def test_what_would_leave_no_scene_is_not_advised(self, tmp_path):
        put(tmp_path, TRUTH, lambda _, m: m * 3.5, ".npy")

        with pytest.raises(InputError) as error:
            predictions.read(tmp_path, SIZES).refuse()
        assert "scores outside [0, 1] in a.npy, b.npy" in str(error.value) and "--skip" not in str(error.value)
        given = predictions.read(tmp_path, SIZES | {"c": SIZE})
        with pytest.raises(InputError) as error:
            given.settle(SIZES | {"c": SIZE}, "nothing", ["range"])
        assert "no prediction for c; add them" in str(error.value) and "--skip" not in str(error.value)


class TestNames:
    def test_frames_of_another_sequence_are_not_taken_where_the_own_ones_are(self, tmp_path):
        put(tmp_path / "t", {"seq1/0001": TRUTH["a"], "seq1/0002": TRUTH["b"]})
        put(tmp_path / "p", {"seq2/0001": TRUTH["a"] * 0, "seq2/0002": TRUTH["b"] * 0})
        truth = truths.of_folder(tmp_path / "t")
        how = Reading(below=truth.below)

        other = predictions.read(tmp_path / "p", truth.sizes, how)
        assert "Predictions in seq2 are taken as those of seq1, where the truth is." in other.notes
        put(tmp_path / "p", {"seq1/0001": TRUTH["a"], "seq1/0002": TRUTH["b"]})
        both = predictions.read(tmp_path / "p", truth.sizes, how)
        assert {n: m.sum() for n, m in both.maps.items()} == {"0001": 9, "0002": 9}
        assert both.problems == {"extra": ["seq2/0001.png", "seq2/0002.png"]}

    def test_folders_of_usual_names_are_no_sequences(self, tmp_path):
        put(tmp_path / "t", {"masks/a": TRUTH["a"], "masks/b": TRUTH["b"]})
        put(tmp_path / "p", {"scores/a": TRUTH["a"], "scores/b": TRUTH["b"]})
        truth = truths.of_folder(tmp_path / "t")
        assert truth.below == ""
        assert not predictions.read(tmp_path / "p", truth.sizes, Reading(below=truth.below)).notes

        put(tmp_path / "p", {"masks/a": TRUTH["a"]})
        with pytest.raises(InputError, match=r"masks/a\.png and scores/a\.png are both predictions of 'a'; keep one"):
            predictions.read(tmp_path / "p", truth.sizes, Reading(below=truth.below))

    def test_a_match_by_number_alone_is_told(self, tmp_path):
        put(tmp_path, {"Misc_1": TRUTH["a"]})
        given = predictions.read(tmp_path, {"000001": SIZE})

        assert "1 predictions are matched by their number alone, as Misc_1 to 000001." in given.notes


class TestMarks:
    def table(self, tmp_path, text):
        (tmp_path / "t.csv").write_text(text)
        put(tmp_path / "images", TRUTH)
        return tmp_path / "t.csv"

    @pytest.mark.parametrize(
        "text", ["name,row,col\na,11,11\nb,900,6\n", "name,xmin,ymin,xmax,ymax\na,10,10,13,13\nb,500,5,503,8\n"]
    )
    def test_truth_outside_its_image_is_refused(self, tmp_path, text):
        path = self.table(tmp_path, text)

        with pytest.raises(InputError, match=r"t\.csv: line 3 \(b\) outside the image; correct them"):
            truths.of_folder(path, tmp_path / "images")
        words = ["convert", path, tmp_path / "out", "--to", "masks", "--images", tmp_path / "images"]
        with pytest.raises(SystemExit, match=r"line 3 \(b\) outside the image"):
            cli.main(list(map(str, words)))

    def test_a_box_about_no_pixels_centre_is_the_pixel_it_lies_in(self, tmp_path):
        path = self.table(tmp_path, "name,xmin,ymin,xmax,ymax\na,5.6,5.7,6.4,6.4\na,10.6,20.55,11.3,21.4\n")
        truth = truths.of_folder(path, tmp_path / "images")

        assert int((truth.mask("a") > 0).sum()) == 2
        assert marks.drawn([marks.Mark("a", (5.2, 5.1, 5.3, 5.2))], SIZE)[5, 5]
        assert not any("count as one target" in note for note in truth.notes)

    def test_a_table_without_scores_says_so_and_what_it_does_not_read(self, tmp_path):
        path = self.table(tmp_path, "name,row,col,conf_score\na,11,11,0.3\n")
        notes = predictions.read(path, SIZES).notes

        assert "t.csv: columns not read: conf_score" in notes and "t.csv: no scores: all count as 1" in notes
        path.write_text("name,row,col,score\na,11,11,0.3\n")
        assert predictions.read(path, SIZES).notes == ["1 scenes have no detection: taken as nothing found"]

    @pytest.mark.parametrize("text", ["sep=;\nname;row;col\na;11,5;12\n", "name,row,col\na,11.5,12,\n"])
    def test_what_spreadsheets_add_does_not_matter(self, tmp_path, text):
        found = tables.read(self.table(tmp_path, text), SIZES)

        assert [mark.centre for mark in found.every] == [(11.5, 12.0)]


class TestPictures:
    def test_one_bit_and_signed_bytes_are_read_as_they_are(self, tmp_path):
        ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))
        Image.fromarray(ramp > 128).save(tmp_path / "one.png")
        tifffile.imwrite(tmp_path / "i8.tif", (ramp.astype(int) - 128).astype(np.int8))

        assert np.array_equal(images.read(tmp_path / "one.png").levels, (ramp > 128) * np.uint8(255))
        grey = images.read(tmp_path / "i8.tif").levels
        assert np.all(np.diff(grey[0].astype(int)) > 0)

    def test_the_key_of_an_archive_is_heeded_from_the_beginning(self, tmp_path):
        io.savemat(tmp_path / "x.mat", {"T": np.random.default_rng(0).random((96, 128)), "D": np.zeros((96, 128))})

        sources.check(tmp_path / "x.mat", "T")
        with pytest.raises(InputError, match=r"it holds T, D; say which is meant with --key"):
            sources.check(tmp_path / "x.mat")
        (tmp_path / "t.txt").write_text("no picture")
        with pytest.raises(InputError, match=r"t\.txt is no picture \(not an image\)"):
            sources.check(tmp_path / "t.txt")

    def test_truth_of_several_arrays_is_not_advised_a_key(self, tmp_path):
        np.savez(tmp_path / "a.npz", mask=TRUTH["a"], other=TRUTH["a"])

        with pytest.raises(InputError, match=r"it holds mask, other; save the mask alone"):
            truths.of_folder(tmp_path)

    def test_masks_of_one_bit_lie_beside_soft_ones(self, tmp_path):
        soft = TRUTH["b"] * np.uint8(255)
        soft[29, 40:43], soft[33, 40:43] = 90, 140
        Image.fromarray(TRUTH["a"] > 0).save(tmp_path / "a.png")
        Image.fromarray(soft).save(tmp_path / "b.png")
        truth = truths.of_folder(tmp_path)

        assert [int((truth.mask(name) > 127).sum()) for name in SIZES] == [9, 12]


class TestOwn:
    def images(self, folder, scenes, mask="masks"):
        for n, name in enumerate(scenes):
            put(folder / "images", {name: square(5 + n, 9 * n % 50)}, lambda _, m: m * np.uint8(90) + np.uint8(20))
            put(folder / mask, {name: square(5 + n, 9 * n % 50)})
        return folder

    def test_folders_of_images_called_train_and_test_are_the_split(self, tmp_path):
        found = own.take(self.images(tmp_path, ["train/s0", "train/s1", "test/s2"]))

        assert {n: r["lists"] for n, r in found.roles.items()} == {
            "train/s0": "train", "train/s1": "train", "test/s2": "test",
        }  # fmt: skip
        assert "no lists: the folders of images say which train and which test" in found.report

    @pytest.mark.parametrize("suffix", [".lst", ".csv", ""])
    @pytest.mark.parametrize("place", ["", "a/b/c/"])
    def test_lists_of_other_suffixes_and_places_are_found(self, tmp_path, suffix, place):
        self.images(tmp_path, ["s0", "s1", "s2"])
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        head = "name\n" if suffix == ".csv" else ""
        (tmp_path / f"{place}train{suffix}").write_text(f"{head}s2\ns0\n")
        (tmp_path / f"{place}test{suffix}").write_text(f"{head}s1\n")

        assert {n: r["lists"] for n, r in own.take(tmp_path).roles.items()} == {
            "s0": "train", "s1": "test", "s2": "train",
        }  # fmt: skip

    def test_a_line_of_several_scenes_is_refused_and_a_number_before_a_name_is_none(self, tmp_path):
        known = [f"{n:06}" for n in range(4)]
        (tmp_path / "train.txt").write_text("0 000002\n1 000003\n")
        (tmp_path / "test.txt").write_text("0 000000\n1 000001\n")
        roles = lists.find(tmp_path, known).of_scenes(known)
        assert [roles[name]["lists"] for name in known] == ["test", "test", "train", "train"]

        (tmp_path / "train.txt").write_text("000002 000003\n")
        with pytest.raises(InputError, match=r"train\.txt: '000002 000003' names '000002' and '000003' in one line"):
            lists.find(tmp_path, known)

    @pytest.mark.parametrize(
        "line",
        ["images/000002.png masks/000002.png 1", "images/000002.png 0 0 10 10", "1 images/000002.png", "000002.png,1"],
    )
    def test_a_file_in_a_line_tells_more_than_numbers_beside_it(self, tmp_path, line):
        known = [f"{n:06}" for n in range(4)]
        (tmp_path / "train.txt").write_text(f"{line}\n")
        (tmp_path / "test.txt").write_text("000000\n")

        assert lists.find(tmp_path, known).of_scenes(known)["000002"]["lists"] == "train"

    @pytest.mark.parametrize(
        ("name", "content"),
        [("train.csv", "epoch,loss\n1,0.4\n"), ("train", "#!/bin/sh\npython train.py\n"), ("val.lst", "?")],
    )
    def test_other_files_called_so_are_no_lists(self, tmp_path, name, content):
        self.images(tmp_path, ["s0", "s1", "s2"])
        (tmp_path / name).write_text(content)

        assert any("no lists" in line for line in own.take(tmp_path).report)

    def test_lists_may_lie_beside_a_table_of_points(self, tmp_path):
        put(tmp_path / "images", {"s0": TRUTH["a"], "s1": TRUTH["b"]})
        (tmp_path / "points.csv").write_text("name,row,col\ns0,11,11\ns1,31,41\n")
        (tmp_path / "train.csv").write_text(",name\n0,s0\n")  # as pandas writes it
        (tmp_path / "test.csv").write_text('"name"\n"s1"\n')
        found = own.take(tmp_path)

        assert {n: r["lists"] for n, r in found.roles.items()} == {"s0": "train", "s1": "test"}
        (tmp_path / "train.txt").write_text("s1\n")
        with pytest.raises(InputError, match=r"train\.csv and train\.txt are both lists of one role; keep one"):
            own.take(tmp_path)

    def test_labels_beside_the_images_of_each_role_are_taken(self, tmp_path):
        for role, name in (("train", "s0"), ("valid", "s1")):
            put(tmp_path / role / "images", {name: TRUTH["a"]})
            (tmp_path / role / "labels").mkdir()
            (tmp_path / role / "labels" / f"{name}.txt").write_text("0 0.5 0.5 0.1 0.1\n")
        found = own.take(tmp_path)

        assert sorted(mark.scene for mark in found.marks.every) == ["s0", "s1"] and found.kind == "boxes"
        assert {n: r["lists"] for n, r in found.roles.items()} == {"s0": "train", "s1": "test"}

    def test_equal_names_in_both_roles_are_the_only_fault_told(self, tmp_path):
        for role in ("trainval", "test"):
            self.images(tmp_path / role, ["s0"])

        with pytest.raises(InputError, match="are both images of 's0'") as error:
            own.take(tmp_path)
        assert "only" not in str(error.value)

    def test_preparing_says_what_images_and_masks_were_taken_for(self, tmp_path):
        self.images(tmp_path / "own", ["s0", "s1", "s2", "s3"])
        for name in ("s0", "s1"):
            grey = np.random.default_rng(0).integers(9000, 9900, SIZE).astype(np.uint16)
            Image.fromarray(grey).save(tmp_path / f"own/images/{name}.png")
        for path in (tmp_path / "own/masks").iterdir():
            Image.fromarray(np.asarray(Image.open(path)) // 255).save(path)
        own.copy("mine", tmp_path / "own", tmp_path / "raw")
        notes = prepare.prepare(tmp_path / "raw", tmp_path / "prepared")

        assert any(note.startswith("2 images: of more than 8 bits; stretched") for note in notes)
        quirks = (tmp_path / "prepared/quirks.csv").read_text()
        assert "a pixel counts above 127" not in quirks


class TestOptions:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("score p --truth t --split 213-214", "--split is of a dataset"),
            ("convert t y --to yolo --images t", "--images is for truth of boxes and points"),
            ("convert t y --to yolo --coco-images nowhere.json", "--coco-images names the images of COCO JSON"),
            ("convert t y --to basicirstd --images t", "--images is for files of labels"),
        ],
    )
    def test_an_option_that_would_do_nothing_is_refused(self, tmp_path, monkeypatch, words, said):
        monkeypatch.chdir(tmp_path)
        for folder in ("p", "t"):
            put(tmp_path / folder, TRUTH)

        with pytest.raises(SystemExit, match=said):
            cli.main(words.split())

    @pytest.mark.parametrize(
        ("option", "said"),
        [
            ({"threshold": 50.0}, "threshold is 50.0; give a number from 0 to 1"),
            ({"size": 3}, "size is 3; give a side from 8 to 8192 px"),
            ({"key": "T"}, "key goes with a path"),
        ],
    )
    def test_python_refuses_what_the_command_line_does(self, option, said):
        with pytest.raises(InputError) as error:
            irstd.score(TRUTH, TRUTH, **option)
        assert said in str(error.value)

    @pytest.mark.parametrize(
        ("option", "said"),
        [
            ({"stretch": "minmax"}, "stretch is 'minmax'; known are None, 'range', 'max'"),
            ({"threshold": "0.5"}, "threshold is '0.5'; give a number from 0 to 1"),
            ({"missing": "nothingg"}, "missing is 'nothingg'; known are 'error', 'nothing'"),
        ],
    )
    def test_words_that_types_would_tell_are_refused_without_them(self, option, said):
        with pytest.raises(InputError) as error:
            api._refuse(**{"threshold": None, "size": None, "stretch": None, "missing": "error"} | option)
        assert said in str(error.value)

    def test_arrays_mean_what_files_do(self):
        one = irstd.score(TRUTH, {name: mask * 7 for name, mask in TRUTH.items()})
        two = irstd.score(TRUTH, {name: mask[None, None] for name, mask in TRUTH.items()})

        assert one.conventions.loc["irstd", "iou"] == two.conventions.loc["irstd", "iou"] == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
@pytest.mark.parametrize(
    "command", [["predict", "in", "--out", "out"], ["convert", "in", "out", "--to", "points"], ["score", "in", "--truth", "in"]]
)  # fmt: skip
def test_a_name_that_is_no_utf_8_is_refused_before_anything_is_written(tmp_path, monkeypatch, command):
    put(tmp_path / "in", TRUTH)
    os.rename(os.fsencode(tmp_path) + b"/in/a.png", os.fsencode(tmp_path) + b"/in/a\xff.png")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SystemExit, match=r"error: in/a\\udcff\.png has a name that is no UTF-8; rename it"):
        cli.main(command)
    assert not (tmp_path / "out").exists()
