"""Networks in ONNX Runtime say what they say in torch."""

import numpy as np
import pytest
import torch
from PIL import Image

import irstd
from irstd import methods
from irstd.apps import cli
from irstd.inference import profiling
from irstd.inference.export import Scores, export, load, load_openvino, session, to_openvino
from irstd.layers.odconv import anneal

# The exporter's own packages warn of their future.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(("batch", "size"), [(1, 256), (2, 64)])
def test_point_regression_is_equal_to_1e_4(batch, size):
    method = methods.get("point_regression")
    torch.manual_seed(0)
    network = method.build(method.options()).train()
    anneal(network, 0.0, 5.0)
    torch.nn.init.normal_(network.outputs.weight)  # a new head says nearly the same of everything
    for _ in range(3):  # so that statistics are not those of a new network
        network(torch.rand(4, 1, 64, 64))
    images = torch.rand(batch, 1, size, size)

    with torch.no_grad():
        expected = network.eval()(images).numpy()
    got = session(network, images.shape)(images.numpy())

    assert expected.std() > 0.1
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_a_file_holds_the_weights_and_is_used_again(tmp_path):
    network = torch.nn.Conv2d(1, 2, 3)
    export(network, (1, 1, 16, 16), tmp_path / "network.onnx")

    images = torch.rand(1, 1, 16, 16)

    assert ["network.onnx"] == [p.name for p in tmp_path.iterdir()]
    np.testing.assert_allclose(load(tmp_path / "network.onnx", 1)(images.numpy()), network(images).detach(), atol=1e-5)


def test_openvino_says_what_torch_says(tmp_path):
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Sigmoid())
    export(network, (1, 1, 16, 16), tmp_path / "network.onnx")

    to_openvino(tmp_path / "network.onnx", tmp_path / "net.xml")

    images = torch.rand(1, 1, 16, 16)
    got = load_openvino(tmp_path / "net.xml", 1)(images.numpy())
    np.testing.assert_allclose(got, network(images).detach(), atol=1e-6)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.bin", "net.xml", "network.onnx"]


def test_forms_of_the_wrong_device_are_refused():
    with pytest.raises(RuntimeError, match="needs a GPU"):
        profiling.runner(torch.nn.Conv2d(1, 1, 3), "graph", torch.rand(1, 1, 8, 8))


def test_latency_is_measured_in_every_form_of_this_device():
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Conv2d(4, 1, 3))

    for form in ("torch", "onnxruntime"):
        took = profiling.latency(network, 32, 2, 3, form, 1)

        assert took.median_ms > 0 and took.fps == pytest.approx(2000 / took.median_ms)


class TestCommand:
    WEIGHTS = "nudt-sirst/point_regression"

    @pytest.mark.slow
    def test_weights_become_a_file_that_says_what_torch_says_and_one_of_8_bits(self, tmp_path, capsys):
        draw = np.random.default_rng(0)
        (tmp_path / "pictures").mkdir()
        for name in range(4):
            grey = draw.normal(80, 4, (70, 50))
            grey[20:23, 30:33] += 90
            Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(tmp_path / f"pictures/{name}.png")
        words = ["--size", "64", "64", "--int8", str(tmp_path / "pictures"), "--out", str(tmp_path / "net.onnx")]
        cli.main(["export", self.WEIGHTS, *words])

        said = capsys.readouterr().out
        assert "4 of 4 found, 0 others" in said and "images` (1, 1, 64, 64)" in said
        assert (tmp_path / "net.int8.onnx").stat().st_size < (tmp_path / "net.onnx").stat().st_size
        network = irstd.load(self.WEIGHTS, device="cpu")
        image = np.random.default_rng(1).random((1, 1, 64, 64), np.float32)
        with torch.inference_mode():
            expected = network.loaded.network(torch.from_numpy(image)).numpy()
        np.testing.assert_allclose(load(tmp_path / "net.onnx")(image), expected, atol=1e-3)

    @pytest.mark.slow
    def test_a_network_that_resizes_its_maps_has_a_file_of_8_bits_too(self, tmp_path):
        (tmp_path / "pictures").mkdir()
        grey = np.random.default_rng(0).normal(80, 4, (64, 64)).clip(0, 255).astype(np.uint8)
        Image.fromarray(grey).save(tmp_path / "pictures/a.png")
        words = ["--size", "64", "64", "--int8", str(tmp_path / "pictures"), "--out", str(tmp_path / "net.onnx")]
        cli.main(["export", "irstd-1k/gaussian_pinwheel", *words])

        assert (tmp_path / "net.int8.onnx").stat().st_size < (tmp_path / "net.onnx").stat().st_size / 2

    @pytest.mark.slow
    def test_openvino_finds_what_torch_finds(self, tmp_path, capsys):
        cli.main(["export", self.WEIGHTS, "--size", "64", "64", "--out", str(tmp_path / "net.xml")])

        said = capsys.readouterr().out
        assert "| OpenVINO | net.xml" in said and "found, 0 others" in said
        assert sorted(p.name for p in tmp_path.iterdir()) == ["net.bin", "net.xml"]

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--out", "net.pt"], "--out net.pt does not end in .onnx or .xml"),
            (["--out", "net.xml", "--int8", "x.png"], "--int8 writes a file of ONNX; let --out end in .onnx"),
            (["--out", "net.onnx", "--size", "65", "64"], "--size 65 64: sides of Point regression are multiples of"),
        ],
    )
    def test_what_cannot_be_written_is_named(self, words, said):
        with pytest.raises(SystemExit) as error:
            cli.main(["export", self.WEIGHTS, *words])

        assert said in str(error.value)


def test_scores_of_a_method_that_draws_maps_are_its_own():
    method = methods.get("gaussian_pinwheel")
    torch.manual_seed(0)
    network = method.build(method.options()).eval()
    scores = Scores(method, method.options(), network).eval()
    image = torch.rand(1, 1, 64, 64)

    with torch.no_grad():
        given = scores(image)
        torch.testing.assert_close(given, method.decode(network(image), method.options()).score)
    assert scores.maps and 0 <= given.min() <= given.max() <= 1
    mask = np.zeros((1, 1, 9, 9), np.float32)
    mask[..., 2:5, 3:6] = 0.9
    assert scores.points(mask, 0.5).tolist() == [[3.0, 4.0]]
