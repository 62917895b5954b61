"""Raw datasets, the catalogue, preparation, synthetic scenes."""

import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from irstd.data import catalogue, prepare, raw, synthetic
from irstd.data.prepared import Prepared
from irstd.errors import InputError
from tests.conftest import wanted


def put(folder, name, image, mask):
    for kind, pixels in (("images", image), ("masks", mask)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        if pixels is not None:
            Image.fromarray(pixels).save(folder / kind / f"{name}.png")


@pytest.fixture
def folder(tmp_path, rng):
    for name in ("a", "b", "c"):
        mask = np.zeros((40, 50), np.uint8)
        mask[10:13, 20:24] = 255
        put(tmp_path / "set", name, rng.integers(0, 256, (40, 50), np.uint8), mask)
    raw.write_splits(
        tmp_path / "set/splits.csv", {n: {"s": r} for n, r in zip("abc", ("train", "train", "test"), strict=True)}
    )
    return tmp_path / "set"


class TestCatalogue:
    def test_published_split_sizes_and_counts_are_those_of_the_manifests(self):
        assert catalogue.split_sizes("nuaa-sirst")["213-214"] == {"train": 213, "test": 214}
        assert catalogue.split_sizes("nuaa-sirst")["341-86"] == {"train": 341, "test": 86}
        assert catalogue.split_sizes("nuaa-sirst")["256-85-86"] == {"train": 256, "val": 85, "test": 86}
        assert catalogue.split_sizes("nuaa-sirst")["224-96"] == {"train": 224, "test": 96}
        assert catalogue.split_sizes("nudt-sirst")["663-664"] == {"train": 663, "test": 664}
        assert catalogue.split_sizes("nudt-sirst")["1061-266"] == {"train": 1061, "test": 266}
        assert catalogue.split_sizes("irstd-1k")["800-201"] == {"train": 800, "test": 201}
        assert [len(catalogue.manifest(n)) for n in ("nuaa-sirst", "nudt-sirst", "irstd-1k")] == [427, 1327, 1001]

    def test_every_entry_is_whole(self):
        for name, entry in catalogue.ENTRIES.items():
            assert name == entry.name and entry.title and entry.licence and entry.cite and entry.splits and entry.quirks
            assert entry.sources or entry.parts or name == "synthetic"

    def test_an_unknown_dataset_is_refused_with_a_suggestion(self):
        with pytest.raises(InputError) as error:
            catalogue.get("irstd1k")

        assert str(error.value) == "there is no dataset 'irstd1k' in the catalogue; did you mean 'irstd-1k'?"


class TestRaw:
    @pytest.mark.parametrize(
        ("remove", "sentence"),
        [
            ("masks/b.png", "set: the image 'b' has no mask of the same name; add it or remove the image"),
            ("images/c.png", "set: the mask 'c' has no image of the same name; add it or remove the mask"),
            ("masks", "set: the folder masks/ is missing; a dataset is images/ and masks/"),
        ],
    )
    def test_what_does_not_pair_up_is_named(self, folder, remove, sentence):
        path = folder / remove
        shutil.rmtree(path) if path.is_dir() else path.unlink()

        with pytest.raises(InputError) as error:
            raw.pairs(folder)

        assert sentence == str(error.value)

    def test_a_truncated_png_is_named(self, folder):
        path = folder / "images/b.png"
        path.write_bytes(path.read_bytes()[:-100])

        with pytest.raises(InputError, match=r"set/images/b.png is damaged .*; replace the file$"):
            prepare.prepare(folder, folder.parent / "out")
        assert not (folder.parent / "out").exists()

    def test_a_file_that_is_no_image_is_named(self, folder):
        (folder / "images/b.png").write_text("not pixels")

        with pytest.raises(InputError) as error:
            raw.decode(folder / "images/b.png", "b.png")

        assert str(error.value) == "b.png is not an image; replace the file"

    def test_an_image_of_16_bits_is_refused_by_name_not_cut_off(self, folder):
        Image.fromarray(np.full((4, 4), 1600, np.uint16)).save(folder / "deep.png")

        with pytest.raises(InputError) as error:
            raw.decode(folder / "deep.png", "deep.png")

        assert "deep.png has pixels of mode I;16, not of 8 bits; convert it to 8 bits" == str(error.value)

    def test_a_digest_depends_on_pixels_and_shape_alone(self, folder, rng):
        pixels = rng.integers(0, 256, (6, 8), np.uint8)
        for suffix, mode in ((".png", "L"), (".bmp", "L"), (".tif", "RGB"), (".png", "RGBA")):
            path = folder / f"copy{suffix}"
            Image.fromarray(pixels).convert(mode).save(path)
            assert raw.digest(np.stack([pixels] * 3, -1)) == raw.digest(raw.decode(path))
        assert raw.digest(np.zeros((2, 3, 3), np.uint8)) != raw.digest(np.zeros((3, 2, 3), np.uint8))


class TestPrepare:
    def test_pixels_masks_targets_and_splits_survive(self, folder, tmp_path):
        prepare.prepare(folder, tmp_path / "out")
        prepared = Prepared(tmp_path / "out")

        assert prepared.names == ["a", "b", "c"]
        for number, name in enumerate(prepared.names):
            np.testing.assert_array_equal(prepared.image(number), np.asarray(Image.open(folder / f"images/{name}.png")))
            np.testing.assert_array_equal(
                prepared.mask(number), np.asarray(Image.open(folder / f"masks/{name}.png")) > 0
            )
        np.testing.assert_array_equal(prepared.points[0], [[11.0, 21.5]])
        assert prepared.roles("s", 0.0) == {"train": [0, 1], "validation": [], "test": [2]}

    def test_oddities_are_handled_in_the_open_and_counted(self, folder, tmp_path, rng):
        colour = rng.integers(0, 256, (40, 50, 3), np.uint8)
        mask = np.zeros((41, 49), np.uint8)
        mask[0, 0], mask[20:22, 20:22], mask[30, 30] = 255, 200, 100
        put(folder, "d", colour, mask)
        put(folder, "e", np.full((64, 64), 9, np.uint8), np.zeros((64, 64), np.uint8))
        raw.write_splits(folder / "splits.csv", {n: {"s": "train"} for n in "abcde"})

        prepare.prepare(folder, tmp_path / "out")
        prepared = Prepared(tmp_path / "out")

        counts = pd.read_csv(tmp_path / "out/quirks.csv").set_index("quirk")["count"].to_dict()
        dark = int((pd.read_csv(tmp_path / "out/targets.csv")["contrast"] < 0).sum())
        assert {
            "colour": 1, "mask_size": 1, "mask_grey": 1, "odd_size": 4, "no_target": 1, "border": 1, "single_pixel": 1, "dark": dark,
        } == counts  # fmt: skip
        np.testing.assert_array_equal(prepared.image(3), np.asarray(Image.fromarray(colour).convert("L")))
        assert prepared.mask(3).shape == (40, 50)
        assert prepared.mask(3).sum() == 5  # 200 is above 127, 100 is not

    def test_a_mask_of_another_size_is_refused_by_name(self, folder, tmp_path):
        put(folder, "b", None, np.zeros((30, 50), np.uint8))

        with pytest.raises(InputError) as error:
            prepare.prepare(folder, tmp_path / "out")

        assert str(error.value) == "b: the mask is 50×30 px but the image 50×40; replace the mask"
        assert not (tmp_path / "out").exists()

    def test_the_signal_to_clutter_ratio_is_that_of_its_definition(self, rng):
        image = rng.integers(90, 110, (64, 64)).astype(np.uint8)
        image[30:33, 30:33] = 200
        mask = np.zeros((64, 64), bool)
        mask[30:33, 30:33] = True
        row = prepare.measure(prepare.Pair("x", image, mask, False, False, False))[0]
        box = np.zeros_like(mask)
        box[10:53, 10:53] = True

        around = image[box & ~mask]
        assert (200 - around.mean()) / around.std() == pytest.approx(row["scr"], abs=1e-3)
        assert (row["row"], row["col"], row["area_px"], row["border_px"]) == (31.0, 31.0, 9, 30)

    def test_near_twins_share_a_group_and_are_held_out_together(self, tmp_path, rng):
        folder = tmp_path / "set"
        scenes = rng.integers(0, 256, (10, 64, 64), np.uint8)
        for number in range(20):
            put(folder, f"s{number:02d}", scenes[number // 2] ^ np.uint8(number % 2), np.eye(64, dtype=np.uint8) * 255)
        raw.write_splits(folder / "splits.csv", {f"s{n:02d}": {"s": "train" if n < 18 else "test"} for n in range(20)})
        prepare.prepare(folder, tmp_path / "out")

        prepared = Prepared(tmp_path / "out")
        roles = prepared.roles("s", 0.3)

        assert [f"s{n // 2 * 2:02d}" for n in range(20)] == [row["group"] for row in prepared.scenes]
        assert {n // 2 for n in roles["train"]}.isdisjoint({n // 2 for n in roles["validation"]})
        assert 4 <= len(roles["validation"]) <= 6
        assert sorted([*roles["train"], *roles["validation"]]) == list(range(18))

    def test_an_unknown_or_empty_split_is_one_sentence(self, prepared, folder, tmp_path):
        with pytest.raises(InputError) as unknown:
            prepared.roles("mad", 0.1)
        raw.write_splits(folder / "splits.csv", {n: {"s": "train"} for n in "abc"})
        prepare.prepare(folder, tmp_path / "out")
        with pytest.raises(InputError) as empty:
            Prepared(tmp_path / "out").roles("s", 0.0)

        assert str(unknown.value) == "prepared has no split 'mad'; did you mean 'made'?"
        assert str(empty.value) == "out: split 's' has no scene for test; choose another split or share"

    def test_the_uavb_layout_with_jpeg_masks_and_boxes(self, tmp_path, rng):
        folder = tmp_path / "uavb"
        for name in ("u1", "u2"):
            mask = np.zeros((40, 48), np.uint8)
            mask[16:24, 8:16] = 255
            for kind, pixels in (("images", rng.integers(0, 256, (40, 48), np.uint8)), ("masks", mask)):
                (folder / kind).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(folder / kind / f"{name}.jpg", quality=90)
        (folder / "labels").mkdir()
        (folder / "labels/u1.txt").write_text("1 0.25 0.5 0.1666667 0.2\n")
        (folder / "train.txt").write_text("u1.jpg\n")
        (folder / "val.txt").write_text("u2.jpg\n")
        roles = raw.listed_splits(folder, raw.pairs(folder), "published")
        raw.write_splits(folder / "splits.csv", roles)

        prepare.prepare(folder, tmp_path / "out")

        assert roles["u2"] == {"published": "test"}
        assert Prepared(tmp_path / "out").mask(0).sum() == 64
        box = pd.read_csv(tmp_path / "out/boxes.csv").iloc[0]
        np.testing.assert_allclose(
            [1, 15.5, 7.5, 8, 8], box[["class", "top", "left", "height", "width"]].astype(float), atol=1e-3
        )


class TestSynthetic:
    def test_a_seed_fixes_every_scene_whatever_their_number(self):
        few, many = (list(synthetic.scenes(wanted(train=n))) for n in (2, 5))

        for (name, role, scene), (name2, role2, scene2) in zip(few[:2], many[:2], strict=True):
            assert (name, role) == (name2, role2)
            np.testing.assert_array_equal(scene.image, scene2.image)
        assert (next(synthetic.scenes(wanted(seed=4)))[2].image != few[0][2].image).any()

    def test_the_spot_has_its_centre_and_spread(self):
        spot = synthetic.spot(41, 20.3, 18.75, 2.0).astype(float)
        rows, cols = np.indices(spot.shape)
        mean = np.array([(spot * rows).sum(), (spot * cols).sum()]) / spot.sum()

        np.testing.assert_allclose([20.3, 18.75], mean, atol=1e-4)
        # A pixel's own width adds 1/12 to the variance.
        assert pytest.approx((spot * (rows - 20.3) ** 2).sum() / spot.sum(), rel=1e-3) == 2.0**2 + 1 / 12

    def test_truth_lies_in_the_mask_and_strength_is_as_asked(self):
        ratios = []
        for _, _, scene in synthetic.scenes(wanted(train=30, size=128, scr=(8.0, 8.0))):
            for row, col, *_ in scene.truth:
                assert scene.mask[round(row), round(col)]
            pair = prepare.Pair("x", scene.image, scene.mask, False, False, False)
            ratios += [row["scr"] for row in prepare.measure(pair)]

        assert pytest.approx(np.median(ratios), rel=0.25) == 8

    def test_scenes_do_not_depend_on_the_processors_vector_instructions(self, root):
        code = (
            "import hashlib; from tests.conftest import wanted; from irstd.data import synthetic\n"
            "print(hashlib.sha256(b''.join(s.image.tobytes() for *_, s in synthetic.scenes(wanted(train=60, size=128)))).hexdigest())"
        )
        outs = {
            subprocess.run(
                [sys.executable, "-W", "ignore", "-c", code],
                cwd=root,
                env=os.environ | env,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for env in ({}, {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR"})
        }

        assert 1 == len(outs)

    def test_power_law_noise_has_its_slope(self):
        field = synthetic.power_law(np.random.default_rng(0), 256, 1.5).astype(float)
        power = np.abs(np.fft.fft2(field)) ** 2
        f = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
        band = (f > 0.02) & (f < 0.4)

        slope = np.polyfit(np.log(f[band]), np.log(power[band]), 1)[0]

        assert pytest.approx(slope, abs=0.15) == -3.0  # of power: twice that of amplitude

    def test_the_number_of_targets_is_in_its_range(self):
        numbers = [len(s.truth) for *_, s in synthetic.scenes(wanted(train=40, targets=(0, 3), size=128))]

        assert {0, 1, 2, 3} == set(numbers)

    def test_over_a_hundred_scenes_of_256_px_a_second_on_one_core(self):
        start = time.process_time()
        count = sum(1 for _ in synthetic.scenes(wanted(train=60, test=0, size=256)))

        assert count / (time.process_time() - start) > 100


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "images", "targets", "odd"),
    [
        ("nuaa-sirst", 427, 533, {"colour": 159, "mask_grey": 0}),
        ("nudt-sirst", 1327, 1863, {"colour": 7, "border": 18, "single_pixel": 2}),
        ("irstd-1k", 1001, 1492, {"colour": 3, "mask_grey": 85, "border": 3}),
    ],
)
def test_the_real_datasets_from_the_mirror(name, images, targets, odd, real):
    start = sum(os.times()[:4])  # s; of processors, so that what runs beside it does not count

    prepared = Prepared(real(name))

    assert (images, targets) == (len(prepared.names), sum(map(len, prepared.points)))
    counts = pd.read_csv(prepared.folder / "quirks.csv").set_index("quirk")["count"].to_dict()
    assert odd == {k: counts[k] for k in odd}
    for split, sizes in catalogue.split_sizes(name).items():
        roles = prepared.roles(split, 0.0)
        assert sizes == {k: len(v) for k, v in zip(("train", "val", "test"), roles.values(), strict=True) if v}
    assert sum(os.times()[:4]) - start < 40  # the three together in under two minutes
