"""Pack the weights of a run: DATASET METHOD SEED -> runs/weights/DATASET/METHOD.safetensors, in half precision."""

import json

from safetensors.torch import load

from irstd.config import params
from irstd.inference import weights
from pipelines import RUNS, WEIGHTS, run, sealed


def main(dataset: str, method: str, seed: str) -> None:
    row, folder = params.load().row(method), RUNS.joinpath("train", dataset, method, seed)
    made = json.loads((folder / "provenance.json").read_text())
    label = weights.Label(
        method=row.method or method,
        row=method,
        dataset=dataset,
        seed=int(seed),
        epoch=made["best_epoch"],
        geometry=made["recipe"]["geometry"],
        side=made["recipe"]["size"],
        threshold=made["threshold"],
        **{name: made[name] for name in ("split", "budget", "options", "commit", "hardware")},
    )
    packed = weights.pack(load(sealed.weights(folder)), label)
    target = WEIGHTS / dataset / f"{method}.safetensors"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(packed)


if __name__ == "__main__":
    run(main)
