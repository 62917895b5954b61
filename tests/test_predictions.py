"""Anyone's predictions: names, formats, and what is wrong with them said once."""

import json

import numpy as np
import pytest
from PIL import Image

from irstd.errors import InputError
from irstd.formats import known
from irstd.formats.names import scene_of
from irstd.formats.predictions import Reading, read

SIZES = {"Misc_1": (20, 30), "Misc_11": (20, 30), "000007": (16, 16)}


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array) if path.suffix == ".npy" else Image.fromarray(array).save(path)


def spots(dtype=np.uint8, high=255):
    for name, size in SIZES.items():
        array = np.zeros(size, dtype)
        array[3:5, 4:7] = high
        yield name, array


class TestNames:
    @pytest.mark.parametrize(
        "text",
        ["Misc_11", "Misc_11_pixels0", "pred_Misc_11", "out-Misc_11-sigmoid", "Misc_11.seg", "epoch400_Misc_11_0"],
    )
    def test_the_longest_whole_name_counts(self, text):
        assert scene_of(text, SIZES) == "Misc_11"

    @pytest.mark.parametrize("text", ["Misc_111", "xMisc_1", "0000071", "mask"])
    def test_a_part_of_a_longer_word_is_no_name(self, text):
        assert scene_of(text, SIZES) is None


class TestMaps:
    @pytest.mark.parametrize(
        ("suffix", "dtype", "high"),
        [
            (".png", np.uint8, 255), (".bmp", np.uint8, 255), (".tif", np.uint8, 255), (".png", np.uint16, 65535),
            (".tiff", np.uint16, 65535), (".tiff", np.float32, 1.0), (".npy", np.float32, 1.0), (".npy", bool, True),
            (".npy", np.uint8, 255), (".npy", np.uint16, 65535), (".png", np.uint8, 1),
        ],
    )  # fmt: skip
    def test_every_format_gives_the_same_scores(self, tmp_path, suffix, dtype, high):
        for name, array in spots(dtype, high):
            write(tmp_path / f"{name}_pred{suffix}", array)

        given = read(tmp_path, SIZES)

        given.refuse()
        for name, array in spots(float, 1.0):
            assert np.array_equal(given.maps[name], array)
        assert given.notes == (
            ["all values are 0 and 1: taken as masks"]
            if high is not True and high == 1 and np.issubdtype(dtype, np.integer)
            else []
        )

    def test_colours_that_are_grey_and_extra_axes_are_read(self, tmp_path):
        for name, array in spots():
            write(tmp_path / f"{name}.png", np.repeat(array[..., None], 3, 2))
        assert not read(tmp_path, SIZES).problems

        for name, array in spots(np.float32, 1.0):
            write(tmp_path / "npy" / f"{name}.npy", array[None])
        assert not read(tmp_path / "npy", SIZES).problems

    def test_eight_bits_keep_the_side_of_one_half(self, tmp_path):
        write(tmp_path / "000007.png", np.array([[127, 128]] * 8, np.uint8).reshape(8, 2))

        scores = read(tmp_path, {"000007": (8, 2)}).maps["000007"]
        assert (scores > 0.5).tolist() == [[False, True]] * 8

    def test_logits_are_squashed_only_when_said(self, tmp_path):
        write(tmp_path / "000007.npy", np.array([[2.0, -2.0]]).repeat(16, 0).repeat(8, 1))

        assert read(tmp_path, {"000007": (16, 16)}).problems == {"range": ["000007.npy"]}
        given = read(tmp_path, {"000007": (16, 16)}, Reading(logits=True))
        assert given.maps["000007"][0, 0] == pytest.approx(1 / (1 + np.exp(-2)))

    def test_each_kind_of_problem_is_one_sentence_with_its_names(self, tmp_path):
        sizes = {f"s{n}": (10, 10) for n in range(9)}
        write(tmp_path / "s0.npy", np.full((10, 10), np.nan))
        write(tmp_path / "s1.png", np.zeros((12, 10), np.uint8))
        (tmp_path / "s2.png").write_bytes(b"not an image")
        write(tmp_path / "stranger.png", np.zeros((10, 10), np.uint8))
        write(tmp_path / "s3.png", np.zeros((10, 10), np.uint8))

        with pytest.raises(InputError) as error:
            read(tmp_path, sizes).refuse()

        assert str(error.value).split("\n       ") == [
            "no scene of this name for stranger.png; take them out, or go on without them with --skip extra",
            "no prediction for s4, s5, s6, s7, s8; add them, or say with --missing nothing that nothing was "
            "found there, or go on without them with --skip missing",
            "not readable: s2.png (not an image); replace them, or go on without them with --skip unreadable",
            "NaN or infinite scores in s0.npy; correct the method, or go on without them with --skip nan",
            "another size than the image in s1.png (10×12); predict at native size, or stretch them with --fit, or go on "
            "without them with --skip size",
        ]
        read(tmp_path, sizes).refuse(known.FIXES)  # all of them may be skipped

    def test_what_is_wrong_is_left_out_and_what_is_skipped_is_not_refused(self, tmp_path):
        write(tmp_path / "s0.png", np.zeros((10, 10), np.uint8))
        given = read(tmp_path, {"s0": (10, 10), "s1": (10, 10)})

        given.refuse(["missing"])
        assert list(given.maps) == ["s0"]
        with pytest.raises(InputError, match="no prediction for s1"):
            given.refuse(["extra"])

    def test_two_files_of_one_scene_are_refused(self, tmp_path):
        for name in ("s0.png", "s0_pred.png"):
            write(tmp_path / name, np.zeros((10, 10), np.uint8))

        with pytest.raises(InputError) as error:
            read(tmp_path, {"s0": (10, 10)})
        assert str(error.value) == "s0.png and s0_pred.png are both predictions of 's0'; keep one"

    def test_a_folder_of_other_names_says_how_to_name_them(self, tmp_path):
        write(tmp_path / "a.png", np.zeros((10, 10), np.uint8))
        with pytest.raises(
            InputError, match=r"has no prediction of any scene but a\.png; name the files after the scenes: s0, …"
        ):
            read(tmp_path, {"s0": (10, 10)})
        with pytest.raises(InputError, match="does not exist; give a folder of masks"):
            read(tmp_path / "nowhere", {"s0": (10, 10)})

    def test_sixteen_bits_mean_the_same_in_every_file_of_a_folder(self, tmp_path):
        # A scene without detections has low levels only; they are not eight bits.
        write(tmp_path / "s0.png", np.full((8, 8), 200, np.uint16))
        write(tmp_path / "s1.png", np.pad(np.full((4, 4), 60000, np.uint16), 2))

        maps = read(tmp_path, {"s0": (8, 8), "s1": (8, 8)}).maps
        assert [maps[n].max() for n in ("s0", "s1")] == pytest.approx([200 / 65535, 60000 / 65535])

    def test_hidden_files_are_no_predictions(self, tmp_path):
        write(tmp_path / "s0.png", np.zeros((8, 8), np.uint8))
        (tmp_path / "._s0.png").write_bytes(b"x")

        assert not read(tmp_path, {"s0": (8, 8)}).problems


