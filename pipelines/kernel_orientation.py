"""Angles that the oriented kernels of a trained network choose: DATASET -> tables in runs/results/analysis."""

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from safetensors.torch import load

from irstd.analysis import orientation
from irstd.config import params
from irstd.data.prepared import Prepared
from irstd.layers.pinwheel import OrientedGaussian2d
from irstd.results import store
from pipelines import PREPARED, RESULTS, RUNS, repeatable, run, sealed
from pipelines.lookup import method_of, network_of

SIDE_PX = 96  # of the piece of a scene whose chosen angles are kept
LAYERS = ("encoder.0.0.spatial.blur", "decoder.0.0.spatial.blur")  # at full size, before and after


def main(dataset: str) -> None:
    given = params.load()
    wanted = given.orientation
    repeatable(given.train.threads, "cpu")
    method, _ = method_of(given, wanted.method)
    network = network_of(given, wanted.method)
    place = (dataset, wanted.method, str(wanted.seed))
    network.load_state_dict(load(sealed.weights(RUNS.joinpath("train", *place))))
    prepared = Prepared(PREPARED / dataset)
    numbers = prepared.roles(given.data(dataset).split, 0.0)["test"]

    def padded(pixels: np.ndarray) -> torch.Tensor:
        whole = torch.from_numpy(pixels.astype(np.float32))[None, None]
        return F.pad(whole, (0, -whole.shape[3] % method.multiple, 0, -whole.shape[2] % method.multiple))

    images = [padded(prepared.image(n) / 255) for n in numbers]
    masks = [padded(prepared.mask(n)) for n in numbers]
    trained = {name: layer for name, layer in orientation.oriented(network).items() if name in LAYERS}
    first = next(k for k, n in enumerate(numbers) if len(prepared.points[n]))
    tables = {
        "kernels": orientation.kernels(network),
        "learnt": orientation.learnt(network),
        "choices": orientation.shares(network, images, masks),
        "turning": orientation.turning_target(
            {"as it starts": OrientedGaussian2d(), "two bars": OrientedGaussian2d(arms=2), **trained}
        ),
        "equivariance": orientation.equivariance(orientation.attentions()),
        "orientation_map": _map(prepared, numbers[first], orientation.choices(network, images[first])[LAYERS[0]]),
    }
    for kind, table in tables.items():
        store.write(table, RESULTS / "analysis" / f"orientation-{dataset}" / f"{kind}.csv", kind)


def _map(prepared: Prepared, number: int, chosen: torch.Tensor) -> pd.DataFrame:
    """A scene's pixels around its first target, with the angle that each chooses at full size."""
    image, mask = prepared.image(number), prepared.mask(number)
    start = [
        int(np.clip(round(place) - SIDE_PX // 2, 0, max(side - SIDE_PX, 0)))
        for place, side in zip(prepared.points[number][0], image.shape, strict=True)
    ]
    piece = tuple(slice(first, first + SIDE_PX) for first in start)
    row, col = (first + place.ravel() for first, place in zip(start, np.indices(image[piece].shape), strict=True))
    return pd.DataFrame(
        {
            "row": row, "col": col, "grey": image[piece].ravel(), "target": mask[piece].ravel().astype(int),
            "candidate": chosen[: image.shape[0], : image.shape[1]].numpy()[piece].ravel(),
        }
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
