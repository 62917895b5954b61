"""Unpack what a campaign brought back: OUT WHERE -> WHERE/runs/train/DATASET/METHOD/SEED, for each run that is done.

`python -m pipelines.import_cell WHERE DATASET METHOD SEED` takes each of them, with all its checks.
"""

import hashlib
import io
import json
import lzma
from pathlib import Path

import torch

from irstd.errors import InputError
from irstd.inference.half import restored
from irstd.training.loop import Fitted
from pipelines import RUNS, run
from pipelines.train import write


def main(out: str, where: str) -> None:
    index, parts = Path(out, "campaign.json"), sorted(Path(out).glob("part-?"))
    if not index.is_file():
        raise InputError(f"{out} holds nothing of a campaign; name the folder that `pipelines.campaign` wrote to")
    stream = b"".join(part.read_bytes() for part in parts)
    for row in json.loads(index.read_text())["runs"]:
        if "sha256" not in row:
            print(f"{row['name']}: {row['state']}")
            continue
        data = stream[row["start"] : row["start"] + row["bytes"]]
        if hashlib.sha256(data).hexdigest() != row["sha256"]:
            raise InputError(f"the parts in {out} do not hold {row['name']} as it was written; copy them again")
        held = torch.load(io.BytesIO(lzma.decompress(data)), weights_only=True)
        made = json.loads(held["made"])
        folder = Path(where, RUNS, "train", made["dataset"], made["method"], str(made["seed"]))
        of = {"dataset": made["dataset"], "method": made["method"], "seed": made["seed"], "epoch": made["best_epoch"]}
        fitted = Fitted(restored(held["weights"]), {}, made["best_epoch"], made["threshold"], held["history"], 0.0)
        made["weights_sha256"] = write(folder, of, fitted)
        (folder / "provenance.json").write_text(json.dumps(made, indent=1) + "\n")
        print(f"python -m pipelines.import_cell {where} {made['dataset']} {made['method']} {made['seed']}")


if __name__ == "__main__":
    run(main)
