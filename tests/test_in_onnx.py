"""Exported files find what torch finds, in an installation without torch; what cannot be used is said."""

import csv
import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from torch import nn

from irstd.errors import InputError
from irstd.inference import tiles
from irstd.inference.export import export
from irstd.inference.in_onnx import InOnnx, write_label
from irstd.metrics.levels import HALF
from tests.test_light import HEAVY, WITHOUT

LABEL = {
    "title": "Local", "row": "local", "dataset": "drawn", "split": "made", "seed": 0, "budget": "quick",
    "threshold": 0.5, "maps": True,
}  # fmt: skip
# The exporter's own packages warn of their future.
pytestmark = pytest.mark.filterwarnings("ignore")


class Local(nn.Module):
    """Bright where a pixel is far above its neighbours; reaches 3 px."""

    def __init__(self):
        super().__init__()
        self.around = nn.AvgPool2d(7, 1, 3, count_include_pad=False)
        self.times = nn.Parameter(torch.tensor(40.0))

    def forward(self, images):
        return (self.times * (images - self.around(images)) - 8).sigmoid()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    export(Local(), (1, 1, 64, 96), path)
    write_label(path, LABEL)
    return path


@pytest.mark.parametrize(("size", "count"), [((64, 96), 1), ((40, 50), 1), ((200, 300), 4 * 4), ((64, 97), 2)])
def test_it_says_what_torch_says_of_pictures_of_any_size(file, rng, size, count):
    grey = rng.integers(0, 256, size, dtype=np.uint8)

    found = tiles.run(InOnnx(file), grey)

    with torch.no_grad():
        more = [(0, max(0, side - have)) for side, have in zip((64, 96), size, strict=True)]
        padded = np.pad(grey, more, mode="symmetric") / np.float32(255)
        expected = Local()(torch.from_numpy(padded)[None, None])[0, 0, : size[0], : size[1]].numpy()
    assert found.tiles == count and found.points is None
    np.testing.assert_allclose(found.levels / (2 * HALF), expected, atol=2e-5)


def test_pictures_are_answered_without_torch(file, tmp_path):
    grey = np.full((120, 80), 60, np.uint8)
    grey[50:52, 30:32] = 250
    Image.fromarray(grey).save(tmp_path / "sky.png")
    words = ["predict", "sky.png", "--weights", str(file), "--out", "answers"]
    light = WITHOUT.replace(str(HEAVY), str(tuple(name for name in HEAVY if name != "cv2")))

    done = subprocess.run([sys.executable, "-c", light, *words], cwd=tmp_path, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert "Local, trained on drawn, split made" in done.stdout and "overlapping tiles" in done.stdout
    (row,) = csv.DictReader((tmp_path / "answers/points.csv").open())
    assert (row["name"], row["row"], row["col"], row["area_px"]) == ("sky", "50.50", "30.50", "4")


def test_what_cannot_be_used_is_said(file, tmp_path):
    (tmp_path / "no.onnx").write_bytes(b"this is no model")
    model = onnx.load(file)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "bare.onnx")
    onnx.save(model, tmp_path / "points.onnx")
    write_label(tmp_path / "points.onnx", {**LABEL, "maps": False})
    for name, sentence in (
        ("no.onnx", "no.onnx cannot be read as ONNX"),
        ("bare.onnx", "does not say what it is of; make it by `irstd export`"),
        ("points.onnx", "in which torch finds points; name the weights themselves, drawn/local"),
    ):
        with pytest.raises(InputError, match=sentence):
            InOnnx(tmp_path / name)


def test_the_label_is_read_as_it_was_written(file):
    assert InOnnx(file).label == json.loads(json.dumps(LABEL))
