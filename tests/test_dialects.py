"""Predictions and truth that look like others: refused, or said; nothing of it is scored in silence."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from irstd.errors import InputError
from irstd.formats import pixels, predictions
from irstd.formats.predictions import Reading
from irstd.scoring import truth as truths
from tests.test_silence import SIZE, SIZES, TRUTH, put


class TestDialects:
    def read(self, path, name, text, **how):
        place = path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text if isinstance(text, str) else json.dumps(text))
        return predictions.read(path if "/" in name else place, SIZES, Reading(**how))

    def test_coco_files_of_images_of_another_size_are_refused(self, tmp_path):
        one = {"id": 1, "file_name": "a.png", "height": 96, "width": 128}
        box = {"image_id": 1, "bbox": [10, 10, 3, 3], "score": 0.9}

        with pytest.raises(InputError, match=r"the image a.png: it is for an image of 128×96 px, not 64×48"):
            self.read(tmp_path, "a.json", {"images": [one], "annotations": [box]})

    def test_coco_boxes_that_are_shares_are_refused_and_of_the_first_pixel_are_not(self, tmp_path):
        box = {"image_id": "a", "bbox": [0.2, 0.3, 0.05, 0.06], "score": 0.9}
        with pytest.raises(InputError, match="every bbox is from 0 to 1, shares of the image's sides"):
            self.read(tmp_path, "a.json", [box])

        assert self.read(tmp_path, "a.json", [box | {"bbox": [0, 0, 1, 1]}]).points["a"].tolist() == [[0, 0, 0.9]]

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            (
                "0 0.9 0.15 0.25 0.05 0.06",
                r"most boxes reach out of their image \(a.txt line 1\); the order of a line is class, x",
            ),
            ("0 0.6 0.7 0.65 0.75", "most boxes reach out of their image"),
            ("0.101562 0.2 0.05 0.06 0.9", "line 1 begins with 0.101562, which is no class"),
        ],
    )
    def test_yolo_lines_in_another_order_are_refused(self, tmp_path, line, words):
        with pytest.raises(InputError, match=words):
            self.read(tmp_path, "labels/a.txt", line)

    def test_yolo_boxes_at_the_border_may_reach_a_hair_over_it(self, tmp_path):
        assert len(self.read(tmp_path, "labels/a.txt", "0 0.995 0.5 0.02 0.05").points["a"]) == 1

    def test_one_box_of_several_may_reach_out(self, tmp_path):
        found = self.read(tmp_path, "labels/a.txt", "0 0.99 0.5 0.1 0.05\n0 0.5 0.5 0.05 0.05\n")

        assert len(found.points["a"]) == 2

    @pytest.mark.parametrize("box", [[None, 1, 2, 3], 5, ["x", 1, 2, 3]])
    def test_a_box_of_an_unknown_image_is_not_looked_at(self, tmp_path, box):
        known = {"image_id": "a", "bbox": [10, 10, 3, 3], "score": 0.9}

        found = self.read(tmp_path, "a.json", [known, {"image_id": "z", "bbox": box}])

        assert found.problems == {"extra": ["z"]} and len(found.points["a"]) == 1

    def test_of_two_columns_that_name_the_one_that_names_scenes_is_taken(self, tmp_path):
        found = self.read(tmp_path, "p.csv", "image,name,xmin,ymin,xmax,ymax\na.png,target,10,10,13,13\n")

        assert found.points["a"].tolist() == [[11, 11, 1]]
        found = self.read(tmp_path, "p.csv", "frame,name,row,col\na,pred_b.png,1,1\nz,pred_a.png,2,2\n")
        assert found.points["b"].tolist() == [[1, 1, 1]] and found.points["a"].tolist() == [[2, 2, 1]]

    def test_a_column_that_is_there_twice_is_refused_and_lines_that_are_counted(self, tmp_path):
        with pytest.raises(InputError, match=r"p.csv has several columns 'row'; keep one"):
            self.read(tmp_path, "p.csv", "name,row,col,row\na,1,2,3\n")

        found = self.read(tmp_path, "p.csv", "name,row,col\na,11,11\na,11,11\n")

        assert "p.csv: 1 of 2 marks are there twice: each counts" in found.notes


class TestValues:
    @pytest.mark.parametrize(
        ("name", "kind"), [("a.png", np.uint8), ("a.jpg", np.uint8), ("a.webp", np.uint8), ("a.tif", np.uint8),
                           ("a.tif", np.uint16), ("a.tif", np.float64)],
    )  # fmt: skip
    @pytest.mark.parametrize("turned", [3, 6])
    def test_pictures_that_viewers_turn_are_refused_for_libraries_differ(self, tmp_path, name, kind, turned):
        image = np.zeros((8, 12), kind)
        exif = Image.Exif()
        exif[274] = turned
        if kind == np.uint8:
            Image.fromarray(image).save(tmp_path / name, exif=exif)
        else:
            tifffile.imwrite(tmp_path / name, image, extratags=[(274, "H", 1, turned, True)])

        with pytest.raises(
            pixels.UnreadableError, match=rf"stored turned or mirrored \(orientation {turned}\); save it"
        ):
            pixels.read(tmp_path / name)

    @pytest.mark.parametrize("kind", ["palette", "bits", "grey", "array", "one"])
    def test_inverted_maps_are_refused_unless_they_are_to_be_scored_so(self, tmp_path, kind):
        for name, mask in TRUTH.items():
            turned = mask if kind == "one" and name == "b" else 1 - mask
            if kind == "array":
                np.save(tmp_path / f"{name}.npy", turned.astype(np.float32))
                continue
            image = Image.fromarray(turned * np.uint8(255))
            if kind == "palette":
                image = Image.fromarray(mask).convert("P")
                image.putpalette([255] * 3 + [0] * 3)
            (image.convert("1") if kind == "bits" else image).save(
                tmp_path / f"{name}.{'bmp' if kind == 'bits' else 'png'}"
            )
        given = predictions.read(tmp_path, SIZES)

        names = {path.stem for path in tmp_path.iterdir()} - ({"b"} if kind == "one" else set())
        assert {one.split(".")[0] for one in given.problems["most"]} == names
        with pytest.raises(InputError) as error:
            given.refuse(["most"])
        assert "turn them over if they are inverted" in str(error.value) and "--skip" not in str(error.value)
        taken = predictions.read(tmp_path, SIZES, Reading(as_given=True))
        assert not taken.problems and set(taken.maps) == set(SIZES)
        assert any(note.startswith("Most pixels count as found in") for note in taken.notes)

    def test_of_stretched_maps_it_is_said_how_many_and_from_which_size(self, tmp_path):
        put(tmp_path, TRUTH, lambda _, m: m[::2, ::2] * np.uint8(255))

        given = predictions.read(tmp_path, SIZES, Reading(fit=True))

        (tall, wide), *_ = SIZES.values()
        assert f"2 maps stretched to their image's size: {wide // 2}×{tall // 2} to {wide}×{tall} px" in given.notes

    def test_maps_numbered_from_another_first_number_are_not_skipped(self, tmp_path):
        put(tmp_path, {f"{n:03}": TRUTH["a"] for n in range(4)}, lambda _, m: m * np.uint8(255))

        with pytest.raises(InputError) as error:
            predictions.read(tmp_path, {f"{n:03}": TRUTH["a"].shape for n in range(1, 5)}).refuse()

        assert "seem to be numbered from another first number" in str(error.value)
        assert "--skip" not in str(error.value) and "--missing" not in str(error.value)
        for missing, skipped in (("error", ["extra", "missing"]), ("nothing", ["extra"])):
            given = predictions.read(tmp_path, {f"{n:03}": TRUTH["a"].shape for n in range(1, 5)})
            with pytest.raises(InputError, match="another first number"):
                given.settle({f"{n:03}": TRUTH["a"].shape for n in range(1, 5)}, missing, skipped)

    def test_skipping_what_is_wrong_with_every_point_is_refused(self, tmp_path):
        (tmp_path / "p.csv").write_text("name,row,col,score\na,2,3,70\nb,2,3,80\n")

        given = predictions.read(tmp_path / "p.csv", SIZES)

        with pytest.raises(InputError) as error:
            given.refuse(["range"])
        assert "scores outside [0, 1] in line 2, line 3" in str(error.value) and "--skip" not in str(error.value)
        region = {"image_id": "a", "segmentation": [[1, 1, 4, 1, 4, 4, 1, 4]], "score": 70}
        (tmp_path / "p.json").write_text(json.dumps([region]))
        with pytest.raises(InputError, match="scores outside"):
            predictions.read(tmp_path / "p.json", SIZES).refuse(["range"])

    def test_files_that_find_nothing_may_leave_a_stranger_out(self, tmp_path):
        (tmp_path / "p.csv").write_text("name,row,col\na,,\nb,,\nz,2,3\n")

        predictions.read(tmp_path / "p.csv", SIZES).refuse(["extra"])

    def test_pictures_are_no_soft_masks(self, tmp_path, rng):
        put(tmp_path, TRUTH, lambda _, m: np.maximum(rng.integers(20, 90, SIZE), m * 250).astype(np.uint8))
        put(tmp_path / "s/soft", TRUTH, lambda _, m: m * rng.integers(20, 255, SIZE).astype(np.uint8))

        with pytest.raises(
            InputError, match=r"most pixels of a.png, b.png are grey, as in pictures; give the folder of"
        ):
            truths.of_folder(tmp_path, None, None)
        assert set(truths.of_folder(tmp_path / "s", None, None).sizes) == set(SIZES)

    @pytest.mark.parametrize("kind", ["jpg", "npy", "png"])
    def test_bright_pictures_in_any_file_are_no_masks(self, tmp_path, rng, kind):
        levels = rng.integers(60, 200, SIZE).astype(np.uint8)
        shown = (levels / 255).astype(np.float32) if kind == "npy" else levels
        put(tmp_path, TRUTH, lambda *_: shown, f".{kind}")

        with pytest.raises(InputError, match="are grey, as in pictures"):
            truths.of_folder(tmp_path, None, None)

    def test_the_values_of_all_masks_count_where_frames_of_sequences_have_one_name(self, tmp_path):
        for sequence, levels in (("one", 255), ("two", 100)):
            put(tmp_path / sequence, TRUTH, lambda _, m, v=levels: m * np.uint8(v) + np.roll(m, 9, 1) * np.uint8(20))

        with pytest.raises(InputError, match=r"masks hold 0 \(.*20 \(36 px\).*100 \(18 px\)"):
            truths.of_folder(tmp_path, None, None)

    def test_of_a_few_levels_those_that_do_not_count_are_named(self, tmp_path):
        put(tmp_path, TRUTH, lambda _, m: m * np.uint8(255) + np.roll(m, 3, 1))

        notes = truths.of_folder(tmp_path, None, None).notes

        assert notes == ["2 masks have grey levels: pixels above 127 are targets, and 1 (18 px) are not"]
