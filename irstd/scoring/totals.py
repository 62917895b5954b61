"""A split's predictions under every convention of the field's code at once, and at every level of the score."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int64
from numpy import ndarray

from irstd.metrics import curves
from irstd.metrics.conventions import CONVENTIONS, Convention
from irstd.metrics.counts import Counts, Pair, count, iou, niou, pool
from irstd.metrics.ratios import RATIOS, over
from irstd.metrics.regions import regions
from irstd.metrics.statistics import bootstrap
from irstd.results.schemas import SCHEMAS

TARGET_COUNTS = ("targets", "detected", "regions", "false_regions")
COUNTED = ("intersection", "predicted", "true", *TARGET_COUNTS, "false_pixels")
SHARES = ("pixel_precision", "pixel_recall", "pixel_f1", "pixel_f_measure", "pd", "precision", "f1")
WITH_INTERVAL = ("iou", "pd", "fa_per_million", "f1")


@dataclass(frozen=True, slots=True)
class Swept:
    """Counts of one image or a pool of them at every level; they add. pixels: from `curves.histogram`. targets: from
    `curves.sweep`. size: px.
    """

    pixels: Int64[ndarray, "2 L"]
    targets: Int64[ndarray, "4 L"]
    size: int

    def __add__(self, other: Swept) -> Swept:
        return Swept(self.pixels + other.pixels, self.targets + other.targets, self.size + other.size)


@dataclass(frozen=True)
class Scored:
    """conventions: one row per convention, see `results.store`. sweep: one row per level; empty without maps. swept:
    its counts, or None. per_image: each convention's counts, image by image.
    """

    conventions: pd.DataFrame
    sweep: pd.DataFrame
    swept: Swept | None
    per_image: dict[str, list[Counts]]


def swept(pair: Pair, convention: Convention) -> Swept:
    """One image at every level of the score."""
    assert pair.levels is not None
    truth = regions(pair.mask, convention.connectivity)
    return Swept(curves.histogram(pair.levels, pair.mask), curves.sweep(pair.levels, truth, convention), pair.mask.size)


def score(
    pairs: Iterable[Pair],
    conventions: Sequence[Convention] = tuple(CONVENTIONS.values()),
    *,
    points_above: float | None = None,
    workers: int = 2,
) -> Scored:
    """Scores a split.

    nIoU uses `niou_decision` where a convention sets one.

    Args:
        pairs: all with maps, or all without; those without are scored by the conventions that need no map.
        conventions: the first is swept over the levels.
        points_above: what the score of a point must exceed, under every convention: scores of points have no natural
            one half. None for each convention's own threshold, which holds for maps whatever this is.
        workers: images at a time.

    Raises:
        ValueError: there is no image.
    """
    # A convention that decides nIoU otherwise is one more, for that number only.
    apart = [replace(c, decision=c.niou_decision, niou_decision=None) for c in conventions if c.niou_decision]

    def one(pair: Pair) -> _Image:
        wanted = [c for c in (*conventions, *apart) if pair.levels is not None or c.takes_points]
        if pair.levels is None and points_above is not None:
            wanted = [replace(c, decision=replace(c.decision, threshold=points_above)) for c in wanted]
        scored = [count(pair, c) for c in wanted]
        distances = [[far for _, _, far in each.matches] for each in scored]
        levels = None if pair.levels is None else swept(pair, conventions[0])
        return _Image([each.counts for each in scored], distances, bool(pair.mask.any()), levels)

    with ThreadPoolExecutor(workers) as threads:
        images = list(threads.map(one, pairs))
    if not images:
        raise ValueError("there is no image to score")
    total = images[0].swept
    used = [c for c in conventions if total is not None or c.takes_points]
    stopped = not all(image.has_target for image in images)
    rows, per_image = [], {}
    for number, convention in enumerate(used):
        counts = per_image[convention.name] = [image.counts[number] for image in images]
        distances = [far for image in images for far in image.distances[number]]
        row = _row(convention, counts, distances, has_map=total is not None)
        if convention.niou_decision is not None and total is not None:
            place = len(used) + [c.name for c in apart].index(convention.name)
            row["niou"] = niou(image.counts[place] for image in images)
        silent = convention.stops_at_empty and stopped
        rows.append({**dict.fromkeys(row), "convention": convention.name} if silent else row)
    table = pd.DataFrame(rows, columns=list(SCHEMAS["conventions"]))
    if total is None:
        return Scored(table, pd.DataFrame(columns=list(SCHEMAS["sweep"])), None, per_image)
    for image in images[1:]:
        assert image.swept is not None
        total += image.swept
    return Scored(table, _sweep(total, len(images)), total, per_image)


@dataclass(frozen=True, slots=True)
class _Image:
    """Of one image: counts and distances of pairs under each convention, and its sweep."""

    counts: list[Counts]
    distances: list[list[float]]
    has_target: bool
    swept: Swept | None


def _row(convention: Convention, counts: list[Counts], distances: list[float], *, has_map: bool) -> dict[str, Any]:
    """What a convention says of a split; None, never zero, where it says nothing."""
    total = pool(counts, convention)
    one_to_one = [d for d in distances if not np.isnan(d)]
    row: dict[str, Any] = {
        "convention": convention.name,
        **{k: getattr(total, k) for k in ("images", "pixels", *COUNTED)},
        "iou": iou(total, convention),
        "niou": niou(counts),
        "niou_without_empty": niou(counts, empty=np.nan),
        **{k: getattr(total, k) for k in SHARES},
        "fa_per_million": 1e6 * total.fa,
        "false_regions_per_image": total.false_regions / total.images,
        "distance_px": float(np.mean(one_to_one)) if one_to_one else None,
    }
    table = np.array([[getattr(c, k) for k in ("pixels", *COUNTED)] for c in counts], float)
    if convention.per == "last":
        table[:, 0] = counts[-1].pixels
    places = {name: place for place, name in enumerate(("pixels", *COUNTED))}
    for name in WITH_INTERVAL:
        columns, ratio = RATIOS[name]
        ends = bootstrap(table[:, [places[c] for c in columns]], ratio)
        row[f"{name}_low"], row[f"{name}_high"] = ends
    silent: list[str] = []
    if not has_map:
        silent += [k for k in row if k.startswith(("iou", "niou", "pixel", "fa_", "intersection", "predicted", "true"))]
    if convention.match == "none":
        silent += [*TARGET_COUNTS, *(k for k in row if k.startswith(("pd", "f1", "precision", "false_regions")))]
    if convention.false is None:
        silent += [k for k in row if k.startswith("fa_") or k == "false_pixels"]
    if convention.two_classes:  # the interval would be of the targets' own
        silent += ["iou_low", "iou_high", "niou", "niou_without_empty"]
    if convention.niou_decision is not None:
        silent += ["niou_without_empty"]
    return row | dict.fromkeys(silent)


def _sweep(total: Swept, images: int) -> pd.DataFrame:
    """One row per level, from pooled counts."""
    targets, detected, found, false_pixels = total.targets
    both = found + targets
    return pd.DataFrame(
        {
            **curves.curve(total.pixels),
            "detected": detected,
            "regions": found,
            "false_pixels": false_pixels,
            "pd": over(detected, targets),
            "fa_per_million": 1e6 * false_pixels / total.size,
            "false_regions_per_image": (found - detected) / images,
            "f1": over(2 * detected, both),
        }
    )[list(SCHEMAS["sweep"])]


def summary(test: Swept, held_out: Swept | None) -> dict[str, Any]:
    """Areas under the curves, Pd at stated Fa, and scores at the threshold that held-out scenes choose.

    A Pd is None where no level gets down to its Fa: `lowest_fa_per_million` says how far they get. Masks of two values
    have no Pd at stated Fa, and no area of it.

    Args:
        held_out: scenes that were not trained on; their level of highest IoU is carried to the test split. None if
            there are none.
    """
    curved = not curves.two_valued(test.pixels)
    under = curves.areas(test.pixels, test.targets, test.size)
    allowed = np.array(curves.FA_BUDGETS, float)
    best = curves.best_pd(test.targets, test.size, allowed)
    values: dict[str, Any] = {
        "roc_auc": under.roc,
        "pr_auc": under.pr,
        "pd_fa_area": under.pd_fa if curved else None,
        "pd_at_fa": {
            str(int(most)): None if np.isnan(pd) else round(float(pd), 6)
            for most, pd in zip(allowed, best, strict=True)
            if curved
        },
        "lowest_fa_per_million": curves.lowest_fa(test.targets, test.size),
        "at_chosen_threshold": None,
    }
    if held_out is not None and held_out.pixels[1].any():
        row = _sweep(test, 1).iloc[curves.best_level(held_out.pixels)]
        kept = ("threshold", "iou", "pd", "fa_per_million", "f1")
        values["at_chosen_threshold"] = {name: round(float(row[name]), 6) for name in kept}
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in values.items()}
