"""Large pictures in tiles: every pixel decided once, equal to the whole where a network is local, bounded memory."""

import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from irstd import methods
from irstd.config.recipe import Optimiser, Recipe
from irstd.data.prepared import Prepared
from irstd.errors import InputError
from irstd.inference import pictures, published, sources, tiles, weights
from irstd.inference.in_torch import InTorch
from irstd.inference.predict import predict
from irstd.methods import Method, Prediction
from irstd.metrics.levels import HALF
from irstd.training import checks
from tests.conftest import ROOT


def loaded(network, decode, geometry="crop"):
    method = Method("local", "none", "mask", dict, lambda _: network, lambda *_: torch.zeros(1), decode, multiple=8)
    label = weights.Label("local", "local", "none", "none", 0, 0, "full", {}, 0.5, geometry, 64, None, None)
    return weights.Loaded(label, method, None, network.eval())


class Local(nn.Module):
    """Reaches 6 px; or, if it halves its input three times and doubles it again, 20 px."""

    def __init__(self, *, halving=False):
        super().__init__()
        torch.manual_seed(0)
        layers = [nn.Conv2d(1, 4, 7, padding=3), nn.Tanh(), nn.Conv2d(4, 1, 7, padding=3)]
        if halving:
            layers = [nn.MaxPool2d(8), nn.Conv2d(1, 1, 3, padding=1), nn.Upsample(scale_factor=8), *layers]
        self.body = nn.Sequential(*layers)

    def forward(self, image):
        return self.body(image).sigmoid()


@given(st.integers(1, 400), st.sampled_from([(64, 8), (96, 32), (32, 4)]))
def test_tiles_decide_every_place_once_and_look_a_margin_beyond(length, sizes):
    tile, margin = sizes
    found = tiles.windows(length, tile, margin)

    assert [a for *_, a, _ in found] == [0, *(b for *_, b in found[:-1])] and found[-1][3] == length
    for start, end, first, last in found:
        assert 0 <= start <= first < last <= end <= length and end - start <= tile
        assert first - start >= margin or start == 0
        assert end - last >= margin or end == length


@pytest.mark.parametrize("halving", [False, True])
@pytest.mark.parametrize(("size", "count"), [((200, 264), 4 * 6), ((197, 259), 4 * 6), ((40, 300), 7)])
def test_tiles_equal_the_whole_picture_for_a_local_network(rng, halving, size, count):
    one = loaded(Local(halving=halving), lambda score, _: Prediction(score=score))
    grey = rng.integers(0, 256, size, dtype=np.uint8)

    whole = tiles.run(InTorch(one), grey)
    parted = tiles.run(InTorch(one, most_px=1, tile=88, margin=24), grey)

    assert whole.tiles == 1 and parted.tiles == count
    assert np.abs(parted.levels.astype(int) - whole.levels).max() <= 1e-5 * 2 * HALF + 1


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("name", ["nuaa-sirst", "nudt-sirst", "irstd-1k"])
def test_the_largest_scene_of_each_dataset_is_what_the_network_says_of_it_whole_and_in_tiles(real, name):
    prepared = Prepared(real(name))
    grey = prepared.image(int(np.argmax([tall * wide for tall, wide in prepared.sizes])))
    local = loaded(Local(halving=True), lambda score, _: Prediction(score=score))
    trained = weights.load(published.find("irstd-1k/gaussian_pinwheel", published.at_hand(ROOT)))
    padded = np.pad(grey, [(0, -side % trained.method.multiple) for side in grey.shape], mode="symmetric")
    with torch.no_grad():
        outputs = trained.network(torch.from_numpy(padded).float()[None, None] / 255)
        direct = trained.method.decode(outputs, trained.options).score[0, 0, : grey.shape[0], : grey.shape[1]]

    whole, parted = (tiles.run(InTorch(local, **how), grey) for how in ({}, {"most_px": 1, "tile": 128, "margin": 32}))
    found = tiles.run(InTorch(trained), grey)

    assert whole.tiles == found.tiles == 1 and parted.tiles > 4
    assert np.abs(parted.levels.astype(int) - whole.levels).max() <= 1e-5 * 2 * HALF + 1
    assert np.abs(found.levels - direct.numpy() * 2 * HALF).max() <= 1e-5 * 2 * HALF + 1


