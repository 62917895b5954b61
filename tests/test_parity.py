"""The networks answer as their authors' do, at weights that follow from the names of their tensors."""

import numpy as np
import pytest
import torch

from irstd import methods
from irstd.inference.profiling import parameters
from tests.conftest import ROOT
from tests.weights import fill, image


@pytest.mark.parametrize(
    ("method", "options", "answers", "count"),
    [
        ("ggl_net", {}, "ggl_net", 8_988_093),
        ("gaussian_pinwheel", {"attention": "plain"}, "mshnet", 4_065_513),
    ],
)
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_a_network_is_the_authors(method, options, answers, count, mode):
    chosen = methods.get(method)
    network = chosen.build(chosen.options(**options))
    fill(network)

    with torch.no_grad():
        answer = network.double().train(mode == "train")(image(64, 96))
    logits = answer[0] if isinstance(answer, tuple) else answer  # of MSHNet, the final map

    with np.load(ROOT / f"tests/fixtures/parity/{answers}.npz") as authors:
        np.testing.assert_allclose(authors[mode], logits[0, 0].numpy(), atol=1e-4, rtol=1e-6)
    assert parameters(network) == count
