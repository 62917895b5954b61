"""Tables of the home page: the headline beside published figures, and where every report is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from pandas import DataFrame

from irstd.tables import NONE, arithmetic, budget, label, number, percent

HEADLINE = {"iou": "iou", "point_f1_5px": "point_f1"}  # our score: what papers state in its place
NOT_STATED = {"value": None, "split": "", "scored": "", "source": ""}


def beside(cells: DataFrame, published: DataFrame, papers: Mapping[str, str]) -> DataFrame:
    """The published figure that each cell can be set beside, where there is one.

    Of the method that `papers` names on the same dataset, that of the same split if there is one; of several, that
    which is scored at native size.

    Args:
        papers: row to the name of its method in the published figures; other rows have none.

    Returns:
        One row per cell and score of `HEADLINE`: dataset, method, seed, score, ours, low, high (shares), published (%),
        split (of the published figure; empty if not stated), alike (1 if that is ours), scored (how theirs was),
        source.
    """
    rows = []
    for _, cell in cells.iterrows():
        known = published[
            (published["method"] == papers.get(cell["method"], "")) & (published["dataset"] == cell["dataset"])
        ]
        for score, stated in HEADLINE.items():
            if cell[score] is None or pd.isna(cell[score]):
                continue
            ends = cell["interval"][score] or (None, None)
            row = {"dataset": cell["dataset"], "method": cell["method"], "seed": cell["seed"], "score": score}
            row |= {"ours": cell[score], "low": ends[0], "high": ends[1]}
            mine = known[known["metric"] == stated]
            near = (mine["split"] == cell["split"]) * 2 + mine["scored"].str.startswith("native")
            best = mine.loc[near.idxmax()] if len(mine) else pd.Series(NOT_STATED)
            row |= {"published": best["value"], "split": best["split"], "alike": int(best["split"] == cell["split"])}
            rows.append(row | {"scored": best["scored"], "source": best["source"]})
    return DataFrame(rows)


def headline(cells: DataFrame, compared: DataFrame, titles: Mapping[str, str]) -> DataFrame:
    """Ours with intervals, published figures beside, one row per cell.

    Args:
        compared: from `beside`.
    """
    rows = []
    for _, cell in cells.iterrows():
        ends, key = cell["interval"], ["dataset", "method", "seed"]
        minutes = number(cell["wall_s"] and cell["wall_s"] / 60, ".0f")
        mine = compared[(compared[key] == [cell[k] for k in key]).all(axis=1)].set_index("score")
        rows.append(
            {
                "dataset, split": f"{cell['dataset']} {cell['split']}",
                "method": label(cell["method"], dict(titles)),
                "seed": cell["seed"],
                "budget": budget(cell),
                "trained on": f"{cell['hardware'] or 'any x86 CPU'}, {minutes} min",
                "IoU % [95 %]": percent(cell["iou"], ends["iou"]),
                "published IoU %": _stated(mine, "iou", cell["split"]),
                "nIoU %": percent(cell["niou"]),
                "Pd %": percent(cell["pd"]),
                "Fa ×1e-6": number(cell["fa_per_million"], ".1f"),
                "point F1 % at 5 px [95 %]": percent(cell["point_f1_5px"], ends["point_f1_5px"]),
                "published point F1 %": _stated(mine, "point_f1_5px", cell["split"]),
            }
        )
    return DataFrame(rows)


def _stated(mine: DataFrame, score: str, split: str) -> str:
    if score not in mine.index or pd.isna(mine.loc[score, "published"]):
        return NONE
    one = mine.loc[score]
    where = {split: "", "": " (split not stated)"}.get(one["split"], f" (split {one['split']})")
    return f"*{one['published']:.2f}*{where}"


def sources(compared: DataFrame, titles: Mapping[str, str]) -> DataFrame:
    """Where the published figures of the headline are from, and how far ours are from them."""
    known = compared.dropna(subset=["published"])
    rows = [
        {
            "dataset": one.dataset,
            "method": label(one.method, dict(titles)),
            "seed": one.seed,
            "score": {"iou": "IoU", "point_f1_5px": "point F1"}[one.score],
            "ours - published, points": f"{100 * one.ours - one.published:+.2f}",
            "reached": "yes" if 100 * one.ours >= one.published else "no",
            "their split": "the same" if one.alike else one.split or "not stated",
            "theirs scored": one.scored,
            "published in": one.source,
        }
        for one in known.itertuples()
    ]
    return DataFrame(rows)


def imported(record: DataFrame, cells: DataFrame, titles: dict[str, str]) -> DataFrame:
    """Which trainings came from another checkout or machine by `pipelines/import_cell.py`; predictions are made here.

    Args:
        record: `imports` of `irstd.results.store`; rows of cells that were trained again since are left out.
    """
    record = record.merge(cells[["dataset", "method", "seed", "commit", "wall_s"]])
    return DataFrame(
        {
            "dataset": record["dataset"],
            "method": [label(method, titles) for method in record["method"]],
            "seed": record["seed"],
            "trained on": record["hardware"],
            "arithmetic": record["precision"].map(arithmetic),
            "minutes": [f"{seconds / 60:.0f}" for seconds in record["wall_s"]],
            "commit": record["commit"],
            "weights, SHA-256": [f"{digest[:16]}…" for digest in record["sha256"]],
        }
    )


def budgets(cells: DataFrame) -> str:
    """A sentence on how long these cells were trained, of how long their recipes ask for."""
    trained = cells[cells["full_epochs"] > 0]
    if not len(trained):
        return "Nothing was trained."
    shares = [100 * cell["recipe"]["epochs"] / cell["full_epochs"] for _, cell in trained.iterrows()]
    full = sum(share >= 100 for share in shares)
    return (
        f"The trainings took {min(shares):.0f} to {max(shares):.0f} % of the epochs of their recipes ({full} of "
        f"{len(shares)} in full), on {', '.join(sorted(set(trained['hardware'].dropna()))) or 'any x86 CPU'}."
    )


def links(reports: Mapping[str, str], datasets: Sequence[str]) -> str:
    """Every report as Markdown: those of a dataset in a line each, then those of all.

    Args:
        reports: name to the question it answers, in the order to be read.
    """
    of: dict[str, str] = {}
    for name in reports:
        # The longest, since one dataset's name may begin another's.
        mine = [d for d in datasets if name == d or name.startswith(f"{d}-")]
        if mine:
            of[name] = max(mine, key=len)
    lines = []
    for dataset in datasets:
        shown = [
            f"[{name.removeprefix(dataset).removeprefix('-') or 'comparison'}]({name}.md)"
            for name in reports
            if of.get(name) == dataset
        ]
        if shown:
            lines.append(f"- **{dataset}**: {' · '.join(shown)}")
    lines += [f"- [{name}]({name}.md): {asked}" for name, asked in reports.items() if name not in of]
    return "\n".join(lines)


def answer(cells: DataFrame, compared: DataFrame, titles: Mapping[str, str]) -> str:
    """Who is best on each dataset, and a paragraph that says how far the benchmark has come."""
    short = cells[(cells["budget"] != "full") & (cells["full_epochs"] > 0)]
    trained = cells[cells["full_epochs"] > 0]
    best = [
        f"- **{dataset}**: {_best(rows, 'iou', titles)}, and as finder of points {_best(rows, 'point_f1_5px', titles)}."
        for dataset, rows in cells.groupby("dataset", sort=False)
        if rows[["iou", "point_f1_5px"]].notna().any().all()
    ]
    sentences = [
        f"{len(trained)} trainings of {trained['method'].nunique()} rows on {trained['dataset'].nunique()} datasets, "
        f"{len(short)} of them with a reduced budget."
    ]
    known = compared.dropna(subset=["published"])
    reached = int((100 * known["ours"].astype(float) >= known["published"].astype(float)).sum())
    if len(known):
        sentences.append(f"Of {len(known)} scores with a published figure beside them {reached} reach it.")
    seeds = trained.groupby(["dataset", "method"])["seed"].nunique().max()
    sentences.append(
        f"At most {seeds} {'seed' if seeds == 1 else 'seeds'} per row: intervals are over the test images, and another "
        "training may end elsewhere."
    )
    return "\n".join([*best, "", " ".join(sentences)])


def _best(rows: DataFrame, score: str, titles: Mapping[str, str]) -> str:
    """The best row under a score, with its interval."""
    one = rows.loc[rows[score].astype(float).idxmax()]
    name = {"iou": "IoU", "point_f1_5px": "F1 within 5 px"}[score]
    near = [
        label(rival["method"], dict(titles))
        for _, rival in rows.drop(one.name).iterrows()
        if (rival["interval"].get(score) or (0, 0))[1] >= one[score]
    ]
    said = f" (which the interval of {' and of '.join(near)} reaches)" if near else ""
    return f"{label(one['method'], dict(titles))} with {name} {percent(one[score], one['interval'][score])} %{said}"
