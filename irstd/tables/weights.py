"""What published weights do: on their own dataset, on others, on changed images."""

from __future__ import annotations

from math import nan
from pathlib import Path

from pandas import DataFrame, Series, concat, isna

from irstd.tables import NONE, SCORES, label, percent, scoring

DATA, TRAINING = "data: better on what it was shown", "training or network: not measurably better on what it was shown"
UNITS = {  # change of images (irstd/analysis/corruptions.py): unit of its strength; of ratios, less is harder
    "noise": "grey levels",
    "stripes": "grey levels",
    "blur": "px",
    "contrast": "ratio",
    "scr": "ratio",
}


def _scores(table: DataFrame, titles: dict[str, str], *keys: Series) -> DataFrame:
    """Scores under one convention, a row each as in `table`; in front whose weights they are, then `keys`."""
    named = table["method"].map(lambda method: label(method, titles)).rename("method")
    scores = scoring.conventions(table, {}).drop(columns=["convention", "at fault"]).set_index(table.index)
    return concat([named, table["dataset"].rename("trained on"), *keys, scores], axis=1)


def transfer(table: DataFrame, titles: dict[str, str]) -> DataFrame:
    """A row for each weights and dataset, under our convention; a dataset's own weights are marked.

    Args:
        table: as `irstd.results.reading.transfer` gives it.
    """
    kept = table[table["convention"] == "irstd"]
    own = (kept["on"] == kept["dataset"]).map({True: " (its own)", False: ""})
    return _scores(kept, titles, (kept["on"] + own).rename("scored on"))


def bounds(seen: DataFrame, ours: DataFrame, titles: dict[str, str]) -> DataFrame:
    """A row for each weights: IoU, or target F1 of a method without a map, on scenes it learnt from and on the test
    split of the same dataset, in %, with the difference, and what that says bounds it: data, if the 95 % intervals are
    apart; else training or network.

    Args:
        seen: as `irstd.results.reading.on_training` gives it, under our convention.
        ours: as `irstd.results.reading.transfer` gives it, under our convention.
    """
    keys = ["dataset", "method", "seed"]
    both = seen.merge(ours[ours["on"] == ours["dataset"]], on=keys, suffixes=("", "_test"))
    rows = []
    for _, one in both.iterrows():
        score = "f1" if isna(one["iou"]) else "iou"
        learnt, unseen = ([one[f"{score}{part}{side}"] for part in ("", "_low", "_high")] for side in ("", "_test"))
        rows.append({
            "method": label(one["method"], titles),
            "trained on": one["dataset"],
            "score": SCORES[score],
            "on scenes it learnt from": percent(learnt[0], learnt[1:]),
            "on the test split": percent(unseen[0], unseen[1:]),
            "difference": f"{100 * (unseen[0] - learnt[0]):+.2f}",
            "what bounds it": DATA if learnt[1] > unseen[2] else TRAINING,
        })  # fmt: skip
    return DataFrame(rows)


def cards(table: DataFrame, titles: dict[str, str], reports: Path) -> str:
    """A line for each method with links to the cards of its weights, by the dataset trained on.

    Args:
        table: as `irstd.results.reading.transfer` gives it.
        reports: folder of reports, where cards are.
    """
    found: dict[str, list[str]] = {}
    for dataset, method in table[["dataset", "method"]].drop_duplicates().itertuples(index=False):
        if (reports / (place := f"weights/{dataset}/{method}.md")).exists():
            found.setdefault(method, []).append(f"[{dataset}]({place})")
    return "\n".join(f"- {label(method, titles)}: {' · '.join(links)}" for method, links in found.items())


def robustness(table: DataFrame, titles: dict[str, str]) -> DataFrame:
    """A row for each weights, change and level.

    Args:
        table: as `irstd.results.reading.robustness` gives it.
    """
    levels = [
        NONE if change == "none" else f"{level:g} {UNITS[change]}"
        for change, level in zip(table["change"], table["level"], strict=True)
    ]
    return _scores(table, titles, table["change"], Series(levels, table.index, name="level"))


def kept(table: DataFrame, score: str, titles: dict[str, str]) -> DataFrame:
    """How much of a share is left at the worst level of each change, in % of that without: a row for each weights.

    Args:
        table: as `irstd.results.reading.robustness` gives it.
    """
    rows = []
    for (dataset, method, _), group in table.groupby(["dataset", "method", "seed"], sort=False):
        plain = group.loc[group["change"] == "none", score].iloc[0]
        row = {"method": label(method, titles), "trained on": dataset, f"{SCORES[score]} without": percent(plain)}
        rows.append(row | {f"left, {change}": percent(share) for change, share in _left(group, score).items()})
    return DataFrame(rows)


def _and(names: Series) -> str:
    """The names as a sentence lists them."""
    *first, last = dict.fromkeys(names)
    return f"{', '.join(first)} and {last}" if first else str(last)


def _left(group: DataFrame, score: str) -> Series:
    """The worst level's share over that without a change, by change, of one weights; nan where that is 0."""
    plain = group.loc[group["change"] == "none", score].iloc[0]
    return group[group["change"] != "none"].groupby("change", sort=False)[score].min() / (plain or nan)


def answer(ours: DataFrame, changed: DataFrame, seen: DataFrame, titles: dict[str, str]) -> str:
    """A line for each method: what weights of other datasets reach of the target F1 of a dataset's own, which of the
    changes costs most at its worst level, and what bounds it.

    Args:
        ours: as `irstd.results.reading.transfer` gives it, under our convention.
        changed: as `irstd.results.reading.robustness` gives it.
        seen: as `irstd.results.reading.on_training` gives it, under our convention.
    """
    lines = []
    for method in dict.fromkeys([*ours["method"], *changed["method"]]):
        rows = ours[ours["method"] == method]
        own = rows[rows["dataset"] == rows["on"]].groupby("on")["f1"].mean()
        others = rows[rows["dataset"] != rows["on"]]
        shares = (others["f1"] / others["on"].map(own[own > 0])).dropna()
        said = []
        if len(shares):
            low, high = percent(shares.min()), percent(shares.max())
            reach = f"{low} to {high}" if low != high else low
            said.append(f"weights of another dataset reach {reach} % of the target F1 of its own")
        worst = []
        for (dataset, _), levels in changed[changed["method"] == method].groupby(["dataset", "seed"], sort=False):
            left = _left(levels, "f1").dropna()
            if len(left):
                worst.append(f"{left.idxmin()} on {dataset} ({percent(left.min())} % are left)")
        if worst:
            said.append(f"of the changes, at the worst of their levels, what costs most is {', '.join(worst)}")
        bound = bounds(seen[seen["method"] == method], ours, titles)
        for what, rows in bound.groupby("what bounds it", sort=False) if len(bound) else ():
            said.append(f"on {_and(rows['trained on'])} {what.partition(':')[0]} bounds it")
        if said:
            lines.append(f"- **{label(str(method), titles)}**: {'; '.join(said)}.")
    lines += ["", "Strengths of different changes cannot be set against each other, and there is one seed of each."]
    return "\n".join(lines)
