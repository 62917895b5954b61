"""Point-to-point regression from single-point labels (Acta Photonica Sinica 55(2), 0210002, 2026).

A small high-resolution network: three branches at strides 2, 4 and 8, built of asymmetric dynamic feature
extraction units (ADFE) and joined by cross-feature enhancement (HCEM), and a head that says at stride 2 where
a target's centre is (heatmap), where within the cell (offset), and how large (log scale). 239,810 parameters,
1.529 GMAC at 256 x 256; the paper states 0.24 M and 1.53 GFLOPs.

Only the paper's abstract is public. What it does not say is chosen, after its authors' earlier networks
(P2P-HDNet, arXiv 2408.01976; SPIRE, arXiv 2604.05363), so as to meet the stated size; the choices are marked. A
single-resolution variant of the same size (64 channels at every stride) is not built.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from irstd.layers.cross_feature import CrossFeature
from irstd.layers.odconv import Norm, anneal
from irstd.layers.peaks import Subpixel, peaks
from irstd.layers.shuffle import AsymmetricDynamicDown, AsymmetricDynamicUnit, ShuffleUnit
from irstd.losses.heatmap import around_peaks, focal, gaussian_heatmap, nearest_cells, to_cells, to_px, weighted_mse
from irstd.methods import Labels, Method, Prediction, Step

STRIDE = 2
FLOOR = 0.02  # added to an image's deviation, five grey levels of 255: noise of an empty sky stays small


@dataclass(frozen=True)
class Options:
    """Options of network, loss and decoding.

    widths: channels of the branches at strides 2, 4 and 8, even.
    kernels: that each ODConv mixes.
    attention_norm: of ODConv's attention. Choice: `layer`, since over the few images of a batch the published
        `batch` makes the kernels of training other ones than those in use.
    standardise: each image to zero mean and unit deviation first. Choice: so that the means that attention and
        gates read carry little of the scene's brightness; black padding counts as part of the image.
    temperature: of ODConv's attention at the start, falling to 1 over the first `anneal_share` of the epochs.
    loss: of the heatmap, `focal` (CornerNet) or `mse` (weighted; P2P-HDNet takes the plain one).
    sigma: spread of the heatmap's Gaussians, cells of 2 px.
    offset_weight, scale_weight: of the losses of offset and log scale beside the heatmap's.
    least: of a peak's score; the operating threshold above it is chosen on the validation scenes.
    relative: a peak scores at least (1 - relative) times the image's best (P2P-HDNet: 0.2). Choice: 1, no such
        limit, since the threshold is chosen on the validation scenes already.
    merge_px: of points nearer than this the best stays.
    subpixel: how the place within a cell is found.
    enlarge: times that the image is enlarged before the network, bilinearly, in training and in use; cells are then
        2 / enlarge px, and so is the unit of sigma.
    """

    widths: tuple[int, int, int] = (72, 48, 32)
    kernels: int = 2
    attention_norm: Norm = "layer"
    standardise: bool = True
    temperature: float = 30.0
    anneal_share: float = 0.1
    loss: Literal["focal", "mse"] = "focal"
    sigma: float = 1.0
    offset_weight: float = 1.0
    scale_weight: float = 0.1
    least: float = 0.05
    relative: float = 1.0
    merge_px: float = 3.0
    subpixel: Subpixel = "offset"
    enlarge: int = 1


class PointRegression(nn.Module):
    """Images (B, 1, H, W) in [0, 1], sides a multiple of 8, to maps (B, 4, H/2, W/2).

    The maps: logit of a target's centre, offset of the centre from the cell's (row, col; cells), logarithm of the
    target's radius in cells.
    """

    def __init__(self, options: Options) -> None:
        super().__init__()
        high, middle, low = options.widths
        self.standardise, self.enlarge = options.standardise, options.enlarge

        def unit(c: int) -> AsymmetricDynamicUnit:
            return AsymmetricDynamicUnit(c, options.kernels, options.attention_norm)

        def down(a: int, c: int) -> AsymmetricDynamicDown:
            return AsymmetricDynamicDown(a, c, options.kernels, options.attention_norm)

        def units(c: int) -> nn.Sequential:
            return nn.Sequential(unit(c), ShuffleUnit(c))

        def convolution(a: int, c: int, stride: int = 1) -> list[nn.Module]:
            return [nn.Conv2d(a, c, 3, stride, 1, bias=False), nn.BatchNorm2d(c), nn.ReLU(inplace=True)]

        self.stem = nn.Sequential(*convolution(1, 16, STRIDE), *convolution(16, high))
        self.stage1 = units(high)
        self.down1 = down(high, middle)
        self.stage2 = nn.ModuleList([unit(high), unit(middle)])
        self.fuse1 = CrossFeature([high, middle])
        self.down2 = down(middle, low)
        self.stage3 = nn.ModuleList([units(high), units(middle), units(low)])
        self.fuse2 = CrossFeature([high, middle, low])
        self.stage4 = nn.ModuleList([unit(high), unit(middle), unit(low)])
        self.fuse3 = CrossFeature([high, middle, low], outputs=1)
        self.head = nn.Sequential(*convolution(high, 32))
        self.outputs = nn.Conv2d(32, 4, 1)
        # Choice: nearly every cell is background, so the heatmap starts at 1 % (RetinaNet, ICCV 2017, Sec. 4.1).
        nn.init.normal_(self.outputs.weight, std=0.01)
        nn.init.zeros_(self.outputs.bias)
        self.outputs.bias.data[0] = torch.logit(torch.tensor(0.01))

    def forward(self, image: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 4 h w"]:
        if self.standardise:
            mean, deviation = image.mean((2, 3), keepdim=True), image.std((2, 3), keepdim=True)
            image = (image - mean) / (deviation + FLOOR)
        if self.enlarge > 1:
            image = F.interpolate(image, scale_factor=self.enlarge, mode="bilinear")
        high = self.stage1(self.stem(image))
        levels = [high, self.down1(high)]
        levels = self.fuse1([stage(x) for stage, x in zip(self.stage2, levels, strict=True)])
        levels.append(self.down2(levels[1]))
        levels = self.fuse2([stage(x) for stage, x in zip(self.stage3, levels, strict=True)])
        (high,) = self.fuse3([stage(x) for stage, x in zip(self.stage4, levels, strict=True)])
        return self.outputs(self.head(high))


def centres(labels: Labels) -> Float[Tensor, "B P 3"]:
    """Row and column of each target's centre, px, and an unknown (NaN) area: all that a click gives."""
    return F.pad(labels.points, (0, 1), value=torch.nan)


