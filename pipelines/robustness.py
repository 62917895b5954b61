"""Score packed weights on changed images: DATASET METHOD SEED -> one row per change and level, on some test scenes."""

import pandas as pd
from tqdm import tqdm

from irstd.analysis.corruptions import changed
from irstd.config import params
from irstd.data.prepared import Prepared, spread
from irstd.results import store
from pipelines import PREPARED, RESULTS, run
from pipelines.packed import Packed


def main(dataset: str, method: str, seed: str) -> None:
    given = params.load()
    packed, prepared = Packed(given, dataset, method), Prepared(PREPARED / dataset)
    numbers = spread(prepared.roles(given.data(dataset).split, 0.0)["test"], given.robustness.scenes)
    scenes = [(prepared.names[n], prepared.image(n), prepared.mask(n)) for n in numbers]
    wanted = [("none", 0.0), *((kind, level) for kind, levels in given.robustness.changes.items() for level in levels)]
    rows = []
    for kind, level in tqdm(wanted, "changes"):
        images = [image if kind == "none" else changed(image, mask, kind, level, name) for name, image, mask in scenes]
        scored = packed.score(images, (mask for _, _, mask in scenes))
        rows.append(scored.conventions.assign(change=kind, level=level))
    table = pd.concat(rows, ignore_index=True)
    store.write(table, RESULTS / "robustness" / dataset / method / f"{seed}.csv", "robustness")


if __name__ == "__main__":
    run(main)