class TestPoints:
    def test_columns_go_by_many_names(self, tmp_path):
        path = tmp_path / "p.csv"
        path.write_text("Image,y,x,confidence\nMisc_1.png,3.5,4,0.9\nMisc_1.png,9,9,0.2\nother.png,1,1,1\n")

        given = read(path, SIZES)

        assert given.points["Misc_1"].tolist() == [[3.5, 4, 0.9], [9, 9, 0.2]]
        assert given.points["000007"].shape == (0, 3)
        assert given.problems == {"extra": ["other.png"]}
        assert given.notes == ["2 scenes have no detection: taken as nothing found"]

    def test_tables_of_spreadsheets_are_read(self, tmp_path):
        (tmp_path / "p.csv").write_bytes("\ufeffname;row;col\r\nMisc_1;3;4\r\n".encode())

        assert read(tmp_path / "p.csv", SIZES).points["Misc_1"].tolist() == [[3, 4, 1]]

    def test_scores_outside_zero_and_one_are_a_problem(self, tmp_path):
        (tmp_path / "p.csv").write_text("name,row,col,score\nMisc_1,3,4,90\nMisc_1,nan,4,1\n")

        assert read(tmp_path / "p.csv", SIZES).problems == {"range": ["line 2"], "nan": ["line 3"]}

    def test_scores_are_one_where_there_are_none(self, tmp_path):
        (tmp_path / "p.csv").write_text("name,row,col\nMisc_1,3,4\n")

        assert read(tmp_path / "p.csv", SIZES).points["Misc_1"].tolist() == [[3, 4, 1]]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "name,row\nMisc_1,3\n",
                "p.csv has no column 'col' but name, row; it needs name, row, col (px), or name, xmin, ymin, xmax, ymax, and perhaps score",
            ),
            ("name,row,col\nMisc_1,3,four\n", "p.csv, line 2: row, col of 'Misc_1' must be numbers; correct the line"),
        ],
    )
    def test_a_bad_table_names_the_line(self, tmp_path, text, message):
        (tmp_path / "p.csv").write_text(text)

        with pytest.raises(InputError) as error:
            read(tmp_path / "p.csv", SIZES)
        assert str(error.value) == message


