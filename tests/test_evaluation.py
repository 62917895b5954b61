"""Stored predictions to metrics and tables: maps, points, and what one of them cannot have."""

import json

import numpy as np
import pytest

from irstd.errors import InputError
from irstd.metrics.conventions import ours
from irstd.metrics.levels import encode
from irstd.metrics.regions import regions
from irstd.scoring.evaluation import evaluate

NUMBERS = [8, 9, 10]


def names(prepared):
    return [prepared.names[n] for n in NUMBERS]


def test_a_perfect_map_is_perfect_in_every_number(prepared):
    scores = {prepared.names[n]: encode(prepared.mask(n).astype(np.float32)) for n in NUMBERS}

    found = evaluate(prepared, NUMBERS, scores, {}, ours(), 4)

    assert (1, 1, 1, 0, 1) == tuple(found.metrics[k] for k in ("iou", "niou", "pd", "fa_per_million", "f1"))
    assert (1, 1, 1) == (
        found.metrics["target_iou"],
        found.metrics["hierarchical"]["hiou"],
        found.metrics["pixel_f_measure"],
    )
    assert names(prepared) == list(found.per_image["name"])
    assert found.per_target["detected"].all() and (found.per_target["distance_px"] == 0).all()
    assert {"hit"} == {c["kind"] for c in json.loads(str(found.gallery["captions"]))}
    assert (3, *prepared.sizes[8]) == found.gallery["scene_0"].shape
    assert (2, 33, 33) == found.gallery["crop_0"].shape


def test_the_tables_hold_what_the_metrics_are_made_of(prepared, rng):
    scores = {prepared.names[n]: encode(rng.random(prepared.sizes[n]).astype(np.float32)) for n in NUMBERS}

    found = evaluate(prepared, NUMBERS, scores, {}, ours(), 4)
    sums = found.per_image.sum(numeric_only=True)

    assert sums["intersection"] / (sums["predicted"] + sums["true"] - sums["intersection"]) == pytest.approx(
        found.metrics["iou"], abs=1e-6
    )
    assert sums["false_pixels"] / sums["pixels"] * 1e6 == pytest.approx(found.metrics["fa_per_million"], rel=1e-6)
    assert found.per_target["detected"].mean() == pytest.approx(found.metrics["pd"], abs=1e-6)
    assert found.per_target["iou"].mean() == pytest.approx(found.metrics["target_iou"], abs=1e-6)


def test_each_target_has_the_overlap_with_its_own_region(prepared):
    """More than half of the first target is predicted, and nothing else."""
    mask = prepared.mask(NUMBERS[0])
    truth = regions(mask)
    levels = np.zeros(mask.shape, np.float32)
    half = np.flatnonzero(truth.labels == 1)[: int(truth.areas[0]) // 2 + 1]
    levels.flat[half] = 1

    found = evaluate(prepared, NUMBERS[:1], {prepared.names[NUMBERS[0]]: encode(levels)}, {}, ours(match_px=20.0), 4)

    assert found.per_target["iou"][0] == pytest.approx(len(half) / truth.areas[0], abs=1e-4)
    assert (found.per_target["iou"][1:] == 0).all()
    assert found.metrics["hierarchical"]["segmentation_iou"] in (
        None,
        pytest.approx(len(half) / truth.areas[0], abs=1e-4),
    )


def test_points_alone_leave_pixel_scores_empty_not_zero(prepared):
    points = {prepared.names[n]: np.c_[prepared.points[n], np.full(len(prepared.points[n]), 0.9)] for n in NUMBERS}

    found = evaluate(prepared, NUMBERS, {}, points, ours(), 4)

    assert (1, 1) == (found.metrics["pd"], found.metrics["f1"])
    assert all(found.metrics[k] is None for k in ("iou", "niou", "pixel_f1", "pixel_f_measure", "fa_per_million"))
    assert "hierarchical" not in found.metrics and found.per_target["iou"].isna().all()
    assert found.per_image[["intersection", "predicted", "false_pixels"]].isna().all().all()


def test_a_scene_without_a_prediction_is_named(prepared):
    with pytest.raises(InputError) as error:
        evaluate(prepared, NUMBERS, {}, {}, ours(), 4)

    assert f"prepared: nothing was predicted for {names(prepared)[0]!r}; run the predict stage again" == str(
        error.value
    )