def loss(
    maps: Float[Tensor, "B 4 h w"], targets: Float[Tensor, "B P 3"], _step: Step, options: Options
) -> Float[Tensor, "B"]:
    """Loss of the heatmap, plus that of the offsets, plus, where areas are known, that of the scales.

    Args:
        targets: row and column (px; NaN for none) and area (px; NaN if unknown) of each target.
    """
    height, width = maps.shape[-2:]
    stride = STRIDE / options.enlarge
    cells = to_cells(targets[..., :2], stride)
    radius = (targets[..., 2] / torch.pi).sqrt() / stride
    # Choice: a target of known area has a Gaussian of its own radius, neither wider nor narrower, within limits.
    sigma = radius.clamp(0.75, 2.5).nan_to_num(options.sigma)
    heatmap = gaussian_heatmap(cells, sigma, height, width)
    if options.loss == "focal":
        total = focal(maps[:, :1], heatmap, nearest_cells(cells, height, width))
    else:
        total = weighted_mse(maps[:, :1], heatmap)
    total = total + options.offset_weight * around_peaks(maps[:, 1:3], cells - cells.round(), cells)
    known = torch.where(radius.isnan()[..., None], torch.nan, cells)
    return total + options.scale_weight * around_peaks(maps[:, 3:], radius.log()[..., None], known)


def decode(maps: Float[Tensor, "B 4 h w"], options: Options, *, adaptive: bool = False) -> Prediction:
    """Points where the heatmap peaks; no map, since the heatmap is no segmentation.

    Args:
        adaptive: windows of local maxima grow with the predicted radius; only where that was trained.
    """
    maps, stride = maps.float(), STRIDE / options.enlarge
    found = peaks(
        maps[:, :1].sigmoid(),
        maps[:, 1:3],
        maps[:, 3:].exp() if adaptive else None,
        least=options.least,
        relative=options.relative,
        merge=options.merge_px / stride,
        subpixel=options.subpixel,
        blur=options.sigma,
    )
    return Prediction(points=[torch.cat([to_px(p[:, :2], stride), p[:, 2:]], 1) for p in found])


def at_epoch(network: nn.Module, step: Step, options: Options) -> None:
    """Lowers the temperature of the dynamic convolutions."""
    anneal(network, step.epoch / max(options.anneal_share * step.epochs, 1.0), options.temperature)


METHOD = Method(
    title="Point regression",
    paper="Acta Photonica Sinica 55(2), 0210002, 2026, doi 10.3788/gzxb20265502.0210002",
    supervision="point",
    options=Options,
    build=PointRegression,
    loss=loss,
    decode=decode,
    targets=centres,
    at_epoch=at_epoch,
    threshold=None,
    multiple=8,
)
