"""Keep crops of scenes that may be passed on: DATASET -> runs/results/DATASET/crops.csv and crops.png."""

import json

import numpy as np
import pandas as pd
from PIL import Image

from irstd.config import params
from irstd.errors import InputError
from irstd.results import store
from irstd.results.schemas import SCHEMAS
from pipelines import RESULTS, RUNS, run

MOST = 6  # of each kind of each method


def main(dataset: str) -> None:
    given = params.load()
    rows, grey, masks = [], [], []
    for method in (*given.methods, *given.baselines):
        places = (RUNS / "gallery" / dataset / method).glob("*/gallery.npz")
        first = min(places, key=lambda path: int(path.parent.name), default=None)
        if first is None:
            raise InputError(f"{method} has no pictures of {dataset}; run `dvc repro crops@{dataset}`")
        with np.load(first) as kept:
            captions = json.loads(str(kept["captions"]))
            for kind in ("hit", "miss", "false alarm"):
                for place in [k for k, caption in enumerate(captions) if caption["kind"] == kind][:MOST]:
                    rows.append({"method": method, **captions[place]})
                    grey.append(kept[f"crop_{place}"][0])
                    masks.append(kept[f"crop_{place}"][1] * np.uint8(255))
    table = pd.DataFrame(rows, columns=list(SCHEMAS["crops"]))
    store.write(table, RESULTS / dataset / "crops.csv", "crops")
    # One strip of all crops, side by side, their masks below.
    strips = [np.concatenate(part, axis=1) if part else np.zeros((1, 1), np.uint8) for part in (grey, masks)]
    Image.fromarray(np.concatenate(strips)).save(RESULTS / dataset / "crops.png", optimize=True)


if __name__ == "__main__":
    run(main)
