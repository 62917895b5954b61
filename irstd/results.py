"""Names, columns and units of every result table: what writers and readers share.

A folder of results holds, for dataset D, method M and seed S:

    D/scenes.csv D/targets.csv D/quirks.csv    what is in the dataset
    D/M/S/metrics.json                         scores, with their convention
    D/M/S/per_image.csv D/M/S/per_target.csv   what they are made of
    D/M/S/curve.csv D/M/S/history.csv          over thresholds, over epochs
    D/M/S/conventions.csv D/M/S/sweep.csv      under every convention, at every level; D/M/S/summary.json of these
    D/M/S/provenance.json                      what made them
    D/M/S/watched.csv                          what a method follows over its training
    methods/M.json cost/M.csv                  what a method is, and what it costs
    analysis/                                  what figures of losses and layers need computed
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from irstd.errors import InputError

SCHEMAS: dict[str, dict[str, str]] = {  # table: column: what it holds, and its unit
    "scenes": {
        "name": "scene",
        "height": "px",
        "width": "px",
        "targets": "number of true regions",
        "colour": "1 if its channels differ",
        "mask_size": "1 if the mask was one pixel larger or smaller",
        "mask_grey": "1 if the mask has values other than 0 and 255",
        "group": "first scene with nearly the same background",
        "role": "train, validation or test in the split used, or empty",
    },
    "targets": {
        "name": "scene",
        "target": "number in the scene, from 0",
        "row": "of the centroid, px",
        "col": "of the centroid, px",
        "area_px": "px",
        "top": "px",
        "left": "px",
        "height": "px",
        "width": "px",
        "border_px": "distance of its box to the image border, px",
        "contrast": "mean of the target minus mean around, grey levels of 255",
        "scr": "signal-to-clutter ratio, negative for dark targets",
    },
    "quirks": {"quirk": "kind", "count": "how many", "handling": "what is done about it"},
    "history": {
        "epoch": "from 1",
        "lr": "learning rate at its end",
        "loss": "mean over the epoch",
        "score": "of the scenes that choose the epoch, in [0, 1]; empty where not computed",
    },
    "watched": {"epoch": "from 1", "quantity": "what the method watches", "value": "mean over the epoch"},
    "per_image": {
        "name": "scene",
        "pixels": "px",
        "intersection": "px",
        "predicted": "px",
        "true": "px",
        "targets": "number",
        "detected": "number",
        "regions": "number predicted",
        "false_regions": "number",
        "false_pixels": "px",
        "hits_3px": "targets with a point of their own within 3 px",
        "hits_5px": "targets with a point of their own within 5 px",
        "hits_5px_greedy": "the same, each target in turn taking the first free point (P2P-HDNet)",
    },
    "per_target": {
        "name": "scene",
        "target": "number in the scene, from 0",
        "row": "px",
        "col": "px",
        "area_px": "px",
        "detected": "1 or 0",
        "distance_px": "between centroids, px; empty if missed",
        "error_px": "to the target's own point within 5 px; empty if it has none",
    },
    "curve": {
        "threshold": "of the score, reached or exceeded",
        "true_positive": "px",
        "false_positive": "px",
        "recall": "of pixels",
        "precision": "of pixels; empty where none is predicted",
        "false_positive_rate": "of background pixels",
        "iou": "pooled",
    },
    "conventions": {
        "convention": "name in irstd/metrics/conventions.py",
        "images": "number",
        "pixels": "px that false pixels are divided by",
        "intersection": "px, predicted and true",
        "predicted": "px",
        "true": "px",
        "targets": "number",
        "detected": "number",
        "regions": "number predicted",
        "false_regions": "number",
        "false_pixels": "px",
        "iou": "pooled; of both classes where the convention says so",
        "iou_low": "end of the 95 % interval over images",
        "iou_high": "end of the 95 % interval over images",
        "niou": "mean over images; an image without target and prediction counts 0",
        "niou_without_empty": "mean over the images with target or prediction",
        "pixel_precision": "in [0, 1]",
        "pixel_recall": "in [0, 1]",
        "pixel_f1": "in [0, 1]",
        "pd": "share of the targets found",
        "pd_low": "end of the 95 % interval over images",
        "pd_high": "end of the 95 % interval over images",
        "fa_per_million": "false pixels per million",
        "fa_per_million_low": "end of the 95 % interval over images",
        "fa_per_million_high": "end of the 95 % interval over images",
        "false_regions_per_image": "number",
        "precision": "share of the regions that found a target",
        "f1": "of precision and Pd",
        "f1_low": "end of the 95 % interval over images",
        "f1_high": "end of the 95 % interval over images",
        "distance_px": "mean between the centroids of pairs, px",
    },
    "sweep": {
        "threshold": "of the score, reached or exceeded",
        "true_positive": "px",
        "false_positive": "px",
        "recall": "of pixels",
        "precision": "of pixels; empty where none is predicted",
        "false_positive_rate": "of background pixels",
        "iou": "pooled",
        "detected": "targets",
        "regions": "number predicted",
        "false_pixels": "px in regions that found no target",
        "pd": "share of the targets found",
        "fa_per_million": "false pixels per million",
        "false_regions_per_image": "number",
        "f1": "of targets",
    },
    "cases": {
        "case": "letter",
        "convention": "name in irstd/metrics/conventions.py",
        "pd": "share of the targets found",
        "false_pixels": "px",
        "iou": "pooled",
    },
    "case_pixels": {
        "case": "letter",
        "title": "what it is about",
        "image": "number in the case, from 0",
        "row": "px",
        "col": "px",
        "true": "1 on targets",
        "score": "in [0, 1]",
    },
    "gradients": {
        "weight": "of the scale-loss family",
        "true_px": "true area, px",
        "predicted_px": "predicted area, px",
        "alpha": "the weight",
        "slope": "of the weight over the predicted area, 1/px, in closed form",
        "slope_autograd": "the same by automatic differentiation",
        "loss": "1 - alpha IoU, of a prediction inside or around the target",
        "loss_slope": "of the loss over the predicted area, 1/px",
        "wrong": "1 where the weight leads away from the true area",
    },
    "histories": {
        "dataset": "of the training",
        "method": "row",
        "seed": "of the training",
        "epoch": "from 1",
        "predicted_px": "mean predicted area, px",
        "true_px": "mean true area, px",
        "weight": "of the scale-loss family",
        "alpha": "the weight at these areas",
        "slope": "of the weight over the predicted area, 1/px",
    },
    "kernels": {
        "layer": "oriented layer",
        "candidate": "number of the angle",
        "row": "tap",
        "col": "tap",
        "value": "of a kernel of unit sum",
    },
    "learnt": {"layer": "oriented layer", "sigma_px": "px", "angle_deg": "degrees", "softness_px": "px"},
    "choices": {
        "layer": "oriented layer",
        "candidate": "number of the angle",
        "share": "of the test scenes' pixels that choose it",
        "share_on_targets": "of those on targets; empty if there is none",
    },
    "turning": {
        "layer": "kernels as they start, or an oriented layer",
        "angle_deg": "of the drawn target, degrees",
        "candidate": "number of the angle",
        "response": "at the target's middle",
        "chosen": "1 or 0",
    },
    "equivariance": {"kernel": "as it starts", "angle_deg": "of the turn", "error": "relative"},
    "orientation_map": {
        "row": "px",
        "col": "px",
        "grey": "of 255",
        "target": "1 on targets",
        "candidate": "chosen angle",
    },
    "cost": {
        "method": "row",
        "hardware": "processor and, on a CPU, threads",
        "precision": "of the arithmetic",
        "form": "what runs it: torch, onnxruntime, compiled (torch), graph (CUDA graph)",
        "size_px": "image side, px",
        "batch": "images at a time",
        "parameters": "number",
        "gmac": "multiply-adds of convolutions and matrix products for one image, 1e9",
        "gflop": "2 × gmac",
        "latency_ms": "median time of a batch, ms",
        "fps": "images a second at the median",
        "memory_mb": "peak while predicting, MB: allocated on a GPU, grown resident set on a CPU",
    },
}


def check(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    """`table` with its columns in the order of the schema `kind`.

    Raises:
        ValueError: a column is missing or unknown.
    """
    wanted = list(SCHEMAS[kind])
    if set(table.columns) != set(wanted):
        lacks, unknown = sorted(set(wanted) - set(table.columns)), sorted(set(table.columns) - set(wanted))
        raise ValueError(f"a {kind} table lacks {lacks} and has unknown {unknown}; irstd/results.py says what it holds")
    return table[wanted]


def write(table: pd.DataFrame, path: Path, kind: str) -> None:
    """Writes a table as CSV; its columns must be those of `kind`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    check(table, kind).to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


