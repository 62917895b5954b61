"""Detectors as methods like the others: boxes from masks, a training, boxes back; with and without the swap."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from irstd import methods
from irstd.config.params import Recipe, check
from irstd.inference.predict import predict
from irstd.inference.profiling import parameters
from irstd.layers.boxes import boxes_of, centres, from_corners, to_corners
from irstd.layers.gaussian import GaussianConv2d
from irstd.methods import Labels, Step
from irstd.training import loop
from tests.conftest import EXTRAS, needs

SMALL = {"retinanet": {"backbone": "resnet18", "channels": 32}, "yolov8n": {}}


@pytest.fixture(params=SMALL)
def detector(request):
    """A detector and a way to build it; skips, and says so, where the extra is not installed."""
    needs(EXTRAS[request.param])
    method = methods.get(request.param)

    def build(**changes):
        torch.manual_seed(0)
        options = method.options(**SMALL[request.param] | changes)
        return method.build(options), options

    return method, build


class TestBoxes:
    def test_a_box_reaches_half_a_pixel_beyond_its_outermost_pixels(self):
        mask = torch.zeros(2, 1, 8, 9)
        mask[0, 0, 2:4, 5] = 1
        mask[0, 0, 6, 0:2] = 1
        mask[0, 0, 7, 2] = 1  # touches the last by a corner

        one, none = boxes_of(mask)

        assert one.tolist() == [[1.5, 4.5, 3.5, 5.5], [5.5, -0.5, 7.5, 2.5]]
        assert none.shape == (0, 4)

    def test_corners_are_columns_first_and_start_at_the_images_corner(self):
        box = torch.tensor([[1.5, 4.5, 3.5, 5.5]])

        assert to_corners(box).tolist() == [[5, 2, 6, 4]]
        assert torch.equal(from_corners(to_corners(box)), box)

    def test_the_centre_of_a_box_is_that_of_its_pixels(self):
        assert centres(torch.tensor([[1.5, 4.5, 3.5, 5.5, 0.9]])).tolist() == [[2.5, 5.0, pytest.approx(0.9)]]


def overlap(one, other):
    from torchvision.ops import box_iou

    return box_iou(to_corners(one), to_corners(other))


def batch():
    """Two dark images with one bright square each, and one without.

    The squares are large for small targets: what YOLOv8's assignment gives a tiny box of an untrained network, whose
    boxes are ten times as large, is less than its rounding.
    """
    image, mask = torch.full((3, 1, 64, 64), 0.2), torch.zeros(3, 1, 64, 64)
    for number, (row, col) in enumerate([(20, 30), (41, 9)]):
        mask[number, 0, row : row + 14, col : col + 14] = 1
    return image + 0.7 * mask, mask


@pytest.mark.filterwarnings("ignore")  # those of other people's packages
class TestDetectors:
    def test_the_swap_adds_one_parameter_a_layer_and_changes_nothing_at_the_start(self, detector):
        _, build = detector
        (plain, _), (swapped, _) = build(), build(swap="gaussian")
        layers = [m for m in swapped.modules() if isinstance(m, GaussianConv2d)]
        image, _ = batch()

        assert parameters(swapped) == parameters(plain) + len(layers) > parameters(plain)
        for network in (plain, swapped):
            network.eval()
        with torch.no_grad():
            one, other = plain(image).outputs, swapped(image).outputs
        values = (lambda o: o["head"]["cls_logits"]) if isinstance(one, dict) else (lambda o: o[1][0])
        torch.testing.assert_close(values(one), values(other), atol=1e-4, rtol=1e-4)

    def test_it_learns_one_batch_and_finds_its_boxes(self, detector):
        method, build = detector
        network, options = build(swap="gaussian")
        image, mask = batch()
        wanted = method.targets(Labels(mask, torch.zeros(3, 0, 2)))
        optimiser = torch.optim.AdamW(network.parameters(), 2e-3)
        network.train()
        for number in range(60):
            loss = method.loss(network(image), wanted, Step(0, 1, number), options)
            optimiser.zero_grad()
            loss.mean().backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 10)
            optimiser.step()
        network.train()  # batch statistics: sixty steps are too few for running ones
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.track_running_stats, module.running_mean, module.running_var = False, None, None
        found = list(predict(network, method, options, [(i[0] * 255).byte().numpy() for i in image]))

        assert loss.shape == (3,)
        for one, boxes in zip(found[:2], wanted, strict=False):
            best = one.boxes[one.boxes[:, 4].argmax()]
            assert overlap(torch.tensor(best[None, :4]), boxes).item() > 0.5
        assert found[2].boxes[:, 4].max(initial=0) < min(f.boxes[:, 4].max() for f in found[:2])

    def test_it_trains_in_the_loop_that_all_methods_share(self, detector, prepared):
        method, build = detector
        network, options = build()
        recipe = check(
            Recipe, {"epochs": 1, "batch": 4, "size": 64, "optimiser": {"name": "adamw", "lr": 1e-3}}, "recipe"
        )

        fitted = loop.fit(
            method,
            options,
            network,
            recipe,
            prepared,
            training=range(6),
            validation=[6, 7],
            seed=0,
            on=torch.device("cpu"),
        )

        assert np.isfinite(fitted.history[0]["loss"])
        assert 0 < fitted.threshold < 1


def test_ultralytics_leaves_other_libraries_as_they_were():
    needs("ultralytics")
    code = (
        "import cv2, torch; from PIL import Image; from irstd import methods\n"
        "before = Image.open, torch.save, cv2.imread, cv2.getNumThreads()\n"
        "method = methods.get('yolov8n'); method.build(method.options())\n"
        "assert before == (Image.open, torch.save, cv2.imread, cv2.getNumThreads())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torchvision.models", None)
    method = methods.get("retinanet")

    with pytest.raises(methods.InputError, match="make detectors"):
        method.build(method.options())