# ru_maxrss of a new program begins at what the program that started it took; VmHWM at nothing.
LARGE = """
import sys
from pathlib import Path
from irstd.inference import pictures, sources
from irstd.inference.in_torch import InTorch
from irstd.methods import Prediction
from tests.test_tiles import Local, loaded

path, out = map(Path, sys.argv[1:])
network = InTorch(loaded(Local(halving=True), lambda score, _: Prediction(score=score)))
for answer in pictures.write(pictures.answers(network, [sources.read(path)], 0.5), out):
    print(answer.levels is not None)
(peak,) = (line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(peak)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.slow
def test_96_megapixels_are_answered_in_less_than_2_gb(tmp_path, rng):
    """Read, tiled and written as `irstd predict` does, with a small network: a larger one sees no larger tiles."""
    grey = rng.integers(60, 90, (8000, 12000), np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), grey, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    (tmp_path / "out").mkdir()

    words = [sys.executable, "-c", LARGE, tmp_path / "a.png", tmp_path / "out"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) * 1024 < 2e9, done.stdout
    Image.MAX_IMAGE_PIXELS, before = None, Image.MAX_IMAGE_PIXELS
    with Image.open(tmp_path / "out/scores/a.png") as written:
        assert written.size == (12000, 8000)
    Image.MAX_IMAGE_PIXELS = before


def peaks(score, _):
    """A point at each pixel that is nearly white."""
    places = []
    for image in score:
        rows, cols = torch.nonzero(image[0] > 0.9, as_tuple=True)
        places.append(torch.stack([rows.float(), cols.float(), image[0, rows, cols]], 1))
    return Prediction(points=places)


def dotted(rng):
    """A picture with white pixels, and their places."""
    grey = np.zeros((200, 200), np.uint8)
    at = rng.integers(0, 40, (30, 2)) * 5
    grey[at[:, 0], at[:, 1]] = 255
    return grey, at


def test_points_at_a_seam_are_found_once(rng):
    grey, at = dotted(rng)
    found = tiles.run(InTorch(loaded(nn.Identity(), peaks), most_px=1, tile=64, margin=8), grey)

    assert {tuple(p) for p in found.points[:, :2].astype(int).tolist()} == {tuple(p) for p in at.tolist()}


@pytest.mark.parametrize("size", [(5, 9), (31, 40), (2, 2)])
def test_small_pictures_are_padded(rng, size):
    one = loaded(nn.Identity(), lambda score, _: Prediction(score=score))
    grey = rng.integers(0, 256, size, dtype=np.uint8)

    found = tiles.run(InTorch(one), grey)

    assert found.levels.shape == size
    np.testing.assert_allclose(found.levels / (2 * HALF), grey / 255, atol=1e-4)


@pytest.mark.parametrize(("size", "whole"), [((40, 33), True), ((9, 5), True), ((150, 121), False)])
def test_the_padding_of_a_picture_is_no_edge_in_it(size, whole):
    slope = nn.Conv2d(1, 1, 3, padding=1, padding_mode="replicate", bias=False)
    with torch.no_grad():
        slope.weight[:] = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
    one = loaded(slope, lambda score, _: Prediction(score=score.abs()))

    found = tiles.run(InTorch(one, most_px=64 * 64, tile=64, margin=8), np.full(size, 200, np.uint8))

    assert (found.tiles == 1) == whole
    np.testing.assert_allclose(found.levels / (2 * HALF), 0, atol=1e-4)


def test_a_target_at_the_border_of_a_picture_in_tiles_is_found():
    grey = np.zeros((150, 121), np.uint8)
    at = [(149, 60), (70, 120), (149, 120), (0, 0)]
    for row, col in at:
        grey[row, col] = 255

    found = tiles.run(InTorch(loaded(nn.Identity(), peaks), most_px=1, tile=64, margin=8), grey)

    assert len(found.points) == len(at)
    assert all(np.hypot(*(found.points[:, :2] - place).T).min() <= 1 for place in at)


def test_a_large_picture_is_answered_with_a_small_overlay(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(pictures, "MOST_SHOWN_PX", 128)
    one = loaded(nn.Identity(), lambda score, _: Prediction(score=score))
    grey = np.zeros((300, 500), np.uint8)
    grey[100:103, 400:404] = 255
    picture = sources.Picture(tmp_path / "a.png", grey, name="night/a")

    (answer,) = pictures.write(
        pictures.answers(InTorch(one), [picture], 0.5), pictures.make_room(tmp_path / "out") or tmp_path / "out"
    )

    assert answer.points.tolist() == [[101.0, 401.5, 1.0]] and answer.areas == [12]
    assert cv2.imread(str(tmp_path / "out/overlays/night/a.png")).shape == (75, 125, 3)
    assert cv2.imread(str(tmp_path / "out/scores/night/a.png"), cv2.IMREAD_UNCHANGED).shape == (300, 500)


class TestSources:
    def test_equal_names_mirror_the_tree(self, tmp_path):
        for folder in ("seq1", "seq2"):
            (tmp_path / folder).mkdir()
            cv2.imwrite(str(tmp_path / folder / "0001.png"), np.zeros((8, 8), np.uint8))
        assert list(sources.find([tmp_path]).names.values()) == ["seq1/0001", "seq2/0001"]
        two = sources.find([tmp_path / "seq1", tmp_path / "seq2"]).names
        assert list(two.values()) == ["seq1/0001.png", "seq2/0001.png"]

    def test_absent_paths_are_named_together_and_an_out_that_holds_the_input_is_refused(self, tmp_path):
        with pytest.raises(InputError, match=r"x.png, .*y.png do not exist; give pictures"):
            sources.find([tmp_path / "x.png", tmp_path / "y.png"])
        (tmp_path / "images").mkdir()
        cv2.imwrite(str(tmp_path / "images/a.png"), np.zeros((8, 8), np.uint8))
        with pytest.raises(InputError, match=r"contains the pictures of .*images; name a folder outside"):
            sources.find([tmp_path / "images"], tmp_path)

    def test_a_video_is_read_frame_by_frame(self, tmp_path):
        path = tmp_path / "clip.avi"
        film = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
        for level in (20, 120, 220):
            film.write(np.full((48, 64, 3), level, np.uint8))
        film.release()

        found = list(sources.frames(path))

        assert [one.title for one in found] == ["clip/000000", "clip/000001", "clip/000002"]
        assert [round(float(one.grey.mean()), -1) for one in found] == [20, 120, 220]
        (tmp_path / "broken.mp4").write_bytes(b"no film")
        with pytest.raises(InputError, match=r"broken.mp4 is no video that OpenCV can read"):
            sources.check(tmp_path / "broken.mp4")


class TestTilesOfARecipe:
    """`geometry: tiles`: tiles as small as the crops of the training."""

    def test_maps_equal_the_whole_for_a_local_network(self, rng):
        one = loaded(Local(), lambda score, _: Prediction(score=score), "tiles")
        images = [rng.integers(0, 256, size, dtype=np.uint8) for size in ((197, 259), (197, 259), (40, 64))]

        parted = list(predict(one.network, one.method, None, images, geometry="tiles", side=96, batch=5))
        whole = list(predict(one.network, one.method, None, images))

        for mine, theirs in zip(parted, whole, strict=True):
            np.testing.assert_allclose(mine.score, theirs.score, atol=1e-6)

    def test_a_network_sees_no_more_than_a_tile(self, rng):
        """Its mean is that of a tile, as in training."""
        seen = []

        class Mean(nn.Module):
            def forward(self, image):
                seen.append(tuple(image.shape[2:]))
                return image.mean((2, 3), keepdim=True).expand_as(image)

        one = loaded(Mean(), lambda score, _: Prediction(score=score), "tiles")
        grey = np.repeat(np.array([[0], [255]], np.uint8), 96, 0) * np.ones((1, 200), np.uint8)
        (found,) = predict(one.network, one.method, None, [grey], geometry="tiles", side=64)

        assert set(seen) == {(64, 64)}
        assert found.score[:48].max() < 0.1 and found.score[-48:].min() > 0.9

    def test_points_are_found_once_each_where_they_are(self, rng):
        one = loaded(nn.Identity(), peaks, "tiles")
        grey, at = dotted(rng)

        (found,) = predict(one.network, one.method, None, [grey], geometry="tiles", side=64)
        published = tiles.run(InTorch(one), grey)

        assert sorted(map(tuple, found.points[:, :2])) == sorted({tuple(map(float, place)) for place in at})
        assert published.tiles == 4 * 4 and np.array_equal(published.points, found.points)

    def test_boxes_are_refused(self):
        one = loaded(nn.Identity(), lambda score, _: Prediction(score=score, boxes=[torch.zeros(0, 5)] * len(score)))

        with pytest.raises(InputError, match="`geometry: tiles` joins maps and points, not boxes"):
            list(predict(one.network, one.method, None, [np.zeros((99, 99), np.uint8)], geometry="tiles", side=64))

    def test_two_targets_in_one_tile_stay_two_and_one_at_a_seam_is_one(self):
        """Tiles of 64 px begin at 0 and at 48, and decide up to 56 px; the second puts the point at the seam 1 px off."""
        grey = np.zeros((64, 112), np.uint8)
        grey[20, [20, 22]] = 255
        grey[40, 55] = 255

        def decode(score, _):
            one = peaks(score, _)
            if score[0, 0, 40, 7] > 0.9:  # the second tile
                one.points[0][:, 1] += 1
            return one

        one = loaded(nn.Identity(), decode, "tiles")
        found = next(iter(predict(one.network, one.method, None, [grey], geometry="tiles", side=64, batch=1)))

        assert sorted(found.points[:, 1]) == [20, 22, 55]

    @pytest.mark.parametrize(
        ("size", "multiple", "refused"), [(32, 16, True), (64, 32, True), (96, 32, False), (64, 16, False)]
    )
    def test_tiles_of_which_margins_leave_nothing_are_refused_before_the_training(self, size, multiple, refused):
        method = replace(loaded(nn.Identity(), lambda score, _: Prediction(score=score)).method, multiple=multiple)
        recipe = Recipe(1, 1, Optimiser("sgd", 1.0), geometry="tiles", size=size)

        if refused:
            with pytest.raises(
                InputError, match=r"and margins of tiles leave nothing of (32|64) px; local needs (48|96) or more"
            ):
                checks.suits(method, recipe)
        else:
            checks.suits(method, recipe)

    def test_published_weights_say_it(self, tmp_path):
        method = methods.get("point_regression")
        options = method.options(widths=(16, 8, 8))
        label = weights.Label(
            "point_regression", "point_regression", "d", "s", 0, 1, "b", asdict(options), 0.5, "tiles", 64, None, None
        )
        (tmp_path / "x.safetensors").write_bytes(weights.pack(method.build(options).state_dict(), label))

        network = InTorch(weights.load(tmp_path / "x.safetensors"))
        answer = tiles.run(network, np.zeros((100, 64), np.uint8))

        assert (network.tile, network.margin, answer.tiles) == ((64, 64), 8, 2)
