"""RetinaNet (ICCV 2017, arXiv 1708.02002) by torchvision, with anchors for small targets, as a detector to drop into.

arXiv 2604.09991 puts its convolution into RetinaNet; which layers, sizes and schedule is not public (methods.md B.6).
Choice: levels of stride 4 to 64 with anchors of 4 to 64 px in three octave parts and three shapes, trained from
scratch; `swap` puts the 3×3 convolutions of the first stage under Gaussians. Needs the extra `detectors`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from irstd.errors import InputError
from irstd.layers.boxes import Raw, boxes_of, centres, from_corners, to_corners
from irstd.layers.replace import replace_convs
from irstd.methods import Labels, Method, Prediction, Step

MEAN, DEVIATION = 0.45, 0.225  # of ImageNet's grey levels
ANCHORS_PX = (4, 8, 16, 32, 64)  # a level each
OCTAVES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
SHAPES = (0.5, 1.0, 2.0)  # height over width
STAGES = {"layer1": "0", "layer2": "1", "layer3": "2", "layer4": "3"}  # of a ResNet that feed the pyramid


@dataclass(frozen=True)
class Options:
    """Options of the network.

    backbone: a ResNet of torchvision.
    channels: of the feature pyramid and the heads; torchvision has 256.
    swap: `gaussian` puts the 3×3 convolutions of the backbone's first stage under Gaussians of learned width.
    least: score of a box, at least. overlap: IoU above which the lesser of two boxes is dropped.
    """

    backbone: Literal["resnet18", "resnet50"] = "resnet50"
    channels: int = 256
    swap: Literal["none", "gaussian"] = "none"
    least: float = 0.01
    overlap: float = 0.5


class RetinaNet(nn.Module):
    """Images (B, 1, H, W) in [0, 1] to class scores, boxes and anchors of torchvision's RetinaNet."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        try:
            from torchvision.models import detection, get_model  # noqa: PLC0415 - an extra
            from torchvision.models.detection.anchor_utils import AnchorGenerator  # noqa: PLC0415
            from torchvision.models.detection.backbone_utils import BackboneWithFPN  # noqa: PLC0415
        except ImportError:
            raise InputError("retinanet needs torchvision, which is not installed here; run `make detectors`") from None
        body = get_model(options.backbone, weights=None)
        widths = [getattr(body, stage)[-1].bn2.num_features for stage in STAGES]
        if options.backbone == "resnet50":
            widths = [4 * width for width in widths]
        pyramid = BackboneWithFPN(body, STAGES, widths, options.channels)
        anchors = AnchorGenerator(tuple(tuple(s * o for o in OCTAVES) for s in ANCHORS_PX), (SHAPES,) * len(ANCHORS_PX))
        self.detector = detection.RetinaNet(
            pyramid, num_classes=1, anchor_generator=anchors, score_thresh=options.least, nms_thresh=options.overlap
        )
        if options.swap == "gaussian":
            replace_convs(pyramid.body, lambda name, conv: "layer1" in name and conv.kernel_size == (3, 3))

    def forward(self, image: Float[Tensor, "B 1 H W"]) -> Raw:
        detector = self.detector
        features = list(detector.backbone(((image - MEAN) / DEVIATION).expand(-1, 3, -1, -1)).values())
        head = detector.head(features)
        cells = [f.shape[-2] * f.shape[-1] for f in features]
        return Raw({"head": head, "features": features, "cells": cells, "size": tuple(image.shape[-2:])}, self)

    def anchors(self, outputs: dict[str, Any]) -> list[Tensor]:
        """Anchors of each image, (A, 4) corners."""
        from torchvision.models.detection.image_list import ImageList  # noqa: PLC0415

        images = len(outputs["features"][0])
        blank = outputs["features"][0].new_empty((images, 1, *outputs["size"]))
        return self.detector.anchor_generator(ImageList(blank, [outputs["size"]] * images), outputs["features"])


def targets(labels: Labels) -> list[Tensor]:
    """The boxes of the regions of each mask."""
    assert labels.mask is not None
    return boxes_of(labels.mask)


def loss(raw: Raw, boxes: list[Tensor], _step: Step, _options: Options) -> Float[Tensor, "B"]:
    """Focal loss of classes and L1 loss of boxes, by torchvision; their mean over the batch, for each image."""
    outputs, network = raw.outputs, raw.network
    wanted = [{"boxes": to_corners(b), "labels": torch.zeros(len(b), dtype=torch.long, device=b.device)} for b in boxes]
    parts = network.detector.compute_loss(wanted, outputs["head"], network.anchors(outputs))
    return sum(parts.values()).expand(len(boxes))


def decode(raw: Raw, _options: Options) -> Prediction:
    """Boxes with scores, and their centres as points."""
    outputs, detector = raw.outputs, raw.network.detector
    anchors = raw.network.anchors(outputs)
    each = outputs["head"]["cls_logits"].shape[1] // sum(outputs["cells"])
    levels = [cells * each for cells in outputs["cells"]]
    head = {name: list(values.float().split(levels, 1)) for name, values in outputs["head"].items()}
    parted = [list(a.split(levels)) for a in anchors]
    found = detector.postprocess_detections(head, parted, [outputs["size"]] * len(anchors))
    boxes = [torch.cat([from_corners(one["boxes"]), one["scores"][:, None]], 1) for one in found]
    return Prediction(points=[centres(b) for b in boxes], boxes=boxes)


METHOD = Method(
    "RetinaNet", "arXiv 1708.02002; torchvision", "mask", Options, RetinaNet, loss, decode, targets=targets,
    threshold=None, multiple=32,
)  # fmt: skip
