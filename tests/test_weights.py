"""Published weights: packed, told, and put to use on anyone's pictures."""

import csv
import hashlib
import os
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import torch as tensors

from irstd import methods
from irstd.apps.cli import main
from irstd.config import params
from irstd.errors import InputError
from irstd.formats import coco
from irstd.inference import pictures, published, weights
from irstd.inference.predict import predict
from irstd.metrics.regions import regions
from irstd.results import reading
from tests.conftest import ROOT

CARDS = published.published(ROOT / "reports/weights")
PUBLISHED = {name: path for name, path in CARDS.items() if path.suffix == ".safetensors"}  # those that are in git


def label(row="point_regression", **changes):
    values = {
        "method": row, "row": row, "dataset": "synthetic", "split": "made", "seed": 0, "epoch": 3, "budget": "quick",
        "options": {}, "threshold": 0.4, "geometry": "crop", "side": 64, "commit": None, "hardware": None,
    }  # fmt: skip
    return weights.Label(**{**values, **changes})


@pytest.fixture
def packed(tmp_path):
    """A file of untrained weights of a small GGL-Net, and its network."""
    torch.manual_seed(0)
    method = methods.get("ggl_net")
    network = method.build(params.check(method.options, {"width": 8}, ""))
    path = tmp_path / "small.safetensors"
    path.write_bytes(weights.pack(network.state_dict(), label("ggl_net", options={"width": 8}, threshold=0.5)))
    return path, network


def test_weights_come_back_with_their_label_within_half_precision(packed):
    path, network = packed
    loaded = weights.load(path)

    assert loaded.label == label("ggl_net", options={"width": 8}, threshold=0.5)
    for name, tensor in network.state_dict().items():
        got = loaded.network.state_dict()[name]
        torch.testing.assert_close(got, tensor, rtol=2**-10 if tensor.dim() > 1 else 0, atol=1e-7)
    assert path.read_bytes() == weights.pack(network.state_dict(), loaded.label)


def test_half_the_size_of_single_precision(packed):
    path, network = packed
    single = sum(t.numel() * t.element_size() for t in network.state_dict().values())

    assert path.stat().st_size < 0.6 * single


def test_variances_beyond_half_precision_survive_and_kernels_beyond_it_are_refused():
    variances = torch.tensor([1e-9, 1e6])
    packed = tensors.load(weights.pack({"norm.running_var": variances}, label()))
    torch.testing.assert_close(packed["norm.running_var"], variances, rtol=0, atol=0)

    with pytest.raises(InputError, match=r"'conv.weight' of point_regression on synthetic do not fit half precision"):
        weights.pack({"conv.weight": torch.full((1, 1), 1e6)}, label())


