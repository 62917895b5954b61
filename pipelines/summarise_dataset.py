"""Count what is in a dataset: DATASET -> scenes, targets and quirks among the results."""

import pandas as pd

from irstd.config import params
from irstd.data.prepared import Prepared
from irstd.results import store
from pipelines import PREPARED, RESULTS, run


def main(dataset: str) -> None:
    entry = params.load().data(dataset)
    prepared = Prepared(PREPARED / dataset)
    scenes = pd.read_csv(prepared.folder / "scenes.csv", dtype={"name": str, "group": str})
    for role, numbers in prepared.roles(entry.split, entry.validation).items():
        scenes.loc[numbers, "role"] = role
    if prepared.parts:
        scenes["part"] = scenes["name"].map(prepared.parts)
    store.write(scenes, RESULTS / dataset / "scenes.csv", "scenes")
    for kind in ("targets", "quirks"):
        table = pd.read_csv(prepared.folder / f"{kind}.csv", dtype={"name": str})
        store.write(table, RESULTS / dataset / f"{kind}.csv", kind)


if __name__ == "__main__":
    run(main)
