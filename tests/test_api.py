"""The Python interface: what the command line does, in a notebook."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import irstd
from irstd.apps import cli
from irstd.errors import InputError
from tests.conftest import ROOT


@pytest.fixture
def truth():
    """Three scenes of 64 × 64 px with a target of 3 × 3 px each."""
    masks = np.zeros((3, 64, 64), bool)
    for number, mask in enumerate(masks):
        mask[10 + number : 13 + number, 20:23] = True
    return masks


def test_arrays_are_scored_by_hand(truth):
    found = truth.astype(np.float32)
    found[0, 40:42, 50:52] = 0.9
    found[2] = 0

    row = irstd.score(found, truth).conventions.loc["irstd"]

    assert (row["targets"], row["detected"], row["false_regions"]) == (3, 2, 1)
    assert row["iou"] == pytest.approx(18 / (27 + 4))
    assert row["fa_per_million"] == pytest.approx(1e6 * 4 / (3 * 64 * 64))


def test_arrays_files_and_the_command_line_agree(truth, tmp_path, monkeypatch):
    found = np.roll(truth, 1, axis=1)
    for folder, every in (("truth", truth), ("pred", found)):
        (tmp_path / folder).mkdir()
        for number, mask in enumerate(every):
            Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / folder / f"{number:06d}.png")
    monkeypatch.chdir(tmp_path)
    cli.main(["score", "pred", "--truth", "truth", "--json", "scores.json"])
    of_files = irstd.score("pred", tmp_path / "truth")
    named = {f"{number:06d}": mask for number, mask in enumerate(found)}

    told = json.loads((tmp_path / "scores.json").read_text())
    for report in (of_files, irstd.score(named, truth), irstd.score(found * np.uint8(255), truth * 255)):
        assert report.conventions["iou"].to_dict() == {name: row["iou"] for name, row in told.items()}
    page = of_files.write(tmp_path / "out") / "report.html"
    assert "Under every convention" in page.read_text()
    assert "Under every convention" in of_files._repr_markdown_()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p, t: (p[:2], t), "predictions: 2 arrays for 3 scenes; give one for each, or name them"),
        (lambda p, t: (p[:, :32], t), "another size than the image in 000000 (64×32)"),
        (lambda p, t: (p[0], t), "predictions of shape (64, 64) are no images; give (N, H, W), or scene to (H, W)"),
        (lambda p, t: (p * 3.0, t), "scores outside [0, 1] in 000000"),
        (lambda p, t: (np.where(p, np.nan, 0.0), t), "NaN or infinite scores in 000000"),
        (lambda p, t: ({"a": p[0]}, t), "holds a of shape (64, 64), none named after a scene"),
        (lambda p, t: (p, t * 3.5 + (t.cumsum(1) > 2) * 2.25), "truth: masks hold 0"),
        (lambda p, t: (p, ~t), "truth: most pixels are targets in 000000 (99.8%), 000001 (99.8%), 000002 (99.8%)"),
        (lambda p, t: (p, t & False), "truth: no mask has a target"),
        (lambda p, t: (p, {}), "truth has no mask; give one for each scene"),
        (lambda p, t: (p, t[..., None].repeat(2, 3)), "truth of 000000: bool of shape (64, 64, 2) is no mask"),
        (lambda p, t: ("nowhere", t), "nowhere does not exist"),
        (lambda p, t: (None, t), "predictions of NoneType; give a path, (N, H, W), or scene to (H, W)"),
        (lambda p, t: ({f"{n:06d}": np.stack([one] * 3).astype(float) for n, one in enumerate(p)}, t), "shape (3, 64, 64)"),
        (lambda p, t: ({f"{n:06d}": np.argwhere(one) for n, one in enumerate(p)}, t), "two or three columns, as points are"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_is_named(truth, change, words):
    given, against = change(truth, truth)

    with pytest.raises(InputError) as error:
        irstd.score(given, against)

    assert words in str(error.value)


def test_tensors_with_a_gradient_and_endings_of_masks_are_taken(truth):
    torch = pytest.importorskip("torch")
    maps = {f"s{n}": torch.tensor(one.astype(np.float32), requires_grad=True) for n, one in enumerate(truth)}

    report = irstd.score(maps, {f"s{n}_mask": one for n, one in enumerate(truth)})

    assert report.conventions.loc["irstd", "iou"] == 1


def test_scenes_without_a_prediction_count_as_missed_only_if_said(truth):
    named = {"000000": truth[0]}

    with pytest.raises(InputError, match="no prediction for 000001, 000002"):
        irstd.score(named, truth)
    assert irstd.score(named, truth, missing="nothing").conventions.loc["irstd", "pd"] == pytest.approx(1 / 3)
    assert irstd.score(named, truth, skip=["missing"]).conventions.loc["irstd", "pd"] == 1


class TestDatasets:
    def test_one_that_is_prepared_here_is_taken(self, truth, prepared, monkeypatch):
        folder = prepared.folder
        given = irstd.datasets.load("synthetic", folder=folder)
        names = given.names("test")

        assert repr(given) == f"<synthetic, split made: {len(given.names('train'))} train, {len(names)} test>"
        assert given.mask(names[0]).any() and given.image(names[0]).dtype == np.uint8
        assert len(given.targets) == len((folder / "targets.csv").read_text().splitlines()) - 1
        report = irstd.score({name: given.mask(name) for name in names}, given)
        assert report.conventions.loc["irstd", "iou"] == 1
        assert f"{len(names)} of {len(names)} scenes of synthetic, test scenes of split made" in report.words[0]

    def test_one_of_the_catalogue_is_fetched_once_and_kept(self, tmp_path, monkeypatch):
        from irstd.data import download, prepare

        calls = []
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setattr(download, "obtain", lambda name, *a, **k: calls.append(("obtain", name)))

        def prepared(_source, folder, **_):
            calls.append(("prepare", folder.relative_to(tmp_path).as_posix()))
            folder.mkdir(parents=True)
            (folder / "scenes.csv").write_text("name,height,width,group\na,8,8,a\nb,8,8,b\n")
            (folder / "splits.csv").write_text("name,213-214\na,train\nb,test\n")

        monkeypatch.setattr(prepare, "prepare", prepared)
        monkeypatch.chdir(tmp_path)

        for _ in range(2):
            assert irstd.datasets.load("nuaa-sirst").names("test") == ["b"]
        assert calls == [("obtain", "nuaa-sirst"), ("prepare", "irstd/datasets/prepared/nuaa-sirst")]

    @pytest.mark.parametrize(
        ("name", "split", "words"),
        [("nuaa", None, "did you mean 'nuaa-sirst'?"), ("synthetic", None, "there is no dataset 'synthetic'")],
    )
    def test_what_there_is_not_is_named(self, name, split, words):
        with pytest.raises(InputError) as error:
            irstd.datasets.load(name, split)

        assert words in str(error.value)


class TestNetworks:
    def test_a_network_finds_what_the_command_line_finds(self, tmp_path):
        image = np.zeros((96, 96), np.uint8) + 60
        image[40:43, 50:53] = 220
        Image.fromarray(image).save(tmp_path / "one.png")
        network = irstd.load("nudt-sirst/point_regression", device="cpu")
        cli.main(
            ["predict", str(tmp_path / "one.png"), "--weights", "nudt-sirst/point_regression", "--out", str(tmp_path / "out")]
        )  # fmt: skip

        found = network.predict(image).points
        told = np.loadtxt(tmp_path / "out/points.csv", delimiter=",", skiprows=1, usecols=(1, 2, 3), ndmin=2)

        assert len(found) == 1
        np.testing.assert_allclose(found, told, atol=1e-2)
        np.testing.assert_array_equal(network.predict(tmp_path / "one.png").points, found)
        np.testing.assert_array_equal(network.predict(image / 255.0).points, found)

    def test_maps_are_given_where_a_method_draws_them(self):
        answer = irstd.load("irstd-1k/gaussian_pinwheel").predict(np.full((64, 80), 50, np.uint8))

        assert answer.scores.shape == answer.mask.shape == (64, 80)
        assert 0 <= answer.scores.min() <= answer.scores.max() <= 1

    @pytest.mark.parametrize(
        ("image", "words"),
        [
            (np.zeros((8, 8, 3), np.uint8), "an image of shape (8, 8, 3) is not grey; give (H, W)"),
            (np.full((8, 8), 300.0), "grey levels are uint8, or floats in [0, 1], and these are float64; scale them"),
            ("nowhere.png", "nowhere.png is no picture"),
        ],
    )
    def test_what_is_no_picture_is_named(self, image, words):
        with pytest.raises(InputError) as error:
            irstd.load("nudt-sirst/point_regression").predict(image)

        assert words in str(error.value)

    def test_unknown_weights_are_named(self):
        with pytest.raises(InputError, match="there are no weights 'nudt-sirst/points'"):
            irstd.load("nudt-sirst/points")


def test_the_package_loads_at_once_and_says_what_it_has():
    code = (
        "import sys, irstd; assert not {'numpy', 'pandas', 'torch'} & set(sys.modules); irstd.score; print(dir(irstd))"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert {"score", "load", "datasets"} <= set(eval(done.stdout))
    with pytest.raises(AttributeError, match="no attribute 'scores'"):
        _ = irstd.scores
    stub = Path(irstd.__file__).with_suffix(".pyi").read_text()
    assert all(name in stub for name in ("score", "load", "datasets"))
