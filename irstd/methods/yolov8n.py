"""YOLOv8n by ultralytics, trained from scratch on boxes, as a detector to drop into. Needs the extra `detectors`.

ultralytics is AGPL-3.0 software; nothing else here uses it, and nothing of it is copied. arXiv 2604.09991 puts its
convolution into YOLOv8; which layers, sizes and schedule is not public (methods.md B.6). Choice: `swap` puts the first
two convolutions, both of stride 2, under Gaussians, and images are enlarged, as 640 px inputs do for 256 px images.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from irstd.errors import InputError
from irstd.layers.boxes import Raw, boxes_of, centres, from_corners, to_corners
from irstd.layers.replace import replace_convs
from irstd.methods import Labels, Method, Prediction, Step

MOST = 100  # boxes of an image


@dataclass(frozen=True)
class Options:
    """Options of the network.

    enlarge: sides of the image are multiplied by this first; the finest cells are 8 px of the enlarged image.
    swap: `gaussian` puts the first two convolutions under Gaussians of learned width.
    least: score of a box, at least. overlap: IoU above which the lesser of two boxes is dropped.
    """

    enlarge: int = 2
    swap: Literal["none", "gaussian"] = "none"
    least: float = 0.01
    overlap: float = 0.5


@contextmanager
def unpatched() -> Iterator[None]:
    """Undoes what importing ultralytics does to Pillow, OpenCV and torch for the whole process."""
    import cv2  # noqa: PLC0415 - as ultralytics, an extra here
    from PIL import Image  # noqa: PLC0415

    patched = [(Image, "open"), (torch, "save"), (cv2, "imread"), (cv2, "imwrite"), (cv2, "imshow")]
    before = [getattr(module, name) for module, name in patched]
    threads, printing = cv2.getNumThreads(), np.get_printoptions()
    yield
    for (module, name), function in zip(patched, before, strict=True):
        setattr(module, name, function)
    cv2.setNumThreads(threads)
    np.set_printoptions(**printing)
    torch.set_printoptions(profile="default")


class YOLOv8n(nn.Module):
    """Images (B, 1, H, W) in [0, 1], sides a multiple of 32, to ultralytics' outputs for the enlarged image."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        # Its progress is not for a pipeline's output, and what is installed is not its business.
        os.environ |= {"YOLO_VERBOSE": "false", "YOLO_AUTOINSTALL": "false"}
        try:
            with unpatched():
                from ultralytics.cfg import get_cfg  # noqa: PLC0415 - an extra
                from ultralytics.nn.tasks import DetectionModel  # noqa: PLC0415
        except ImportError:
            raise InputError("yolov8n needs ultralytics, which is not installed here; run `make detectors`") from None
        self.enlarge = options.enlarge
        self.model = DetectionModel("yolov8n.yaml", ch=1, nc=1, verbose=False)
        self.model.args = get_cfg()  # the weights of its losses
        if options.swap == "gaussian":
            replace_convs(self.model, lambda name, _conv: name in ("model.0.conv", "model.1.conv"))

    def forward(self, image: Float[Tensor, "B 1 H W"]) -> Raw:
        larger = F.interpolate(image, scale_factor=self.enlarge, mode="bilinear") if self.enlarge > 1 else image
        return Raw((larger, self.model(larger)), self)


def targets(labels: Labels) -> list[Tensor]:
    """The boxes of the regions of each mask."""
    assert labels.mask is not None
    return boxes_of(labels.mask)


def loss(raw: Raw, boxes: list[Tensor], _step: Step, options: Options) -> Float[Tensor, "B"]:
    """Losses of boxes, classes and box distributions, by ultralytics; their mean over the batch, for each image."""
    image, outputs = raw.outputs
    height, width = image.shape[-2:]
    sides = image.new_tensor([width, height, width, height])
    corners = torch.cat([to_corners(b) for b in boxes]) * options.enlarge / sides
    middle, side = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
    batch = {
        "batch_idx": torch.cat([torch.full((len(b),), float(n)) for n, b in enumerate(boxes)]).to(image.device),
        "cls": torch.zeros(len(corners), 1, device=image.device),
        "bboxes": torch.cat([middle, side], 1),
        "img": image,
    }
    # Kept by the model, made on the device that it is on by now.
    model = raw.network.model
    if getattr(model, "criterion", None) is None:
        model.criterion = model.init_criterion()
    parts, _ = model.criterion(outputs, batch)
    return (parts.sum() / len(boxes)).expand(len(boxes))


def decode(raw: Raw, options: Options) -> Prediction:
    """Boxes with scores, and their centres as points."""
    from torchvision.ops import nms  # noqa: PLC0415 - ultralytics brings it

    _, (found, *_) = raw.outputs
    boxes = []
    for columns in found.float():  # (5, N): centre, sides and score
        one = columns[:, columns[4] >= options.least].T
        one = one[one[:, 4].argsort(descending=True)[: 10 * MOST]]
        corners = torch.cat([one[:, :2] - one[:, 2:4] / 2, one[:, :2] + one[:, 2:4] / 2], 1) / options.enlarge
        kept = nms(corners, one[:, 4], options.overlap)[:MOST]
        boxes.append(torch.cat([from_corners(corners[kept]), one[kept, 4:5]], 1))
    return Prediction(points=[centres(b) for b in boxes], boxes=boxes)


METHOD = Method(
    "YOLOv8n", "ultralytics 8.4, AGPL-3.0", "mask", Options, YOLOv8n, loss, decode, targets=targets,
    threshold=None, multiple=32,
)  # fmt: skip
