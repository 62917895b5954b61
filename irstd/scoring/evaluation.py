"""Stored predictions of a test split to metrics, tables and pictures, in one pass over the images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy import ndarray

from irstd.data.prepared import Prepared, spread
from irstd.errors import InputError
from irstd.metrics import detection, matching, points, statistics
from irstd.metrics.conventions import Convention, ours
from irstd.metrics.counts import Counts, Pair, Scored, count, niou
from irstd.metrics.hierarchical import Hierarchy, of_pair
from irstd.metrics.ratios import RATIOS
from irstd.results.schemas import SCHEMAS

CROP_PX = 33  # side of a picture of one target, native pixels
SCENES = 4  # whole scenes among the pictures
# P2P-HDNet's rule: 5 px, inclusive, targets in order, the first free point.
GREEDY = ours(match_px=float(np.nextafter(5.0, 6.0)))


@dataclass(frozen=True)
class Evaluated:
    """metrics: of the whole split. Tables: as `irstd.results.store` says. gallery: arrays for the report's pictures."""

    metrics: dict[str, Any]
    per_image: pd.DataFrame
    per_target: pd.DataFrame
    gallery: dict[str, ndarray]


def evaluate(
    prepared: Prepared,
    numbers: Sequence[int],
    scores: Mapping[str, ndarray],
    given: Mapping[str, ndarray],
    convention: Convention,
    pictures: int,
    boxes: Mapping[str, ndarray] | None = None,
) -> Evaluated:
    """Scores what was predicted for the scenes `numbers`.

    Args:
        scores: scene to 16-bit scores (`irstd.metrics.levels.encode`), or empty for a method that gives points.
        given: scene to (N, 3) points, or empty.
        pictures: how many of each kind (hit, miss, false alarm) to keep.
        boxes: scene to (N, 5) boxes with scores, of a detector; adds `box_ap50` and `point_ap_3px` to the metrics.

    Raises:
        InputError: a scene has neither, or scores of another size than its image.
    """
    per_image: list[dict[str, Any]] = []
    per_target: list[dict[str, Any]] = []
    kept: list[tuple[str, float, int, float, float]] = []  # kind, rank, scene, row, col
    counts: list[Counts] = []
    levelled = Hierarchy()
    detections = detection.Detections()
    for number in numbers:
        name, mask = prepared.names[number], prepared.mask(number)
        levels = scores.get(name)
        if levels is None and name not in given:
            raise InputError(f"{prepared.folder.name}: nothing was predicted for {name!r}; run the predict stage again")
        if levels is not None and levels.shape != mask.shape:
            raise InputError(f"{prepared.folder.name}: scores of {name!r} are {levels.shape}, its image {mask.shape}")
        pair = Pair(mask, levels, given.get(name))
        scored = count(pair, convention)
        if levels is not None:
            levelled += of_pair(pair, convention.decision)
        within = {px: points.pairs(scored.truth.centroids, scored.points, float(px)) for px in points.WITHIN_PX}
        counts.append(scored.counts)
        if boxes is not None:
            sides = scored.truth.boxes.astype(float)
            corners = np.concatenate([sides[:, :2], sides[:, :2] + sides[:, 2:]], 1) - 0.5
            detections.add(boxes[name], corners, scored.truth.centroids)
        row = {"name": name, **{k: v for k, v in asdict(scored.counts).items() if k != "images"}}
        if levels is None:
            row |= dict.fromkeys(("intersection", "predicted"))
        if name in given:
            row["false_pixels"] = None
        row |= {f"hits_{px}px": len(found) for px, found in within.items()}
        row["hits_5px_greedy"] = len(matching.by_centroid(scored.truth.centroids, scored.points, GREEDY).pairs)
        per_image.append(row)
        per_target += _targets(name, pair, scored, within[points.WITHIN_PX[-1]])
        kept += _pictures(number, scored)
    has_map = bool(scores)
    columns = list(SCHEMAS["per_target"])
    table = pd.DataFrame(per_image, columns=list(SCHEMAS["per_image"]))
    metrics = _metrics(counts, per_target, convention, has_map=has_map, own_points=bool(given))
    if has_map:
        metrics |= {"target_iou": _mean([row["iou"] for row in per_target]), "hierarchical": rounded(levelled)}
    of_boxes = {} if boxes is None else {k: round(v, 6) for k, v in detections.scores().items()}
    return Evaluated(
        metrics={**metrics, **_of_points(table, per_target), **of_boxes, "interval": _intervals(table)},
        per_image=table,
        per_target=pd.DataFrame(per_target, columns=columns),
        gallery=_gallery(prepared, numbers, scores, given, kept, pictures, convention.threshold),
    )


