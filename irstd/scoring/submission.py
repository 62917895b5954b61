"""Anyone's predictions scored under every convention, beside our methods and published figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from irstd import tables
from irstd.errors import InputError
from irstd.formats import masks, predictions
from irstd.metrics import detection, points
from irstd.metrics.conventions import CONVENTIONS
from irstd.metrics.counts import Pair, count
from irstd.metrics.hierarchical import Hierarchy, of_pair
from irstd.metrics.levels import encode
from irstd.metrics.regions import regions
from irstd.results import literature, reading, store
from irstd.scoring import totals
from irstd.scoring.evaluation import overlaps, rounded
from irstd.scoring.squares import squared
from irstd.scoring.truth import WHITE, Truth, of_arrays, of_dataset, of_folder, resized
from irstd.tables import scoring as score_tables
from irstd.tables.parts import by_part

__all__ = ["Report", "Truth", "of_arrays", "of_dataset", "of_folder", "pairs", "score", "write"]

CONVENTIONS_PAGE, PARTS_PAGE = "Under every convention", "Each part, under our convention"
OTHERS_PAGE = "Beside others, under our convention; published figures under their own"
PUBLISHED = "published"  # how a row of it that we did not make begins
WIDEST = 34  # words of a cell in a terminal, before they are broken


def pairs(truth: Truth, given: predictions.Given, scenes: Iterable[str], side: int | None = None) -> Iterator[Pair]:
    """Truth and prediction of each scene.

    Args:
        side: score at a square of so many px, as codes that resize do: scores bilinearly, masks by nearest neighbour.
    """
    for name in scenes:
        grey, scores, found = truth.mask(name), given.maps.get(name), given.points.get(name)
        if scores is not None and truth.loose:
            grey = masks.cut(grey, scores.shape)
        levels = None if scores is None else encode(scores)
        odd = bool(((grey > 0) & (grey < WHITE)).any())
        pair = Pair(
            grey > WHITE // 2, levels, found, white=grey == WHITE if odd else None, visible=grey > 0 if odd else None
        )
        yield pair if side is None else squared(pair, side)


def points_f1(every: Iterable[Pair], threshold: float) -> dict[str, float | None]:
    """F1 of points, or of centroids of regions, matched one to one within 3 and 5 px."""
    totals = dict.fromkeys(points.WITHIN_PX, 0)
    both = 0
    for pair in every:
        truth = regions(pair.mask).centroids
        if pair.points is not None:
            found = pair.points[pair.points[:, 2] > threshold, :2]
        else:
            assert pair.levels is not None
            found = regions(pair.predicted(CONVENTIONS["irstd"].decision)).centroids
        both += len(truth) + len(found)
        for px in totals:
            totals[px] += len(points.pairs(truth, found, float(px)))
    return {f"point_f1_{px}px": 2 * hits / both if both else None for px, hits in totals.items()}


def of_targets(every: Iterable[Pair]) -> tuple[Hierarchy, float | None]:
    """Sums of hIoU, and the mean over targets of their IoU with the region that found them, at our decision.

    A target that is missed counts 0; the mean is None where there is no target.
    """
    ours, total, each = CONVENTIONS["irstd"], Hierarchy(), []
    for pair in every:
        total += of_pair(pair, ours.decision)
        scored = count(pair, ours)
        found = overlaps(pair, scored) or {}
        each += [found.get(number, 0.0) for number in range(len(scored.truth))]
    return total, float(np.mean(each)) if each else None


def _parts(truth: Truth, scenes: list[str], found: totals.Scored) -> dict[str, pd.DataFrame]:
    """A table of the parts of a union of datasets; none for others."""
    if not truth.parts:
        return {}
    counts = found.per_image["irstd"]
    rows = pd.DataFrame([{"name": scene, **asdict(one)} for scene, one in zip(scenes, counts, strict=True)])
    if found.swept is None:  # points have no pixels
        rows[["intersection", "false_pixels"]] = None
    return {PARTS_PAGE: by_part(rows, truth.parts)}


def _of_boxes(given: predictions.Given, scenes: list[str], every: list[Pair]) -> str:
    """Average precision of boxes and of their centres, in words."""
    found = detection.Detections()
    for scene, pair in zip(scenes, every, strict=True):
        truth = regions(pair.mask)
        sides = truth.boxes.astype(float)
        corners = np.concatenate([sides[:, :2], sides[:, :2] + sides[:, 2:]], 1) - 0.5
        found.add(given.boxes[scene], corners, truth.centroids)
    boxes, centres = (tables.percent(value) for value in found.scores().values())
    return f"AP50 of boxes: {boxes} %; average precision of centres at 3 px: {centres} %."


def as_json(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Convention to its numbers; what it does not say is null."""
    rows = table.set_index("convention").astype(object).where(table.set_index("convention").notna(), None)
    return {
        str(name): {k: v.item() if isinstance(v, np.generic) else v for k, v in row.items()}
        for name, row in rows.iterrows()
    }


