"""The board: every row there is of a dataset, ours and others', each under one convention at one size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd
from pandas import DataFrame

from irstd.tables import STATEMENT, budget, label

SHARES = ("iou", "niou", "pd", "f1", "point_f1")
WITH_INTERVAL = ("iou", "pd", "f1", "point_f1", "fa_per_million")
WORDS = ("method", "dataset", "split", "convention", "size", "labels", "budget", "made by", "source")
NUMBERS = ("parameters", *SHARES, "fa_per_million", *(f"{n}_{end}" for n in WITH_INTERVAL for end in ("low", "high")))
NATIVE, PUBLISHED, STATED = "native", "published", "as stated"
NOT_SAID = "not said"


def of_runs(
    cells: DataFrame, tables: Mapping[str, DataFrame], cards: Mapping[str, Mapping[str, Any]], titles: dict[str, str]
) -> DataFrame:
    """Rows of runs: of each, one for each convention and size.

    Args:
        cells: from `irstd.results.reading.cells`. tables: size to the conventions of all runs at it, from `gather`.
        cards: row of params.yaml to its method's card.
    """
    rows = []
    of = {(c["dataset"], c["method"], c["seed"]): c for _, c in cells.iterrows()}
    for size, table in tables.items():
        for _, one in table.iterrows():
            cell = of[one["dataset"], one["method"], one["seed"]]
            card = cards.get(one["method"], {})
            row = {
                "method": label(one["method"], titles) + (f", seed {one['seed']}" if one["seed"] else ""),
                "dataset": one["dataset"], "split": cell["split"], "convention": one["convention"], "size": size,
                "labels": _labels(card), "budget": budget(cell),
                "made by": f"this workbench, {cell['origin']}", "parameters": card.get("parameters"),
                "source": "; ".join(filter(None, (card.get("paper"), cell["commit"] and f"commit {cell['commit']}"))),
            }  # fmt: skip
            row |= {name: one[name] for name in NUMBERS if name in one}
            if one["convention"] == "irstd" and size == NATIVE:
                ends = cell["interval"]["point_f1_5px"] or (None, None)
                row |= {"point_f1": cell["point_f1_5px"], "point_f1_low": ends[0], "point_f1_high": ends[1]}
            rows.append(row)
    return _frame(rows)


def _labels(card: Mapping[str, Any]) -> str:
    """What a method is trained with; a filter without parameters, with nothing."""
    if not card:
        return NOT_SAID
    return f"{card['supervision']}s" if card["parameters"] else "none"


def of_papers(published: DataFrame) -> DataFrame:
    """Rows of published figures; what was stated together is one.

    Args:
        published: from `irstd.results.literature.published`.
    """
    rows = []
    named = published.assign(metric=published["metric"].replace("target_f1", "f1"))
    for key, figures in named.groupby(["dataset", *STATEMENT], sort=False):
        dataset, method, split, scored, source, note = (str(one) for one in key)
        values = figures.groupby("metric")["value"].first()
        if not set(values.index) & {*SHARES, "fa_per_million"}:
            continue
        dated = figures["date"].iloc[0]
        said = "; ".join(filter(None, (source, dated and f"dated {dated}", f"scored: {scored}", note)))
        row = {
            "method": method, "dataset": dataset, "split": split or NOT_SAID, "convention": STATED,
            "size": _size(scored, dataset), "labels": NOT_SAID, "budget": NOT_SAID,
            "made by": PUBLISHED, "source": said,
        }  # fmt: skip
        rows.append(row | {n: values[n] / (1 if n == "fa_per_million" else 100) for n in values.index if n in NUMBERS})
    return _frame(rows)


def _size(scored: str, dataset: str) -> str:
    """The size at which a source scores: native, or the side of the squares that it squeezes images to.

    >>> _size("512 px squares (NUDT-SIRST 256), score > 0.5", "nudt-sirst")
    '256×256'
    """
    squares = re.match(r"(\d+) px squares(?: \((\S+) (\d+)\))?(, the native size)?", scored)
    if scored.startswith("native") or (squares and squares[4]):
        return NATIVE
    if not squares:
        return NOT_SAID
    side = squares[3] if squares[2] and squares[2].lower() == dataset else squares[1]
    return f"{side}×{side}"


def of_submissions(cards: list[Mapping[str, Any]]) -> DataFrame:
    """Rows of submissions, one for each convention.

    Args:
        cards: from `irstd.scoring.entry.read_card`.
    """
    rows = []
    for card in cards:
        said = {
            "method": card["name"], "dataset": card["dataset"], "split": card["split"], "size": NATIVE,
            "labels": card.get("labels", NOT_SAID), "budget": NOT_SAID, "made by": "submission",
            "source": "; ".join(str(card[key]) for key in ("paper", "code", "trained_on", "note") if key in card),
            "parameters": pd.to_numeric(card.get("parameters"), errors="coerce"),
        }  # fmt: skip
        for name, scores in card["scores"].items():
            rows.append(said | {"convention": name} | {n: scores[n] for n in NUMBERS if n in scores})
    return _frame(rows)


def _frame(rows: list[dict[str, Any]]) -> DataFrame:
    table = DataFrame(rows, columns=[*WORDS, *NUMBERS])
    return table.assign(**{name: pd.to_numeric(table[name], errors="coerce") for name in NUMBERS})