def rounded(total: Hierarchy, *, counts_empty: bool = False) -> dict[str, float | None]:
    """hIoU, its levels, and what each level loses where; None where nothing defines it. Argument as of its `scores`."""
    found = total.scores(counts_empty=counts_empty)
    return {k: None if np.isnan(v) else round(float(v), 6) for k, v in found.items()}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 6) if known else None


def _metrics(
    counts: list[Counts], per_target: list[dict[str, Any]], convention: Convention, *, has_map: bool, own_points: bool
) -> dict[str, Any]:
    """Scores of the split; what a method without a map cannot have is None, never zero."""
    total = sum(counts, Counts())
    distances = [row["distance_px"] for row in per_target if row["detected"]]
    pixel = {
        "iou": total.iou,
        "niou": niou(counts),
        "pixel_precision": total.pixel_precision,
        "pixel_recall": total.pixel_recall,
        "pixel_f1": total.pixel_f1,
        "pixel_f_measure": total.pixel_f_measure,
    }
    return {
        "convention": str(convention),
        "threshold": convention.threshold,
        **{k: round(v, 6) if has_map else None for k, v in pixel.items()},
        "fa_per_million": None if own_points else round(total.fa * 1e6, 6),
        "pd": round(total.pd, 6),
        "precision": round(total.precision, 6),
        "f1": round(total.f1, 6),
        "false_regions_per_image": round(total.false_regions / max(total.images, 1), 6),
        "distance_px": round(float(np.mean(distances)), 4) if distances else None,
        "images": total.images,
        "targets": total.targets,
    }


def _of_points(table: pd.DataFrame, per_target: list[dict[str, Any]]) -> dict[str, Any]:
    """Precision, recall and F1 of points at each distance, and the mean error of those matched."""
    total = table[["targets", "regions", *(c for c in table if str(c).startswith("hits_"))]].sum()
    scores: dict[str, Any] = {}
    for rule in (*(f"{px}px" for px in points.WITHIN_PX), "5px_greedy"):
        right = total[f"hits_{rule}"]
        shares = {"precision": total["regions"], "recall": total["targets"]}
        if rule != "5px_greedy":
            for name, of in shares.items():
                scores[f"point_{name}_{rule}"] = round(right / of, 6) if of else None
        both = sum(shares.values())
        scores[f"point_f1_{rule}"] = round(2 * right / both, 6) if both else None
    errors = [row["error_px"] for row in per_target if row["error_px"] is not None]
    return {**scores, "point_error_px": round(float(np.mean(errors)), 4) if errors else None}


def _intervals(table: pd.DataFrame) -> dict[str, list[float] | None]:
    """95 % intervals over images of the scores that are ratios of sums; None where a score is."""
    intervals: dict[str, list[float] | None] = {}
    for name, (columns, ratio) in RATIOS.items():
        if table[columns].isna().any(axis=None):
            intervals[name] = None
            continue
        ends = statistics.bootstrap(table[columns].to_numpy(float), ratio)
        intervals[name] = None if np.isnan(ends).any() else [round(end, 6) for end in ends]
    return intervals


