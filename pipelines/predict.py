"""Predict the test split and the held-out scenes: DATASET METHOD SEED -> runs/predict/DATASET/METHOD/SEED.

Below it, `test/` and `held-out/` with scores.npz, points.npz and perhaps boxes.npz, an array per scene, and the SHA-256
of these files.
"""

import shutil
from pathlib import Path

import numpy as np
from safetensors.torch import load
from tqdm import tqdm

from irstd.data.prepared import Prepared
from irstd.inference import devices
from irstd.inference.predict import predict
from irstd.metrics.levels import encode
from pipelines import PREPARED, RUNS, repeatable, run, sealed
from pipelines.lookup import Run

FOLDERS = {"test": "test", "validation": "held-out"}  # role to folder


def main(dataset: str, method: str, seed: str) -> None:
    cell = Run.load(dataset, method, seed)
    on = devices.device(cell.given.train.device)
    repeatable(cell.threads, on.type)
    network = cell.network()
    network.load_state_dict(load(sealed.weights(cell.below(RUNS / "train"))))
    network.to(on)
    prepared, recipe = Prepared(PREPARED / dataset), cell.recipe
    # Where all training scenes were learnt from, none is held out to choose a threshold on.
    share = cell.entry.validation if recipe.selection == "validation" else 0.0
    roles = prepared.roles(cell.entry.split, share)
    for role, name in FOLDERS.items():
        numbers = roles[role] if role == "test" or share else []
        images = [prepared.image(n) for n in numbers]
        found = predict(
            network, cell.method, cell.options, images, device=on, geometry=recipe.geometry, side=recipe.size
        )
        kept: dict[str, dict[str, np.ndarray]] = {"scores": {}, "points": {}, "boxes": {}}
        for number, one in zip(numbers, tqdm(found, f"predict {name}", len(numbers), unit="img"), strict=True):
            scene = prepared.names[number]
            if one.score is not None:
                kept["scores"][scene] = encode(one.score)
            if one.points is not None:
                kept["points"][scene] = one.points
            if one.boxes is not None:
                kept["boxes"][scene] = one.boxes
        _save(cell.below(RUNS / "predict") / name, kept)
    sealed.seal(cell.below(RUNS / "predict"))
    # The weights are in DVC's cache.
    shutil.rmtree(cell.below(RUNS / "checkpoints"), ignore_errors=True)


def _save(folder: Path, kept: dict[str, dict[str, np.ndarray]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for kind, arrays in kept.items():
        if arrays or kind != "boxes":
            np.savez_compressed(folder / f"{kind}.npz", **arrays)


if __name__ == "__main__":
    run(main)