def beside(
    name: str, table: pd.DataFrame, extra: dict[str, Any], dataset: str, folder: Path, threshold: float = 0.5
) -> pd.DataFrame:
    """A row for these predictions beside those of our methods on the same dataset, and published figures below."""
    mine = table.set_index("convention").loc["irstd"]
    kept = ("iou", "niou", "pd", "fa_per_million", "f1")
    row = {
        "method": name,
        "made by": "these predictions",
        "threshold": threshold,
        **{k: mine[k] for k in kept},
        **extra,
    }
    rows = [row]
    try:
        ours = reading.cells(folder, [dataset])
    except InputError:
        ours = pd.DataFrame()
    titles = reading.titles(folder)
    for _, cell in ours.iterrows():
        rows.append(
            {
                "method": tables.label(cell["method"], titles),
                "made by": f"this workbench, {cell['origin']}, seed {cell['seed']}, {tables.budget(cell)}",
                **{k: cell[k] for k in ("threshold", *kept, *extra)},
            }
        )
    stated = literature.published(dataset)
    stated = stated.assign(metric=stated["metric"].replace("target_f1", "f1"))
    for key, values in stated.groupby(tables.STATEMENT, sort=False):
        method, split, scored, source, note = (str(each) for each in key)
        figures = values.groupby("metric")["value"].first()
        shares = {k: figures.get(k, np.nan) / (1 if k == "fa_per_million" else 100) for k in (*kept, *extra)}
        if not np.isfinite([*shares.values()]).any():
            continue  # of another score: the table of published figures has it
        dated = values["date"].iloc[0]
        parts = [f"{PUBLISHED}: {source}", dated and f"dated {dated}", f"split {split or 'not stated'}", scored, note]
        said = "; ".join(filter(None, parts))
        rows.append({"method": method, "made by": said, **shares})
    return pd.DataFrame(rows)


def formatted(rows: pd.DataFrame) -> pd.DataFrame:
    """`beside` as a reader wants it."""
    shown = rows[["method", "made by"]].copy()
    shown["score above"] = [tables.number(v, ".3g") for v in rows["threshold"]]
    for name in (c for c in rows if c in tables.SCORES):
        form = (lambda v: tables.number(v, ".2f")) if name == "fa_per_million" else tables.percent
        shown[tables.SCORES[name]] = [form(v) for v in rows[name]]
    return shown


@dataclass(frozen=True)
class Report:
    """What was found. pages: title to table, in the order to be read. words: what to know before reading them."""

    name: str
    words: list[str]
    scored: totals.Scored
    summary: dict[str, Any]
    pages: dict[str, pd.DataFrame]

    @property
    def conventions(self) -> pd.DataFrame:
        """A row for each convention: counts, and scores with 95 % intervals; shares are in [0, 1]."""
        return self.scored.conventions.set_index("convention")

    def __str__(self) -> str:
        """What fits a terminal: conventions that agree in one row, and no published figures."""
        shown = [
            ("\n".join(self.words), None),
            (CONVENTIONS_PAGE, tables.alike(self.pages[CONVENTIONS_PAGE].drop(columns="at fault"), "convention")),
        ]
        shown += [(title, table) for title, table in self.pages.items() if title == PARTS_PAGE]
        if (others := self.pages.get(OTHERS_PAGE)) is not None:
            ours = others[~others["made by"].str.startswith(PUBLISHED)].drop(columns="score above")
            made = ours["made by"].str.removeprefix("this workbench, ")
            title = f"Beside ours; {len(others) - len(ours)} published figures: in the written report"
            shown.append((title, ours.assign(**{"made by": made})))
        return "\n\n".join(title if table is None else f"{title}\n\n{_narrow(table)}" for title, table in shown)

    def _repr_markdown_(self) -> str:  # how notebooks show it
        return "\n\n".join([*self.words, *(f"### {t}\n\n{_markdown(table)}" for t, table in self.pages.items())])

    def write(self, folder: str | Path) -> Path:
        """Writes report.html, report.md, CSV and JSON to `folder`, and returns it."""
        write(self, Path(folder))
        return Path(folder)


