"""Pack trainings to carry to a machine that is lent for minutes: FOLDER DATASET-METHOD-SEED ... -> FOLDER.

    queue.json          the runs, in the order in which they are to be trained, with everything that decides them
    DATASET.npz.xz      training and held-out scenes of each dataset, without those of the test split

There, `python -m pipelines.campaign FOLDER OUT SECONDS WORKERS` trains them and needs torch, lightning-fabric, NumPy,
SciPy and kornia only; back here, `python -m pipelines.unpack_campaign OUT WHERE` makes of what came a folder that
`python -m pipelines.import_cell WHERE DATASET METHOD SEED` takes.
"""

import csv
import io
import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np

from irstd.config import params
from irstd.data.clicks import read_clicks
from irstd.data.prepared import Prepared
from irstd.errors import InputError, hint
from irstd.inference import profiling
from irstd.results import provenance
from pipelines import PREPARED, RUNS, run
from pipelines.lookup import Run
from pipelines.train import facts_of

# What is left of grey levels after the differences has no order that longer contexts would find.
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 0, "lp": 0, "pb": 0}]


def packed(prepared: Prepared, numbers: list[int]) -> bytes:
    """The scenes `numbers` of a prepared dataset, compressed; `pipelines.campaign` unpacks them.

    Of grey levels each holds its difference to what its left and upper neighbours foretell, modulo 256.
    """
    grey, masks = [], []
    for number in numbers:
        image = prepared.image(number).astype(np.int16)
        grey.append(np.diff(np.diff(image, axis=0, prepend=0), axis=1, prepend=0).astype(np.uint8).ravel())
        masks.append(np.packbits(prepared.mask(number)))
    tables = {}
    names = {prepared.names[number] for number in numbers}
    for table in ("scenes", "targets"):
        with (prepared.folder / f"{table}.csv").open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([header, *(row for row in rows if row[0] in names)])
        tables[table] = np.frombuffer(text.getvalue().encode(), np.uint8)
    data = io.BytesIO()
    np.savez(data, grey=np.concatenate(grey), masks=np.concatenate(masks), **tables)
    return lzma.compress(data.getvalue(), filters=FILTERS)


def entry(name: str, cell: Run, prepared: Prepared) -> dict[str, Any]:
    """A run as the other machine needs it."""
    learn, choose, facts = facts_of(cell, prepared)
    clicks = None if cell.clicks is None else read_clicks(cell.clicks, prepared)
    return {
        "name": name,
        "learn": [prepared.names[number] for number in learn],
        "choose": [prepared.names[number] for number in choose],
        "clicks": clicks and {scene: points.tolist() for scene, points in clicks.items()},
        "facts": facts,
        "flop_per_image": profiling.training_flop(cell.method, cell.options, cell.recipe.size),
        "checkpoint_s": cell.given.train.checkpoint_s,
    }


def main(folder: str, *names: str) -> None:
    commit = provenance.commit(RUNS.parent)
    if not commit or commit.endswith("+"):
        raise InputError("a campaign is of a commit; commit what you changed, and pack again")
    target, queue, scenes = Path(folder), [], {}
    if not names:
        raise InputError("name the runs to pack, as DATASET-METHOD-SEED")
    given = params.load()
    for name in names:
        if name not in given.cells():
            raise InputError(f"params.yaml has no run {name!r}; {hint(name, given.cells())}")
        cell = Run(given, *given.cells()[name].values())
        if not cell.recipe.epochs:
            raise InputError(f"{name} has nothing to train; leave it out")
        if cell.recipe.selection == "test":
            raise InputError(
                f"{name} chooses its epoch on the test split, which is not packed; use another `selection`"
            )
        if not (PREPARED / cell.dataset / "scenes.csv").is_file():
            raise InputError(f"{cell.dataset} is not prepared; run `dvc repro prepare@{cell.dataset}`")
        prepared = Prepared(PREPARED / cell.dataset)
        queue.append(entry(name, cell, prepared))
        scenes.setdefault(cell.dataset, (prepared, set()))[1].update(queue[-1]["learn"], queue[-1]["choose"])
    target.mkdir(parents=True, exist_ok=True)
    for old in target.glob("*.npz.xz"):
        old.unlink()
    for dataset, (prepared, wanted) in scenes.items():
        numbers = [number for number, name in enumerate(prepared.names) if name in wanted]
        data = packed(prepared, numbers)
        (target / f"{dataset}.npz.xz").write_bytes(data)
        print(f"{dataset}: {len(numbers)} scenes, {len(data) / 1e6:.1f} MB")
    (target / "queue.json").write_text(json.dumps({"commit": commit, "runs": queue}) + "\n")


if __name__ == "__main__":
    run(main)