def read(path: Path, kind: str) -> pd.DataFrame:
    """A table that `write` wrote; its columns must be those of `kind`."""
    # Scene names may look like numbers; they are not.
    return check(pd.read_csv(path, dtype={"name": str, "group": str}), kind)


def write_json(values: Mapping[str, Any], path: Path) -> None:
    """Writes a record as JSON; a number that is not finite, at any depth, becomes null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_finite(values), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def cells(folder: Path | str, datasets: list[str] | None = None) -> pd.DataFrame:
    """A row for each dataset, method and seed with results in `folder`: scores beside what made them.

    Args:
        datasets: only these, if given.

    Raises:
        InputError: there is none.
    """
    rows = []
    for path in sorted(Path(folder).glob("*/*/*/metrics.json")):
        dataset, method, seed = path.parts[-4:-1]
        if datasets is None or dataset in datasets:
            made = json.loads((path.parent / "provenance.json").read_text())
            card = Path(folder, "methods", f"{method}.json")
            made["supervision"] = json.loads(card.read_text())["supervision"] if card.exists() else None
            rows.append(
                {**made, **json.loads(path.read_text()), "dataset": dataset, "method": method, "seed": int(seed)}
            )
    if not rows:
        raise InputError(f"there are no results for {', '.join(datasets or ['any dataset'])} yet; run `dvc repro`")
    return pd.DataFrame(rows)


def gather(folder: Path | str, kind: str, datasets: list[str] | None = None) -> pd.DataFrame:
    """All tables `kind` of all cells in `folder`, one below the other, with dataset, method and seed in front."""
    tables = []
    for path in sorted(Path(folder).glob(f"*/*/*/{kind}.csv")):
        dataset, method, seed = path.parts[-4:-1]
        if datasets is None or dataset in datasets:
            table = read(path, kind)
            keys = pd.DataFrame({"dataset": dataset, "method": method, "seed": int(seed)}, index=table.index)
            tables.append(pd.concat([keys, table], axis=1))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def published(dataset: str | None = None) -> pd.DataFrame:
    """What papers and READMEs state, a row a figure: method, dataset, split (empty if not stated), metric, value,
    how it was scored, source. Shares are in %, Fa per million.

    Args:
        dataset: only this one's, if given.
    """
    table = pd.read_csv(Path(__file__).with_name("published.csv"), dtype={"split": str}).fillna({"split": ""})
    return table if dataset is None else table[table["dataset"] == dataset].reset_index(drop=True)


def titles(folder: Path | str) -> dict[str, str]:
    """Row of the tables to what figures print for it."""
    return {path.stem: json.loads(path.read_text())["title"] for path in sorted(Path(folder, "methods").glob("*.json"))}
