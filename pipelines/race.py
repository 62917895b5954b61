"""Race changes of a recipe at equal CPU time: [METHOD, ARM, DATASET or SEED ...] -> runs/race.

Of each kind all that pipelines/race.yaml lists, or those named. For each cell DATASET/METHOD/ARM/SEED.csv, and
SEED-images.csv with the counts of each image. The last counts go into the record, so an arm that is run later, on a
machine of the same kind, is set against an arm that was run before.
The arms are those of pipelines/race.yaml, judged on held-out training scenes. Several processes may run it at once:
each takes the next cell that no other has, and a killed one is gone on with. An epoch's length differs between arms,
so what a step costs is measured once for each network, crop, batch and kind of hardware, and kept in the record, too.
"""

import csv
import fcntl
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from scipy.ndimage import label

from irstd import methods
from irstd.analysis import race as analysis
from irstd.config import params
from irstd.data.prepared import Prepared, spread
from irstd.errors import InputError
from irstd.inference import devices, profiling
from irstd.inference.predict import Predicted
from irstd.results import SCHEMAS, provenance, store
from irstd.training import loop
from irstd.training.selection import points_above, right, score
from pipelines import PREPARED, RECORD, RESULTS, RUNS, run
from pipelines.lookup import changed_options

PLACE = RUNS / "race"
COLUMNS = tuple(SCHEMAS["race"])[:-3]  # whose recipe it takes, the list says; where and from what code, SEED.json
COUNTED = ("epoch", "weights", "scene", "right", "found", "there", "false", "pixels")
CELL = ["dataset", "method", "arm", "seed"]
KEYS = {
    "race": CELL,
    "race_images": CELL,
    "race_effects": [*CELL, "against", "against_weights"],
    "race_steps": list(SCHEMAS["race_steps"])[:-1],
}
STEPS = "race_steps.csv"
FIRST = "old"  # the arm that others start from unless they say `of`


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes`, key by key at every level."""
    both = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(base.get(key), dict)
        both[key] = merged(base[key], value) if nested else value
    return both


def entry(given: dict[str, Any], method: str, arm: str) -> dict[str, Any]:
    """Recipe and options of an arm, through the arms it starts from; or of the budget of params.yaml that it names."""
    changes = given["arms"][arm]
    if "budget" in changes:
        row = params.load().row(method)
        return {"options": row.options, "recipe": {**row.recipe, **row.budgets[changes["budget"]]}}
    start = given["base"][method] if arm == FIRST else entry(given, method, changes.get("of", FIRST))
    return merged(start, {key: changes[key] for key in ("recipe", "options") if key in changes})


def steps() -> pd.DataFrame:
    """CPU times of training steps, measured here or in the record."""
    kept = RESULTS / "analysis" / STEPS
    here = store.read(kept, "race_steps") if kept.exists() else pd.DataFrame(columns=list(SCHEMAS["race_steps"]))
    return recorded("race_steps", here)


def costs() -> dict[tuple[Any, ...], float]:
    """The same by hardware, method, options, side and batch."""
    return {tuple(row[:-1]): row[-1] for row in steps().itertuples(index=False, name=None)}


def seconds(method: str, options: Any, size: int, batch: int) -> float:
    """CPU time of one training step: the least of five, since other work only adds to it.

    Measured once for each kind of hardware and kept with the results: arms are equal in these times, whatever else a
    machine does while one of them runs, and whenever that is.
    """
    chosen = methods.get(method)
    changed = " ".join(f"{name}={value}" for name, value in changed_options(chosen, options).items())
    key = (devices.hardware(torch.device("cpu")), method, changed or "none", size, batch)
    if key not in costs():
        network = chosen.build(options).train().to(memory_format=torch.channels_last)  # as in training
        optimiser = torch.optim.AdamW(network.parameters(), 1e-4, fused=True)
        loss, taken = profiling.trial(chosen, options, size, batch), []
        for _ in range(5):
            since = time.process_time()
            loss(network).backward()
            optimiser.step()
            optimiser.zero_grad()
            taken.append(time.process_time() - since)
        if key not in costs():  # else another process has measured meanwhile
            table = steps()
            table.loc[len(table)] = [*key, min(taken)]
            loop.save(RESULTS / "analysis" / STEPS, lambda beside: store.write(table, beside, "race_steps"))
    return costs()[key]


def followed(given: dict[str, Any], arm: str) -> str:
    """The arm whose recipe it takes, as it is or for another time."""
    changes = given["arms"][arm]
    return followed(given, changes.get("of", FIRST)) if "times" in changes else arm


def epochs(minutes: float, method: str, options: Any, recipe: params.Recipe, scenes: int) -> int:
    """Epochs that fit into the time, the early phases' shares included."""
    total, since = 0.0, 0.0
    for part in (*recipe.phases, recipe):
        until = part.until if part is not recipe else 1.0
        batch = min(part.batch, scenes)
        total += (until - since) * (scenes // batch) * seconds(method, options, part.size, batch)
        since = until
    return max(3, round(60 * minutes / total))


def counts(one: Predicted, mask: np.ndarray, centres: np.ndarray, threshold: float) -> tuple[int, int, int, int]:
    """Of one image: rightly found, found, there, and falsely found; pixels, or points where a method gives those.

    Falsely found pixels are those of regions that touch no target.
    """
    if one.score is None:
        found = points_above(one, threshold)
        matched = right(found, centres)
        return matched, len(found), len(centres), len(found) - matched
    above = one.score > threshold
    regions, count = label(above, np.ones((3, 3)))
    touching = np.zeros(count + 1, bool)
    touching[regions[mask]] = True
    return int((above & mask).sum()), int(above.sum()), int(mask.sum()), int((above & ~touching[regions]).sum())


def cell(given: dict[str, Any], dataset: str, method: str, arm: str, seed: int) -> None:
    """Trains and judges one cell."""
    folder, wanted = PLACE.joinpath(dataset, method, arm), entry(given, method, arm)
    chosen, prepared = methods.get(method), Prepared(PREPARED / dataset)
    options = chosen.options(**wanted.get("options", {}))
    roles = prepared.roles(params.load().data(dataset).split, given["hold_out"])
    learn, held = roles["train"], spread(roles["validation"], given["most"])
    draft = params.check(params.Recipe, wanted["recipe"] | {"average_epochs": given["average_epochs"]}, f"arms.{arm}")
    minutes = given["minutes"][method] * given["arms"][arm].get("times", 1)
    if draft.mined:  # looked for between checks, and a forward pass is a third of a step
        step = seconds(method, options, draft.size, draft.batch) / (draft.batch * draft.size**2)
        seen = sum(math.prod(prepared.sizes[n]) for n in learn)
        minutes -= (given["checks"] - 1) * seen * step / 3 / 60
    number = epochs(minutes, method, options, draft, len(learn))
    # Each check judges what the arm would end with: nothing is chosen among them.
    alike = {"validate_every": math.ceil(number / given["checks"]), "selection": "validation", "threads": 1}
    alike |= {"epochs": number, "average_epochs": given["average_epochs"]}
    recipe = params.check(params.Recipe, wanted["recipe"] | alike, f"arms.{arm}")
    # Truth to judge by; a method supervised by points is trained without any of it.
    truth = [(prepared.mask(n), prepared.points[n]) for n in held]
    rows, images = folder / f"{seed}.csv.part", folder / f"{seed}-images.csv.part"

    def judge(row: dict[str, Any], predicted: dict[str, list[Predicted]]) -> None:
        for weights, found in predicted.items():
            points = found[0].score is None
            threshold = score(found, truth, chosen.threshold)[1]
            table = np.array([counts(p, *t, threshold) for p, t in zip(found, truth, strict=True)])
            sizes = [mask.size for mask, _ in truth]
            low, high = analysis.interval(table[:, :3], points=points)
            append(rows, COLUMNS, [(
                dataset, method, arm, seed, weights, row["epoch"], number, f"{row['cpu_s'] / 60:.2f}", row["pixels"],
                f"{analysis.pooled(table[:, :3].sum(0), points=points):.4f}", f"{low:.4f}", f"{high:.4f}",
                f"{table[:, 3].sum() / sum(sizes) * 1e6:.2f}", f"{threshold:.3f}",
            )])  # fmt: skip
            append(images, COUNTED, [
                (row["epoch"], weights, prepared.names[n], *counted, size)
                for n, counted, size in zip(held, table.tolist(), sizes, strict=True)
            ])  # fmt: skip

    torch.manual_seed(seed)
    checkpoint = folder / f"{seed}.pt"
    loop.fit(
        chosen, options, chosen.build(options), recipe, prepared, training=learn, validation=held, seed=seed,
        on=torch.device("cpu"), checkpoint=checkpoint, checkpoint_s=60, on_validation=judge,
    )  # fmt: skip
    made = {"hardware": devices.hardware(torch.device("cpu")), "commit": provenance.commit(Path())}
    store.write_json(made, folder / f"{seed}.json")
    images.replace(images.with_suffix(""))
    rows.replace(rows.with_suffix(""))
    checkpoint.unlink()


def append(path: Path, header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Adds rows to a CSV; what a killed process judged after its last checkpoint comes twice, and is the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows] if new else rows)


def summarise(given: dict[str, Any]) -> None:
    """Writes the tables of all cells that are done, here or in the record."""
    found, images = [], {}
    for key in chosen(given, ()):
        dataset, method, arm, seed = key
        done = PLACE.joinpath(dataset, method, arm, f"{seed}.csv")
        if done.exists():
            made = json.loads(done.with_suffix(".json").read_text())
            judged = pd.read_csv(done).drop_duplicates(["epoch", "weights"], keep="last")
            found.append(judged.assign(recipe=followed(given, arm), **made))
            images[key] = analysis.final(pd.read_csv(done.with_name(f"{seed}-images.csv"), dtype={"scene": str}))
    tables = {"race": recorded("race", pd.concat(found, ignore_index=True))}
    counted = [table.assign(**dict(zip(CELL, one, strict=True))) for one, table in images.items()]
    tables["race_images"] = recorded("race_images", pd.concat(counted, ignore_index=True)[list(SCHEMAS["race_images"])])
    changes = {arm: (one.get("of", FIRST), one["what"]) for arm, one in given["arms"].items() if arm != FIRST}
    points = [method for method in given["base"] if methods.get(method).supervision == "point"]
    paired = [analysis.effects(one, changes, points) for one in comparable(tables)]
    effects = recorded("race_effects", pd.concat(paired, ignore_index=True))
    tables["race_effects"] = current(effects, tables["race"])
    for kind, table in tables.items():
        store.write(table, RESULTS / "analysis" / f"{kind}.csv", kind)


def recorded(kind: str, table: pd.DataFrame) -> pd.DataFrame:
    """The table with the rows of the record that were not made again here."""
    path = RECORD / "results" / "analysis" / f"{kind}.csv"
    return over(store.read(path, kind), table, KEYS[kind]) if path.exists() else table


def current(effects: pd.DataFrame, race: pd.DataFrame) -> pd.DataFrame:
    """The effects but for those of which one side was trained again without the other."""
    last = race[race["epoch"] == race["epochs"]].set_index([*CELL, "weights"])["score"]
    now = effects.assign(before=effects["score"] - effects["difference"])
    kept = np.ones(len(now), bool)
    for arm, weights, column in (("arm", "weights", "score"), ("against", "against_weights", "before")):
        known = last.reindex(pd.MultiIndex.from_frame(now[["dataset", "method", arm, "seed", weights]])).to_numpy(float)
        kept &= np.isclose(known, now[column].to_numpy(float), rtol=0, atol=1e-4)  # of the four digits that `race` has
    return effects[kept]


def comparable(tables: dict[str, pd.DataFrame]) -> list[dict[tuple[str, str, str, int], pd.DataFrame]]:
    """Counts of the cells of each hardware: on another, as much CPU time is not as many steps."""
    counted = dict(iter(tables["race_images"].groupby(CELL, sort=False)))
    made = tables["race"].drop_duplicates(CELL).fillna({"hardware": ""}).groupby("hardware", sort=False)
    cells = [one[CELL].itertuples(index=False, name=None) for _, one in made]
    return [{key: counted[key] for key in keys if key in counted} for keys in cells]


def over(before: pd.DataFrame, now: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Rows of the record, which may be of another machine, but for those that were made again here."""
    made = set(now[keys].itertuples(index=False, name=None))
    known = [row in made for row in before[keys].itertuples(index=False, name=None)]
    return pd.concat([before[~np.array(known, bool)], now], ignore_index=True)


def chosen(given: dict[str, Any], names: tuple[str, ...]) -> list[tuple[str, str, str, int]]:
    """Dataset, method, arm and seed of the cells that `names` leave, in the order in which they run."""
    kinds = {"seeds": [str(seed) for seed in given["seeds"]], "arms": given["arms"], "methods": given["base"]}
    kinds["datasets"] = given["datasets"]
    if unknown := [name for name in names if not any(name in kind for kind in kinds.values())]:
        raise InputError(f"race: {unknown[0]!r} is no method, arm, dataset or seed of pipelines/race.yaml")
    left = {kind: [n for n in known if n in names] or list(known) for kind, known in kinds.items()}
    return [
        (dataset, method, arm, int(seed))
        for seed in left["seeds"]
        for arm in left["arms"]
        for method in left["methods"]
        if method in given["arms"][arm].get("methods", kinds["methods"])
        for dataset in left["datasets"]
    ]


def main(*names: str) -> None:
    """Runs the cells named that are not done or under way elsewhere."""
    torch.set_num_threads(1)
    given = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
    for dataset, method, arm, seed in chosen(given, names):
        done = PLACE.joinpath(dataset, method, arm, f"{seed}.csv")
        if done.exists():
            continue
        done.parent.mkdir(parents=True, exist_ok=True)
        with done.with_suffix(".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go of when the process ends
            except BlockingIOError:
                continue
            if not done.exists():
                print(time.strftime("%H:%M"), dataset, method, arm, seed, flush=True)
                cell(given, dataset, method, arm, seed)
                summarise(given)


if __name__ == "__main__":
    run(main)
