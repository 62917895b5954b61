"""How near point regression comes to a target's true centre: trained on synthetic scenes with clicks at true centres,
tested on targets without noise, and on scenes of rising signal-to-clutter ratio up to that where nine of ten are found.

Minutes on one core. Exits with 1 where the error is over 0.1 px without noise, or over 0.5 px at that ratio.
"""

import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from irstd import methods
from irstd.config import params
from irstd.data import download, prepare, synthetic
from irstd.data.clicks import read_clicks
from irstd.data.prepared import Prepared
from irstd.inference.predict import predict
from irstd.metrics.points import pairs
from irstd.training import loop

SIDE, SCENES = 64, 150
RECIPE = params.Recipe(
    epochs=40,
    batch=8,
    size=48,
    target_share=1.0,
    optimiser=params.Optimiser("adamw", 2e-3, weight_decay=1e-4),
    schedule=params.Schedule("cosine", 0.5),
    validate_every=40,
)


def wanted(**changes):
    base = {
        "seed": 11,
        "train": 400,
        "test": 1,
        "size": SIDE,
        "targets": (1, 2),
        "scr": (2.0, 40.0),
        "sigma_px": (0.7, 2.0),
    }
    return SimpleNamespace(**base | changes)


def train(folder: Path) -> tuple[nn.Module, float]:
    """Network and threshold; the threshold is chosen on a tenth of the scenes, none of which is tested on."""
    roles = synthetic.write(wanted(), folder / "raw.part")
    download.finish(folder / "raw.part", folder / "raw", roles, "made from a seed")
    prepare.prepare(folder / "raw", folder / "prepared")
    prepared = Prepared(folder / "prepared")
    parts = prepared.roles("made", 0.1)
    method = methods.get("point_regression")
    torch.manual_seed(0)
    network = method.build(method.options())
    fitted = loop.fit(
        method, method.options(), network, RECIPE, prepared, training=parts["train"], validation=parts["validation"],
        seed=0, on=torch.device("cpu"), clicks=read_clicks(folder / "raw/truth.csv", prepared),
    )  # fmt: skip
    return network, fitted.threshold


def found(network: nn.Module, threshold: float, images: list[np.ndarray]) -> list[np.ndarray]:
    """The points of each image that score above the threshold, (N, 2)."""
    method = methods.get("point_regression")
    every = predict(network, method, method.options(), images)
    return [one.points[one.points[:, 2] > threshold, :2].astype(float) for one in every]


def errors(truth: list[np.ndarray], points: list[np.ndarray]) -> list[float]:
    """Distances of the targets found, within 3 px one to one, to their points."""
    return [far for t, p in zip(truth, points, strict=True) for *_, far in pairs(t, p, 3.0)]


def without_noise(network: nn.Module, threshold: float) -> tuple[float, float]:
    """Pd and mean error, px, on spots over an even background, at random places and of random spread."""
    rng, images, truth = np.random.default_rng(5), [], []
    for _ in range(SCENES):
        row, col = rng.uniform(16, SIDE - 17, 2)
        shape = synthetic.spot(SIDE, row, col, rng.uniform(0.7, 2.0))
        images.append(np.rint(60 + 80 * shape / shape.max()).astype(np.uint8))
        truth.append(np.array([[row, col]]))
    far = errors(truth, found(network, threshold, images))
    return len(far) / SCENES, float(np.mean(far))


def at_ratio(network: nn.Module, threshold: float, scr: float) -> tuple[float, float]:
    """Pd and mean error, px, on scenes of one target each at a signal-to-clutter ratio."""
    given = wanted(seed=99, train=0, test=SCENES, targets=(1, 1), scr=(scr, scr))
    scenes = [scene for _, _, scene in synthetic.scenes(given)]
    far = errors([s.truth[:, :2] for s in scenes], found(network, threshold, [s.image for s in scenes]))
    return len(far) / sum(len(s.truth) for s in scenes), float(np.mean(far)) if far else np.nan


def main() -> None:
    """Trains, and prints a line for each kind of scene."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        network, threshold = train(Path(name))
    pd, clean = without_noise(network, threshold)
    print(f"without noise: Pd {pd:.2f}, mean error {clean:.3f} px")
    far = np.nan
    for scr in np.arange(1.0, 12.0, 0.5).tolist():
        pd, far = at_ratio(network, threshold, scr)
        print(f"signal-to-clutter ratio {scr:g}: Pd {pd:.2f}, mean error {far:.3f} px")
        if pd >= 0.9:
            break
    sys.exit(not (clean < 0.1 and pd >= 0.9 and far < 0.5))


if __name__ == "__main__":
    main()