class TestCoco:
    def coco(self, tmp_path, *annotations):
        images = [{"id": n, "file_name": f"{name}.png"} for n, name in enumerate(SIZES)]
        (tmp_path / "c.json").write_text(json.dumps({"images": images, "annotations": list(annotations)}))
        return read(tmp_path / "c.json", SIZES)

    def test_a_box_around_one_pixel_has_its_centre(self, tmp_path):
        given = self.coco(tmp_path, {"image_id": 0, "bbox": [4, 3, 1, 1], "score": 0.7})

        assert given.boxes["Misc_1"].tolist() == [[2.5, 3.5, 3.5, 4.5, 0.7]]
        assert given.points["Misc_1"].tolist() == [[3, 4, 0.7]]
        assert given.maps == {} and given.points["000007"].shape == (0, 3)

    def test_polygons_and_run_lengths_give_maps(self, tmp_path):
        from pycocotools import mask

        spot = np.zeros(SIZES["Misc_11"], np.uint8)
        spot[3:6, 4:8] = 1
        code = mask.encode(np.asfortranarray(spot))
        code["counts"] = code["counts"].decode()
        polygon = [[4, 3, 8, 3, 8, 6, 4, 6]]

        given = self.coco(
            tmp_path, {"image_id": 0, "segmentation": polygon, "score": 0.6}, {"image_id": 1, "segmentation": code}
        )

        assert np.array_equal(given.maps["Misc_1"], 0.6 * spot) and np.array_equal(given.maps["Misc_11"], spot)
        assert not given.maps["000007"].any()

    def test_a_box_among_masks_is_filled(self, tmp_path):
        given = self.coco(
            tmp_path, {"image_id": 0, "segmentation": [[4, 3, 8, 3, 8, 6, 4, 6]]}, {"image_id": 1, "bbox": [4, 3, 2, 1]}
        )

        assert np.argwhere(given.maps["Misc_11"]).tolist() == [[3, 4], [3, 5]]

    def test_scores_and_boxes_that_are_no_numbers_are_problems(self, tmp_path):
        given = self.coco(
            tmp_path,
            {"image_id": 0, "bbox": [4, 3, 2, 1], "score": 1.2},
            {"image_id": 0, "bbox": [4, float("nan"), 2, 1]},
        )

        assert given.problems == {"range": ["annotation 0"], "nan": ["annotation 1"]}

    @pytest.mark.parametrize(
        ("segmentation", "words"),
        [
            ({"size": [20, 30], "counts": [1, 2, 3]}, "its runs do not add up to the image"),
            ({"size": [9, 9], "counts": [81]}, "a mask of 9×9 px for an image of 30×20"),
        ],
    )
    def test_a_damaged_run_length_code_is_refused(self, tmp_path, segmentation, words):
        with pytest.raises(InputError, match=words):
            self.coco(tmp_path, {"image_id": 0, "segmentation": segmentation})

    def test_a_list_of_results_with_names_is_read(self, tmp_path):
        (tmp_path / "r.json").write_text(json.dumps([{"image_id": "Misc_1", "bbox": [0, 0, 2, 2], "score": 1}]))

        assert read(tmp_path / "r.json", SIZES).points["Misc_1"].tolist() == [[0.5, 0.5, 1]]

    def test_what_is_no_coco_is_said(self, tmp_path):
        (tmp_path / "c.json").write_text("{}")
        with pytest.raises(InputError, match=r"c.json is no COCO JSON \(KeyError\('annotations'\)\); it needs a list"):
            read(tmp_path / "c.json", SIZES)
        with pytest.raises(
            InputError, match=r"annotation 0 cannot be used \(no bbox and no segmentation\); correct it"
        ):
            self.coco(tmp_path, {"image_id": 0})