def test_what_is_no_file_of_weights_is_told(tmp_path, packed):
    (tmp_path / "x.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"x\.safetensors is no file of published weights"):
        weights.load(tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="there are no weights at"):
        weights.load(tmp_path / "y.safetensors")

    other = tmp_path / "other.safetensors"
    other.write_bytes(weights.pack(packed[1].state_dict(), label("ggl_net", options={})))  # of another width
    with pytest.raises(InputError, match=r"other\.safetensors does not fit today's GGL-Net; check out the commit"):
        weights.load(other)


GREY = np.arange(1024).reshape(32, 32).astype(np.uint8)  # each level four times


class TestPictures:
    @pytest.mark.parametrize(
        ("array", "note"),
        [
            (GREY, ""),
            (GREY.astype(np.uint16) * 17 + 9000, "levels 9000 to 13335 stretched to 0 to 255"),
        ],
    )
    @pytest.mark.parametrize("kind", ["png", "tif", "npy"])
    def test_grey_levels_are_taken_or_stretched(self, tmp_path, array, note, kind):
        path = tmp_path / f"a.{kind}"
        np.save(path, array) if kind == "npy" else Image.fromarray(array).save(path)

        picture = pictures.read(path)

        assert picture.note == note
        assert (picture.grey == GREY).all()

    def test_levels_may_be_given_so_that_a_hot_pixel_squeezes_nothing(self, tmp_path):
        hot = GREY.astype(np.uint16) * 17 + 9000
        hot[0, 0] = 65535
        Image.fromarray(hot).save(tmp_path / "a.png")

        picture = pictures.read(tmp_path / "a.png", (9000.0, 13335.0))

        assert (picture.grey.ravel()[1:] == GREY.ravel()[1:]).all() and picture.grey[0, 0] == 255

    def test_colours_are_luma(self, tmp_path):
        Image.fromarray(np.full((32, 32, 3), (255, 0, 0), np.uint8)).save(tmp_path / "a.png")

        picture = pictures.read(tmp_path / "a.png")

        assert (picture.grey[0, 0], picture.note) == (76, "colours taken as luma")

    @pytest.mark.parametrize("kind", ["png", "tif"])
    def test_colours_of_16_bits_keep_them(self, tmp_path, kind):
        deep = GREY.astype(np.uint16) * 17 + 9000
        cv2.imwrite(str(tmp_path / f"a.{kind}"), np.dstack([deep] * 3))

        picture = pictures.read(tmp_path / f"a.{kind}")

        assert picture.note == "levels 9000 to 13335 stretched to 0 to 255"
        assert (picture.grey == GREY).all()

    def test_levels_are_not_for_8_bits_which_is_said(self, tmp_path):
        Image.fromarray(GREY).save(tmp_path / "a.png")

        picture = pictures.read(tmp_path / "a.png", (100.0, 150.0))

        assert (picture.grey == GREY).all() and picture.note == "8 bits, not stretched"

    def test_a_killed_run_does_not_lock_its_folder(self, tmp_path):
        answers = tmp_path / "out"
        pictures.make_room(answers)
        next(iter(pictures.write([], answers)), None)
        pictures.make_room(answers)  # after a kill while writing
        (answers / "points.csv").unlink()
        pictures.make_room(answers)  # after one before that

        (answers / "notes.txt").touch()
        with pytest.raises(InputError, match="holds other things"):
            pictures.make_room(answers)

    def test_answers_of_earlier_runs_are_not_taken_as_pictures(self, tmp_path):
        Image.fromarray(np.zeros((32, 32), np.uint8)).save(tmp_path / "a.png")
        for name in ("first", "second"):
            pictures.make_room(tmp_path / name)
            Image.fromarray(np.zeros((32, 32), np.uint8)).save(tmp_path / name / "overlays/a.png")
            (tmp_path / name / "points.csv").touch()

        assert pictures.files([tmp_path], tmp_path / "first") == [tmp_path / "a.png"]
        there_and_back = tmp_path / "first/../a.png"
        assert pictures.files([tmp_path / "a.png", there_and_back]) == [tmp_path / "a.png"]
        (tmp_path / "second/notes.txt").touch()  # then it is some folder of pictures
        assert [p.relative_to(tmp_path).as_posix() for p in pictures.files([tmp_path], tmp_path / "first")] == [
            "a.png", "second/overlays/a.png",
        ]  # fmt: skip

    def test_what_cannot_be_used_is_told_by_name(self, tmp_path):
        (tmp_path / "broken.png").write_bytes(b"no")
        with (tmp_path / "archive.npy").open("wb") as file:
            np.savez(file, np.zeros((32, 32)))
        np.save(tmp_path / "nan.npy", np.full((32, 32), np.nan))
        np.save(tmp_path / "none.npy", np.zeros((0, 0)))
        Image.fromarray(np.zeros((1, 40), np.uint8)).save(tmp_path / "small.png")
        Image.new("1", (20000, 20000)).save(tmp_path / "bomb.png")
        (tmp_path / "empty").mkdir()
        for name, sentence in (
            ("broken.png", "broken.png is no picture"),
            ("archive.npy", "archive.npy is no picture (an archive of arrays, not one)"),
            ("nan.npy", "nan.npy is no picture (pixels that are no numbers)"),
            ("none.npy", "none.npy is no picture (float64 of shape (0, 0)"),
            ("small.png", "small.png is 40×1 px; sides are at least 2"),
            ("bomb.png", "bomb.png is no picture (more than 134,217,728 px; cut it into pieces)"),
        ):
            with pytest.raises(InputError, match=f"^{re.escape(sentence)}"):
                pictures.read(tmp_path / name)
        with pytest.raises(InputError, match="holds no picture"):
            pictures.files([tmp_path / "empty"])

    def test_an_overlay_circles_what_was_found(self):
        grey = np.zeros((96, 64), np.uint8)
        picture = pictures.Picture(ROOT / "a.png", grey)
        answer = pictures.Answer(picture, None, None, np.array([[20.0, 30.0, 0.9]]), None)

        drawn = pictures.overlay(answer)

        assert drawn.shape == (768, 512, 3)
        rows, cols = np.nonzero(drawn.any(-1))
        ring = cols < 30.5 * 8 + 5 * 8 + 2  # the number stands to the right of the ring
        middle = [(v.min() + v.max()) / 2 / 8 - 0.5 for v in (rows[ring & (rows > 118)], cols[ring])]
        assert middle[1] == pytest.approx(30, abs=0.2)
        assert (rows.max() / 8 - 0.5) == pytest.approx(25, abs=0.3)


def test_of_the_weights_in_git_the_default_finds_most_where_it_was_not_trained(capsys):
    scores = reading.transfer(ROOT / "reports/results").query("convention == 'irstd' and dataset != on")
    here = {f"{path.parent.name}/{path.stem}" for path in (ROOT / "reports/weights").glob("*/*.safetensors")}
    masks = scores.dropna(subset="iou")  # points alone have none
    masks = masks[(masks["dataset"] + "/" + masks["method"]).isin(here)]
    means = masks.assign(name=masks["dataset"] + "/" + masks["method"]).groupby("name")[["pd", "fa_per_million"]].mean()

    with pytest.raises(SystemExit):
        main(["predict", "--help"])

    best = means["pd"].idxmax()
    assert f"if not given {best}" in " ".join(capsys.readouterr().out.split())
    assert {best, "nudt-sirst/point_regression"} <= set(PUBLISHED)  # the README's examples


def test_a_second_run_takes_the_place_of_the_first_and_its_pictures_are_not_taken_as_pictures(tmp_path, capsys):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    for name in ("a", "b"):
        (tmp_path / "a.png").rename(tmp_path / f"{name}.png") if name == "b" else None
        said = run(tmp_path, capsys, tmp_path, "--weights", str(PUBLISHED["nudt-sirst/point_regression"]))

    assert "b.png" in said and "a.png" not in said
    assert [p.name for p in (tmp_path / "out/overlays").iterdir()] == ["b.png"]


def run(tmp_path, capsys, *words):
    main(["predict", *map(str, words), "--out", str(tmp_path / "out"), "--device", "cpu"])
    return capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_published_weights_find_drawn_targets_and_say_so(tmp_path, capsys, monkeypatch, name):
    monkeypatch.chdir(ROOT)
    rows, cols = np.mgrid[:96, :128]
    grey = np.random.default_rng(0).normal(90, 2, (96, 128)) + 110 * np.exp(-((rows - 40) ** 2 + (cols - 70) ** 2) / 3)
    Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(tmp_path / "one.png")

    said = run(tmp_path, capsys, tmp_path / "one.png", "--weights", name)

    with (tmp_path / "out/points.csv").open() as file:
        found = list(csv.DictReader(file))
    assert any(abs(float(p["row"]) - 40) < 3 and abs(float(p["col"]) - 70) < 3 for p in found), found
    assert "one.png" in said and "s a picture" in said
    loaded = weights.load(PUBLISHED[name])
    assert (tmp_path / "out/overlays/one.png").exists()
    if loaded.method.threshold is None:
        assert not (tmp_path / "out/masks").exists() and not (tmp_path / "out/boxes.json").exists()
    else:
        mask = cv2.imread(str(tmp_path / "out/masks/one.png"), cv2.IMREAD_UNCHANGED)
        scores = cv2.imread(str(tmp_path / "out/scores/one.png"), cv2.IMREAD_UNCHANGED)
        assert len(regions(mask > 0)) == len(found)
        assert ((scores > 32767) == (mask > 0)).all()
        boxes = coco.read(tmp_path / "out/boxes.json", None)
        drawn = [(mark.box[0] + 0.5, mark.box[1] + 0.5, mark.box[2] - mark.box[0]) for mark in boxes.every]
        assert drawn == [(top, left, tall) for top, left, tall, _ in regions(mask > 0).boxes.tolist()]
        assert [mark.score for mark in boxes.every] == [float(p["score"]) for p in found]
        assert boxes.sizes == {"one": (96, 128)}


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_each_published_file_is_what_its_place_says_and_has_a_card(name):
    told = weights.read_label(PUBLISHED[name])
    card = PUBLISHED[name].with_suffix(".md").read_text()

    assert f"{told.dataset}/{told.row}" == name
    assert f"irstd predict PICTURES --weights {name}" in card
    assert PUBLISHED[name].stat().st_size < 20e6


def test_weights_of_points_agree_with_the_library(tmp_path, capsys, monkeypatch, rng):
    monkeypatch.chdir(ROOT)
    name = "nuaa-sirst/point_regression"
    grey = rng.integers(0, 256, (70, 90), dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.png")
    loaded = weights.load(PUBLISHED[name])
    (direct,) = predict(loaded.network, loaded.method, loaded.options, [grey])

    run(tmp_path, capsys, tmp_path / "a.png", "--weights", name, "--threshold", "0.05")

    with (tmp_path / "out/points.csv").open() as file:
        found = np.array([[float(p[k]) for k in ("row", "col", "score")] for p in csv.DictReader(file)])
    wanted = direct.points[direct.points[:, 2] > 0.05]
    np.testing.assert_allclose(found.reshape(-1, 3), wanted, atol=0.02)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere.png"], "error: nowhere.png does not exist; give pictures, or folders of them"),
        (["pyproject.toml", "--weights", "nuaa-sirst/gglnet"], "error: there are no weights 'nuaa-sirst/gglnet'; there are irstd-1k/gaussian_pinwheel, "),
        (["pyproject.toml", "--threshold", "2"], "'2' is no threshold; give a number from 0 to 1"),
        (["pyproject.toml"], "error: pyproject.toml is no picture"),
        (["README.md", "--levels", "12200", "2000"], "error: --levels 12200 2000 is no range; give a lower and a higher"),
        (["README.md", "--levels", "nan", "2"], "error: --levels nan 2 is no range"),
        (["tests/fixtures/results/synthetic/crops.png", "--device", "gpu"], "error: --device: 'gpu' is no device"),
        (["tests/fixtures/results/synthetic/crops.png", "--out", "irstd"], "error: irstd holds other things than answers"),
    ],
)  # fmt: skip
def test_mistakes_are_a_sentence(words, sentence):
    done = subprocess.run(
        [sys.executable, "-m", "irstd.apps.cli", "predict", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ,
    )

    assert done.returncode and sentence in done.stderr and "Traceback" not in done.stderr


class TestFetched:
    """Weights that are published by their card alone."""

    NAME = "toy/net"

    @pytest.fixture
    def known(self, tmp_path, monkeypatch):
        content = b"weights"
        card = tmp_path / "cards/toy/net.md"
        card.parent.mkdir(parents=True)
        card.write_text(f"SHA-256 `{hashlib.sha256(content).hexdigest()}`")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.delenv("IRSTD_WEIGHTS", raising=False)
        place = tmp_path / "place/toy"
        place.mkdir(parents=True)
        (place / "net.safetensors").write_bytes(content)
        return published.published(tmp_path / "cards"), tmp_path / "place"

    def test_they_are_fetched_once_and_checked(self, known, monkeypatch):
        cards, place = known
        monkeypatch.setenv("IRSTD_WEIGHTS", str(place))

        path = published.find(self.NAME, cards)
        (place / "toy/net.safetensors").unlink()

        assert path.read_bytes() == b"weights" and published.find(self.NAME, cards) == path

    def test_without_a_place_it_says_how_to_make_them(self, known):
        with pytest.raises(
            InputError, match=r"set IRSTD_WEIGHTS .* or make them here: `dvc repro pack-weights@toy-net-0`"
        ):
            published.find(self.NAME, known[0])

    def test_others_are_refused(self, known, monkeypatch):
        cards, place = known
        monkeypatch.setenv("IRSTD_WEIGHTS", str(place))
        (place / "toy/net.safetensors").write_bytes(b"other weights")

        with pytest.raises(InputError, match=r"toy/net.safetensors .* is not what its card says; replace it"):
            published.find(self.NAME, cards)

    def test_a_place_without_them_is_named(self, known, monkeypatch, tmp_path):
        monkeypatch.setenv("IRSTD_WEIGHTS", str(tmp_path / "nowhere"))

        with pytest.raises(InputError, match=r"could not be had from .*nowhere"):
            published.find(self.NAME, known[0])
