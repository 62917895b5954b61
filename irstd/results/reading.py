"""A folder of results as notebooks read it.

It holds, for dataset D, method M and seed S:

    D/scenes.csv D/targets.csv D/quirks.csv    what is in the dataset
    D/crops.csv D/crops.png                    worst hits, misses and false alarms, where images may be passed on
    D/M/S/metrics.json                         scores, with their convention
    D/M/S/per_image.csv D/M/S/per_target.csv   what they are made of
    D/M/S/history.csv                          over epochs
    D/M/S/conventions.csv D/M/S/sweep.csv      under every convention, at every level; D/M/S/summary.json of these
    D/M/S/squared.csv                          under every convention at 256×256 px
    D/M/S/provenance.json                      what made them
    D/M/S/watched.csv                          what a method follows over its training
    methods/M.json cost/M.csv                  what a method is, and what it costs
    analysis/                                  what figures of losses and layers need computed
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy import ndarray
from PIL import Image

from irstd.errors import InputError
from irstd.results import records
from irstd.results.overlaid import RECORD, origin_of
from irstd.results.schemas import SCHEMAS
from irstd.results.store import read


def cells(folder: Path | str, datasets: Sequence[str] | None = None, *, checked: bool = True) -> pd.DataFrame:
    """A row for each dataset, method and seed with results in `folder`: scores beside what made them.

    Args:
        datasets: only these, if given.
        checked: whether records must be as they are written now; those of an older revision need not.

    Raises:
        InputError: there is none, or one is damaged.
    """
    _refuse_word(datasets)
    rows, origins = [], origin_of(Path(folder))
    kinds = (records.Provenance, records.Metrics) if checked else (records.Record, records.Record)
    for path in sorted(Path(folder).glob("*/*/*/metrics.json")):
        dataset, method, seed = path.parts[-4:-1]
        if datasets is None or dataset in datasets:
            made = records.load(path.parent / "provenance.json", kinds[0])
            card = Path(folder, "methods", f"{method}.json")
            made["arithmetic"] = made.pop("precision", None)  # metrics have a precision too: that of regions
            made["supervision"] = json.loads(card.read_text())["supervision"] if card.exists() else None
            rows.append(
                {
                    **made,
                    **records.load(path, kinds[1]),
                    "dataset": dataset,
                    "method": method,
                    "seed": int(seed),
                    "origin": origins.get((dataset, method, int(seed)), RECORD),
                    "pixels": _pixels(path.with_name("history.csv")),
                }
            )
    if not rows:
        raise InputError(f"there are no results for {', '.join(datasets or ['any dataset'])} yet; run `dvc repro`")
    return pd.DataFrame(rows)


def _pixels(history: Path) -> float | None:
    """Pixels of training images that a run has seen; None where its history does not say."""
    if not history.exists():
        return None
    table = pd.read_csv(history)
    return float(table["pixels"].iloc[-1]) if "pixels" in table and len(table) else None


def _refuse_word(datasets: object) -> None:
    """Raises InputError for a name in place of a list, of which a loop would take the letters."""
    if isinstance(datasets, str):
        raise InputError(
            f"`datasets` is a list, and {datasets!r} is one name; give [{datasets}], to papermill by "
            f"-y 'datasets: [{datasets}]'"
        )


def described(folder: Path | str, datasets: Sequence[str]) -> list[str]:
    """Those of the datasets of which `folder` has tables of scenes and targets.

    Raises:
        InputError: there is none.
    """
    _refuse_word(datasets)
    known = [name for name in datasets if (Path(folder) / name / "targets.csv").is_file()]
    if not known:
        there = sorted(path.parent.name for path in Path(folder).glob("*/targets.csv"))
        raise InputError(
            f"{' and '.join(map(repr, datasets)) or 'no dataset'} is not described in {folder}, which has "
            f"{', '.join(there) or 'none'}; correct `datasets`, or run `dvc repro summarise-dataset@DATASET`"
        )
    return known


def gather(folder: Path | str, kind: str, datasets: Sequence[str] | None = None) -> pd.DataFrame:
    """All tables `kind` of all cells in `folder`, one below the other, with dataset, method and seed in front."""
    _refuse_word(datasets)
    tables = []
    for path in sorted(Path(folder).glob(f"*/*/*/{kind}.csv")):
        dataset, method, seed = path.parts[-4:-1]
        if datasets is None or dataset in datasets:
            table = read(path, kind)
            keys = pd.DataFrame({"dataset": dataset, "method": method, "seed": int(seed)}, index=table.index)
            tables.append(pd.concat([keys, table], axis=1))
    empty = pd.DataFrame(columns=["dataset", "method", "seed", *SCHEMAS[kind]])
    return pd.concat(tables, ignore_index=True) if tables else empty


def crops(folder: Path | str, dataset: str) -> tuple[pd.DataFrame, list[ndarray]]:
    """Crops of a dataset's scenes and their captions, a row and a (2, S, S) array (grey levels, mask) each.

    Empty where images may not be passed on.
    """
    place = Path(folder, dataset)
    if not (place / "crops.csv").exists():
        return pd.DataFrame(columns=list(SCHEMAS["crops"])), []
    table = read(place / "crops.csv", "crops")
    strip = np.asarray(Image.open(place / "crops.png"))
    side = strip.shape[0] // 2
    return table, [strip[:, n * side : (n + 1) * side].reshape(2, side, side) for n in range(len(table))]


def titles(folder: Path | str) -> dict[str, str]:
    """Row of the tables to what figures print for it: a variant's is its method's, and in brackets what is varied."""
    cards = {path.stem: json.loads(path.read_text()) for path in sorted(Path(folder, "methods").glob("*.json"))}
    return {row: card["title"].replace(f"({card['method']}-", "(") for row, card in cards.items()}


def transfer(folder: Path | str) -> pd.DataFrame:
    """Scores of published weights on datasets: dataset (trained on), method, seed, on, and one row per convention."""
    return _below(Path(folder, "transfer"), "*/*/*/*.csv", "conventions", ("dataset", "method", "seed", "on"))


def on_training(folder: Path | str) -> pd.DataFrame:
    """Scores of published weights on scenes they learnt from: dataset, method, seed, and one row per convention."""
    return _below(Path(folder, "on_training"), "*/*/*.csv", "conventions", ("dataset", "method", "seed"))


def robustness(folder: Path | str) -> pd.DataFrame:
    """Scores of published weights on changed images: dataset, method, seed, and one row per change and level."""
    return _below(Path(folder, "robustness"), "*/*/*.csv", "robustness", ("dataset", "method", "seed"))


def _below(folder: Path, pattern: str, kind: str, keys: tuple[str, ...]) -> pd.DataFrame:
    """Tables of one kind below a folder, one below the other; the last parts of their paths are columns in front."""
    found = []
    for path in sorted(folder.glob(pattern)):
        table = read(path, kind)
        parts = dict(zip(keys, (*path.parts[-len(keys) : -1], path.stem), strict=True))
        found.append(pd.concat([pd.DataFrame(parts, index=table.index), table], axis=1))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=[*keys, *SCHEMAS[kind]])