def _targets(name: str, pair: Pair, scored: Scored, own: list[tuple[int, int, float]]) -> list[dict[str, Any]]:
    distance = {target: far for target, _, far in scored.matches}
    overlap = overlaps(pair, scored)
    error = {target: far for target, _, far in own}
    return [
        {
            "name": name,
            "target": number,
            "row": round(float(centre[0]), 4),
            "col": round(float(centre[1]), 4),
            "area_px": int(area),
            "detected": int(number in distance),
            "distance_px": round(distance[number], 4) if number in distance else None,
            "iou": None if overlap is None else overlap.get(number, 0.0),
            "error_px": round(error[number], 4) if number in error else None,
        }
        for number, (centre, area) in enumerate(zip(scored.truth.centroids, scored.truth.areas, strict=True))
    ]


def overlaps(pair: Pair, scored: Scored) -> dict[int, float] | None:
    """IoU of each target that was found with the region that found it; None without a map."""
    if scored.found is None:
        return None
    truth, found = scored.truth, scored.found
    both = pair.overlap(truth, found).matrix(len(truth), len(found))
    union = truth.areas[:, None] + found.areas - both
    return {
        target: round(float(both[target, region] / union[target, region]), 4) for target, region, _ in scored.matches
    }


def _pictures(number: int, scored: Scored) -> list[tuple[str, float, int, float, float]]:
    """Each hit, miss and false alarm with what it is ranked by: the worst of each kind come first."""
    distance = {target: far for target, _, far in scored.matches}
    taken = {region for _, region, _ in scored.matches}
    areas = None if scored.found is None else scored.found.areas
    rows = []
    for target, (row, col) in enumerate(scored.truth.centroids.tolist()):
        hit = target in distance
        rank = distance[target] if hit else float(scored.truth.areas[target])
        rows.append(("hit" if hit else "miss", rank, number, row, col))
    for region, (row, col) in enumerate(scored.points.tolist()):
        if region not in taken:
            # Points have no size; the surest come first.
            rank = float(areas[region]) if areas is not None else float(scored.scores[region])  # type: ignore[index]
            rows.append(("false alarm", rank, number, row, col))
    return rows


def _gallery(
    prepared: Prepared,
    numbers: Sequence[int],
    scores: Mapping[str, ndarray],
    given: Mapping[str, ndarray],
    kept: list[tuple[str, float, int, float, float]],
    pictures: int,
    threshold: float,
) -> dict[str, ndarray]:
    """Crops around the worst hits, misses and false alarms, and whole scenes spread over the split."""
    arrays: dict[str, ndarray] = {}
    captions: list[dict[str, Any]] = []
    half = CROP_PX // 2
    for kind in ("hit", "miss", "false alarm"):
        worst = sorted((k for k in kept if k[0] == kind), key=lambda k: (-k[1], k[2], k[3]))[:pictures]
        for _, rank, number, row, col in worst:
            limits = prepared.sizes[number]
            place = [min(max(round(float(x)), 0), side - 1) for x, side in zip((row, col), limits, strict=True)]
            window = [slice(p, p + CROP_PX) for p in place]
            image, mask = (
                np.pad(a, half, mode="edge")[*window] for a in (prepared.image(number), prepared.mask(number))
            )
            arrays[f"crop_{len(captions)}"] = np.stack([image, mask.astype(np.uint8)])
            captions.append(
                {
                    "kind": kind,
                    "name": prepared.names[number],
                    "row": place[0],
                    "col": place[1],
                    "rank": float(rank),
                    "ranked_by": "score" if kind == "false alarm" and given else "px",
                }
            )
    chosen = spread(numbers, SCENES)
    for index, number in enumerate(chosen):
        name = prepared.names[number]
        layers = [prepared.image(number), prepared.mask(number).astype(np.uint8)]
        if name in scores:
            layers.append((scores[name] >> 8).astype(np.uint8))
        arrays[f"scene_{index}"] = np.stack(layers)
        if name in given:
            found = given[name]
            arrays[f"points_{index}"] = found[found[:, 2] > threshold, :2]
    arrays["captions"] = np.array(json.dumps(captions))
    arrays["scene_names"] = np.array([prepared.names[n] for n in chosen])
    return arrays
