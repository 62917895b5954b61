"""Predict the test split: DATASET METHOD SEED -> runs/predict/DATASET/METHOD/SEED, scores and points."""

import shutil
from pathlib import Path
from typing import Literal

import numpy as np
from safetensors.torch import load_file
from tqdm import tqdm

from irstd.config import params
from irstd.data.prepared import Prepared
from irstd.inference.predict import encode, predict
from irstd.training import loop
from pipelines import PREPARED, RUNS, repeatable, run
from pipelines.rows import method_of


def write(dataset: str, method: str, seed: str, role: Literal["validation", "test"], folder: Path) -> None:
    """Predicts the scenes of a role with a cell's weights, and writes scores, points and perhaps boxes to `folder`."""
    given = params.load()
    entry, recipe = given.data(dataset), given.recipe(dataset, method)
    chosen, options = method_of(given, method)
    # A portable dataset is for any machine, so it must not take the GPU that only some have.
    on = loop.device("cpu" if entry.portable else given.train.device)
    repeatable(recipe.threads or given.train.threads, on.type)
    network = chosen.build(options)
    network.load_state_dict(load_file(RUNS.joinpath("train", dataset, method, seed, "best.safetensors")))
    prepared = Prepared(PREPARED / dataset)
    numbers = prepared.roles(entry.split, 0.0 if role == "test" else entry.validation)[role]
    images = [prepared.image(n) for n in numbers]
    found = predict(network.to(on), chosen, options, images, device=on, geometry=recipe.geometry, side=recipe.size)
    scores, points, boxes = {}, {}, {}
    for number, one in zip(numbers, tqdm(found, "predict", len(numbers), unit="img"), strict=True):
        name = prepared.names[number]
        if one.score is not None:
            scores[name] = encode(one.score)
        if one.points is not None:
            points[name] = one.points
        if one.boxes is not None:
            boxes[name] = one.boxes
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "scores.npz", **scores)
    np.savez_compressed(folder / "points.npz", **points)
    if boxes:
        np.savez_compressed(folder / "boxes.npz", **boxes)


def main(dataset: str, method: str, seed: str) -> None:
    write(dataset, method, seed, "test", RUNS.joinpath("predict", dataset, method, seed))
    # The weights are in DVC's cache, and their history in the results.
    for spent in ("checkpoints", "live"):
        shutil.rmtree(RUNS.joinpath(spent, dataset, method, seed), ignore_errors=True)


if __name__ == "__main__":
    run(main)
