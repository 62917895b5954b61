"""Networks in ONNX Runtime say what they say in torch."""

import numpy as np
import pytest
import torch

from irstd import methods
from irstd.inference import profiling
from irstd.inference.export import export, load, session
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


def test_forms_of_the_wrong_device_are_refused():
    with pytest.raises(RuntimeError, match="needs a GPU"):
        profiling.runner(torch.nn.Conv2d(1, 1, 3), "graph", torch.rand(1, 1, 8, 8))


def test_latency_is_measured_in_every_form_of_this_device():
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Conv2d(4, 1, 3))

    for form in ("torch", "onnxruntime"):
        took = profiling.latency(network, 32, 2, 3, form, 1)

        assert took.median_ms > 0 and took.fps == pytest.approx(2000 / took.median_ms)
