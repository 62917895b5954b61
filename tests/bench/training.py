"""Our training step against a plain PyTorch loop: the same network, batch, crops and augmentation, in one run.

The plain loop is what the field's repositories do: a `Dataset` that opens a PNG, crops and augments that one
image (with the same changes as kornia's modules, and again hand-written in NumPy and OpenCV, the fastest to be
had for one image), a `DataLoader`, forward, backward, step. Ours holds the scenes on the device and changes the whole
batch at once. A and B alternate; the medians count. Let nothing else run.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import torch
from kornia import augmentation as kornia
from lightning_fabric import Fabric
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from irstd import methods
from irstd.config import params
from irstd.data import download, prepare, synthetic
from irstd.data.augment import Augmentation
from irstd.data.batches import Resident, epoch
from irstd.data.prepared import Prepared
from irstd.losses.overlap import soft_iou
from irstd.methods import Labels, Method, Prediction
from irstd.training import loop, steps

BATCH, SIDE, IMAGES, ROUNDS = 8, 128, 32, 5
AUGMENT = params.Augment(flip=0.5, transpose=0.5, affine=0.5, colour=0.2, noise=0.2)


class Small(nn.Sequential):
    """Three convolutions: the kind of network whose loop, not whose arithmetic, sets the pace."""

    def __init__(self, _options: object = None) -> None:
        super().__init__(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 1, 3, padding=1),
        )


SMALL = Method(
    "small network",
    "none",
    "mask",
    dict,
    Small,
    lambda out, mask, *_: soft_iou(out.sigmoid(), mask),
    lambda out, _: Prediction(out.sigmoid()),
)


class Files(Dataset):
    """Images and masks as PNG files, each opened, cropped and augmented alone when asked for."""

    def __init__(self, folder: Path, names: list[str], style: str, side: int = SIDE) -> None:
        self.files = [(folder / f"images/{n}.png", folder / f"masks/{n}.png") for n in names]
        self.style, self.side, self.augmentation = style, side, library()

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image, mask = (np.asarray(Image.open(path)) for path in self.files[index])
        row, col = (np.random.randint(0, s - self.side + 1) for s in image.shape)
        image, mask = (a[row : row + self.side, col : col + self.side] for a in (image, mask))
        if self.style == "OpenCV":
            image, mask = by_hand(image.astype(np.float32) / 255, mask.astype(np.float32) / 255)
            return torch.from_numpy(image)[None], torch.from_numpy(mask)[None]
        pair = (torch.from_numpy(np.ascontiguousarray(a)).float().div(255)[None, None] for a in (image, mask))
        image, mask = self.augmentation(*pair)
        return image[0], mask[0]


def library(labels: str = "mask") -> kornia.AugmentationSequential:
    """The same changes, with the same probabilities, as kornia's users write them, of image and `labels`."""
    return kornia.AugmentationSequential(
        kornia.RandomHorizontalFlip(p=AUGMENT.flip),
        kornia.RandomVerticalFlip(p=AUGMENT.flip),
        kornia.RandomRotation90(times=(1, 1), p=AUGMENT.transpose),
        kornia.RandomAffine(45.0, (0.1, 0.1), (0.8, 1.2), p=AUGMENT.affine),
        kornia.RandomBrightness((0.8, 1.2), p=AUGMENT.colour),
        kornia.RandomContrast((0.8, 1.2), p=AUGMENT.colour),
        kornia.RandomGaussianNoise(std=0.02, p=AUGMENT.noise),
        data_keys=["input", labels],
    )