def _markdown(table: pd.DataFrame) -> str:
    return table.to_markdown(index=False, disable_numparse=True)


def _narrow(table: pd.DataFrame) -> str:
    return table.to_markdown(index=False, disable_numparse=True, tablefmt="simple", maxcolwidths=WIDEST)


def score(
    name: str,
    truth: Truth,
    given: predictions.Given,
    *,
    side: int | None = None,
    points_above: float = 0.5,
    results_folder: Path | None = None,
) -> Report:
    """Scores predictions whose problems are none, or may be passed over.

    Args:
        name: of the row. side: see `pairs`. points_above: what the score of a point or box must exceed, under every
            convention. results_folder: our own results, to stand beside; None for none.

    Raises:
        InputError: no scene is left.
    """
    scenes = [scene for scene in truth.sizes if scene in given.maps or scene in given.points]
    if not scenes:
        raise InputError("no scene is left to score; give predictions of at least one")
    words = [f"{len(scenes)} of {len(truth.sizes)} scenes of {truth.title} scored.", *truth.notes, *given.notes]
    if other := resized(truth, given.maps):
        words.append(f"{len(other)} masks are one px larger or smaller than the prediction: cut, or continued.")
    words += [f"Left out, {kind}: {len(names)}." for kind, names in given.problems.items()]
    every = list(pairs(truth, given, scenes, side))
    if side is not None:
        before = sum(len(regions(truth.mask(scene) > WHITE // 2)) for scene in scenes)
        lost = before - sum(len(regions(pair.mask)) for pair in every)
        words.append(
            f"Scored at {side}×{side} px, where {lost} of {before} targets are lost or merged, and 3 px mean more."
        )
    if any(pair.white is not None for pair in every):
        words.append("Some masks have grey pixels, which conventions take differently.")
    scores = np.concatenate([pair.points[:, 2] for pair in every if pair.points is not None] or [np.empty(0)])
    if below := int((scores <= points_above).sum()):
        words.append(
            f"Of {len(scores)} points, {below} score at most {points_above:g} and do not count; "
            "`--threshold` changes that."
        )
    found = totals.score(every, points_above=points_above)
    extra: dict[str, Any] = points_f1(every, points_above)
    if given.boxes and side is None:
        words.append(_of_boxes(given, scenes, every))
    words += [f"{tables.SCORES[k]}: {tables.percent(v)}." for k, v in extra.items()]
    summary = {} if found.swept is None else totals.summary(found.swept, None)
    faults = {c.name: c.faults for c in CONVENTIONS.values()}
    pages = {CONVENTIONS_PAGE: score_tables.conventions(found.conventions, faults)}
    pages |= _parts(truth, scenes, found)
    if truth.dataset is not None and results_folder is not None and side is None:
        threshold = points_above if found.swept is None else CONVENTIONS["irstd"].decision.threshold
        table = beside(name, found.conventions, extra, truth.dataset, results_folder, threshold)
        pages[OTHERS_PAGE] = formatted(table)
    if found.swept is not None:
        levels, mean = of_targets(every)
        words.append(f"Mean IoU of targets with the region that found them, 0 if missed: {tables.percent(mean)}.")
        summary |= {"hierarchy": rounded(levels), "target_iou": mean}
        shown = {name: summary["hierarchy"]}
        if levels.blank_targets or levels.blank_regions:
            summary |= {"hierarchy_counting_empty": rounded(levels, counts_empty=True)}
            shown |= {f"{name}, empty images counted as PyIRSTDMetrics does": summary["hierarchy_counting_empty"]}
        pages["What hIoU loses, and where"] = score_tables.hierarchy(shown)
        pages["Curves"] = score_tables.curves_summary({name: summary}, {})
    return Report(name, words, found, {**summary, **extra}, pages)


def write(report: Report, folder: Path) -> None:
    """Writes conventions.csv, sweep.csv, scores.json, report.md and report.html to `folder`."""
    from irstd.reports import page  # noqa: PLC0415 - not needed to score

    folder.mkdir(parents=True, exist_ok=True)
    store.write(report.scored.conventions, folder / "conventions.csv", "conventions")
    store.write(report.scored.sweep, folder / "sweep.csv", "sweep")
    store.write_json({"conventions": as_json(report.scored.conventions), **report.summary}, folder / "scores.json")
    parts = [f"# {report.name}", *report.words]
    for title, table in report.pages.items():
        parts += [f"## {title}", _markdown(table)]
    text = "\n\n".join(parts) + "\n"
    (folder / "report.md").write_text(text)
    (folder / "report.html").write_text(page.html(text, report.name))