def by_hand(image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same changes, with the same probabilities, on one image."""
    draw = np.random.random
    for axis in (0, 1):
        if draw() < AUGMENT.flip:
            image, mask = np.flip(image, axis), np.flip(mask, axis)
    if draw() < AUGMENT.transpose:
        image, mask = np.rot90(image), np.rot90(mask)
    image, mask = np.ascontiguousarray(image), np.ascontiguousarray(mask)
    if draw() < AUGMENT.affine:
        angle, scale = np.random.uniform(-45, 45), np.random.uniform(0.8, 1.2)
        side = len(image)
        matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), angle, scale)
        matrix[:, 2] += np.random.uniform(-0.1, 0.1, 2) * side
        image, mask = (cv2.warpAffine(a, matrix, (side, side), flags=cv2.INTER_LINEAR) for a in (image, mask))
    if draw() < AUGMENT.colour:
        image = np.clip(image + np.random.uniform(-0.2, 0.2), 0, 1)
    if draw() < AUGMENT.colour:
        image = np.clip(image * np.random.uniform(0.8, 1.2), 0, 1)
    if draw() < AUGMENT.noise:
        image = np.clip(image + np.random.uniform(*AUGMENT.noise_std) * np.random.standard_normal(image.shape), 0, 1)
    return image.astype(np.float32), (mask > 0.5).astype(np.float32)


def drawn(folder: Path, images: int, size: int) -> Prepared:
    """Synthetic scenes of `size` px, `images` of them to train with: as files in `folder`/raw, and prepared."""
    wanted = SimpleNamespace(
        seed=1, train=images, test=1, size=size, targets=(1, 2), scr=(3.0, 9.0), sigma_px=(0.8, 2.0)
    )
    download.finish(folder / "raw.part", folder / "raw", synthetic.write(wanted, folder / "raw.part"), "seed")
    prepare.prepare(folder / "raw", folder / "prepared")
    return Prepared(folder / "prepared")


def plain(
    network: nn.Module,
    method: Method,
    loader: DataLoader,
    optimiser: torch.optim.Optimizer | None = None,
    cast: AbstractContextManager | None = None,
) -> float:
    """Seconds of one epoch of the plain loop, on the network's device.

    Args:
        loader: gives images, and masks or, for a method supervised by them, points.
        optimiser: to go on with; else a new one.
        cast: what forward pass and loss run in, as torch.autocast.
    """
    optimiser = optimiser or torch.optim.AdamW(network.parameters(), 1e-3)
    on = next(network.parameters()).device
    start = time.perf_counter()
    for pair in loader:
        image, label = (t.to(on, non_blocking=True) for t in pair)
        with cast or nullcontext():
            targets = method.targets(Labels(None, label)) if method.supervision == "point" else label
            loss = method.loss(network(image), targets, None, method.options()).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item()  # as such loops do, for their log
    return time.perf_counter() - start


def started(
    network: nn.Module, method: Method, resident: Resident, recipe: params.Recipe, in_precision: str = "32-true"
) -> loop._Run:
    """What `irstd.training.loop.fit` makes before its first epoch, on the device of `resident`.

    Args:
        in_precision: Lightning's name.
    """
    on = resident.device
    fabric = Fabric(accelerator=on.type, devices=[on.index or 0] if on.type == "cuda" else 1, precision=in_precision)
    if on.type == "cuda" or in_precision != "32-true":
        network = network.to(memory_format=torch.channels_last)
    model, optimiser = fabric.setup(network, steps.optimiser(network, recipe.optimiser))
    change, number = Augmentation(recipe.augment), len(resident) * recipe.crops // recipe.batch
    return loop._Run(method, method.options(), recipe, network, model, optimiser, fabric, resident, change, 0, number)


def ours(network: nn.Module, method: Method, resident: Resident, recipe: params.Recipe) -> float:
    """Seconds of one epoch of our loop, with all that it does in an epoch."""
    run = started(network, method, resident, recipe)
    with tqdm(disable=True) as bar:
        start = time.perf_counter()
        loop._train_epoch(run, 0, bar)
        return time.perf_counter() - start


def bare(network: nn.Module, method: Method, ready: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]) -> float:
    """Seconds of the same steps on batches made before: forward, loss, backward, step, and nothing else."""
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3, fused=True)
    start = time.perf_counter()
    for image, mask, points in ready:
        optimiser.zero_grad()
        targets = method.targets(Labels(mask, points))
        method.loss(network(image), targets, None, method.options()).mean().backward()
        optimiser.step()
    return time.perf_counter() - start


def main() -> None:
    """Prints images/s of each loop for a small network and for the methods."""
    torch.set_num_threads(2)
    recipe = params.Recipe(1, BATCH, params.Optimiser("adamw", 1e-3), augment=AUGMENT, size=SIDE, target_share=0.5)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepared = drawn(folder, IMAGES, 256)
        learn = prepared.roles("made", 0.0)["train"]
        resident = Resident(prepared, learn, least=SIDE)
        names = [prepared.names[n] for n in learn]
        augmentation = Augmentation(AUGMENT)
        ready = [augmentation(b.image, b.mask, b.points) for b in epoch(resident, recipe, 0, 0)]
        loaders = {
            style: DataLoader(Files(folder / "raw", names, style), BATCH, shuffle=True)
            for style in ("kornia", "OpenCV")
        }
        print(
            f"{BATCH} crops of {SIDE}x{SIDE} px a step, {torch.get_num_threads()} threads, medians of {ROUNDS} interleaved epochs"
        )
        print(f"{'network':14} {'loop':36} {'images/s':>9} {'ours is':>9}")
        for method, rounds in (
            (SMALL, ROUNDS * 3),
            (methods.get("ggl_net"), ROUNDS),
            (methods.get("point_regression"), ROUNDS),
            (methods.get("gaussian_pinwheel"), ROUNDS),
        ):
            network = method.build(method.options())
            runs = {
                "ours": lambda n=network, m=method: ours(n, m, resident, recipe),
                "forward, backward, step alone": lambda n=network, m=method: bare(n, m, ready),
            }
            if method.supervision == "mask":  # the plain loop is that of the field, which hands masks on
                for style, loader in loaders.items():
                    runs[f"plain, {style} on each image"] = lambda n=network, m=method, x=loader: plain(n, m, x)
            times: dict[str, list[float]] = {loop: [] for loop in runs}
            for loop, run in runs.items():
                run()  # warm
                del loop
            for _ in range(rounds):
                for loop, run in runs.items():
                    times[loop].append(run())
            median = {loop: statistics.median(t) for loop, t in times.items()}
            for loop, seconds in median.items():
                ratio = "" if loop == "ours" else f"{seconds / median['ours']:.2f} x"
                print(f"{method.title:14} {loop:36} {IMAGES / seconds:9.1f} {ratio:>9}")
            overhead = 1 - median["forward, backward, step alone"] / median["ours"]
            print(
                f"{method.title:14} overhead of our loop: {overhead:.1%} of a step, batches and augmentation included\n"
            )


if __name__ == "__main__":
    main()
