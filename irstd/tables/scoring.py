"""Tables and answers about conventions and about whether one method leads another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas import DataFrame

from irstd.metrics import scores as known
from irstd.metrics import statistics
from irstd.metrics.conventions import CONVENTIONS
from irstd.tables import NONE, SCORES, STATEMENT, label, number, percent, scaled

CLAIM = 0.05  # a lead is more than the choice of test images explains where its corrected p-value is below
BEYOND = "more than the choice of test images"  # what such a lead is; of another training it says nothing
DRAWN = "synthetic"  # scenes that this workbench draws: no dataset to rank methods on


def _share(row: pd.Series, name: str) -> str:
    """A share in % with its interval, if there is one."""
    ends = [row.get(f"{name}_low"), row.get(f"{name}_high")]
    return percent(row[name], None if any(e is None or pd.isna(e) for e in ends) else ends)


def conventions(table: DataFrame, faults: dict[str, str]) -> DataFrame:
    """One split under every convention, a row each.

    Args:
        table: `conventions` of `irstd.results.store`.
        faults: convention to what of it is a fault.
    """
    rows = [
        {
            "convention": row["convention"],
            "IoU %": _share(row, "iou"),
            "nIoU %": percent(row["niou"]),
            "Pd %": _share(row, "pd"),
            "Fa ×1e-6": number(row["fa_per_million"], ".2f"),
            "false regions / image": number(row["false_regions_per_image"], ".2f"),
            "target F1 %": _share(row, "f1"),
            "error px": number(row["distance_px"], ".2f"),
            "at fault": faults.get(row["convention"], "") or NONE,
        }
        for _, row in table.iterrows()
    ]
    return DataFrame(rows)


def _wide(table: DataFrame, score: str) -> DataFrame:
    """One row per convention, one column per method, in the order of the table."""
    wide = table.pivot_table(index="convention", columns="method", values=score, sort=False).astype(float)
    return wide.reindex(index=table["convention"].unique(), columns=table["method"].unique())


def across(table: DataFrame, score: str, titles: dict[str, str]) -> DataFrame:
    """One score of all methods under every convention, with the rank of each in brackets.

    Args:
        table: `conventions` of several methods, with `method` in front.
        score: `iou`, `pd`, `fa_per_million` or `f1`.
    """
    wide = _wide(table, score)
    places = wide.rank(axis=1, ascending=known.SCORES[score].least, method="min")
    factor = known.SCORES[score].factor
    cells = {
        label(method, titles): [
            NONE if pd.isna(v) else f"{factor * v:.2f} ({p:.0f})"
            for v, p in zip(wide[method], places[method], strict=True)
        ]
        for method in wide
    }
    return DataFrame({"convention": list(wide.index), **cells})


def squared(native: DataFrame, small: DataFrame, titles: dict[str, str], of: Iterable[str]) -> DataFrame:
    """Scores of the same predictions at native size and at 256×256 px, under the conventions `of`."""
    pairs = native.merge(small, on=["method", "seed", "convention"], suffixes=("", "_256"))
    rows = [
        {"convention": row["convention"], "method": label(row["method"], titles)}
        | {
            f"{SCORES[score]}{where}": NONE if pd.isna(row[score + end]) else scaled(score, row[score + end])
            for score in ("iou", "niou", "pd", "fa_per_million", "f1")
            for where, end in (("", ""), (" at 256×256", "_256"))
        }
        for convention in of
        for _, row in pairs[pairs["convention"] == convention].iterrows()
    ]
    return DataFrame(rows)


def rank_answer(table: DataFrame, titles: dict[str, str]) -> str:
    """A paragraph that says whether the convention decides who leads."""
    sentences = []
    for score in ("pd", "fa_per_million", "iou"):
        wide = _wide(table, score).dropna(axis=1, how="all")
        if wide.shape[1] < 2:
            continue
        # Not every convention scores every method: points have no regions.
        wide = wide[wide.notna().sum(axis=1) > 1]
        one = known.SCORES[score]
        best = wide.idxmin(axis=1) if one.least else wide.idxmax(axis=1)
        spread, unit = (wide.max() - wide.min()).max() * one.factor, " per million" if one.least else " points"
        leaders = [f"{label(m, titles)} under {n} of {len(best)}" for m, n in best.value_counts().items()]
        sentences.append(
            f"{SCORES[score]}: the best is {', '.join(leaders)}; the same predictions of one method differ by up to "
            f"{spread:.1f}{unit} between conventions."
        )
    return " ".join(sentences) or "There are not two methods with maps to compare."


def leads(compared: dict[str, DataFrame], titles: dict[str, str]) -> DataFrame:
    """Who leads under each score, by how much, and whether that is more than the choice of test images explains.

    Args:
        compared: score to what `irstd.analysis.differences.pairwise` gives.
    """
    rows = []
    for score, table in compared.items():
        for _, pair in table.iterrows():
            value, low, high = (scaled(score, pair[k], "+") for k in ("difference", "low", "high"))
            rows.append(
                {
                    "score": SCORES[score],
                    "better": label(pair["one"], titles),
                    "worse": label(pair["other"], titles),
                    "difference [95 %]": f"{value} [{low}, {high}]",
                    "p": f"{pair['p']:.4f}",
                    "p, corrected": f"{pair['p_holm']:.4f}",
                    BEYOND: "yes" if pair["p_holm"] < CLAIM else "no",
                    "trainings": _trainings([pair["one_seeds"], pair["other_seeds"]]),
                }
            )
    return DataFrame(rows)


def _trainings(seeds: Iterable[int]) -> str:
    """How many trainings are behind each of several rows, in words."""
    least, most = min(seeds), max(seeds)
    if most == 1:
        return "one training each"
    return f"{most} trainings each" if least == most else f"{least} to {most} trainings each"


def means(found: dict[str, DataFrame], titles: dict[str, str]) -> DataFrame:
    """Each method's mean over its seeds under each score: with its interval over images, the seeds, and theirs.

    Args:
        found: score to what `irstd.analysis.differences.over_seeds` gives.
    """
    rows = []
    for score, table in found.items():
        for one in table.itertuples():
            mean, low, high = (scaled(score, v) for v in (one.mean, one.low, one.high))
            ends = [scaled(score, v) for v in (one.seed_low, one.seed_high)]
            rows.append(
                {
                    "score": SCORES[score],
                    "method": label(one.method, titles),
                    "seeds": one.seeds,
                    "mean [95 % over images]": f"{mean} [{low}, {high}]",
                    "by seed": ", ".join(scaled(score, v) for v in one.by_seed) if one.seeds > 1 else NONE,
                    "95 % over seeds (t)": f"[{', '.join(ends)}]" if one.seeds > 1 else NONE,
                }
            )
    return DataFrame(rows)


def lead_answer(compared: dict[str, DataFrame], titles: dict[str, str]) -> str:
    """A paragraph that says which first places are more than the choice of test images explains, and of what."""
    sentences = []
    for score, table in compared.items():
        if not len(table):
            continue
        first = table.iloc[0]["one"]
        mine = table[table["one"] == first]
        ahead = mine["p_holm"] < CLAIM
        beaten, level = ([label(m, titles) for m in mine[which]["other"]] for which in (ahead, ~ahead))
        said = _trainings([*mine["one_seeds"], *mine["other_seeds"]])
        sentence = f"{SCORES[score]}: {label(first, titles)} is first"
        sentence += f", ahead of {', '.join(beaten)} by {BEYOND} explains; {said}" if beaten else ""
        if level:
            sentence += f"; its lead over {', '.join(level)} is within the choice of test images"
            sentence += "" if beaten else f"; {said}"
        sentences.append(f"{sentence}.")
    if sentences:
        sentences.append("These are leads of the weights at hand: another training may order the methods otherwise.")
    return " ".join(sentences)


def curves_summary(summaries: dict[str, dict], titles: dict[str, str]) -> DataFrame:
    """Areas under the curves, Pd at stated Fa, and scores at the threshold that held-out scenes chose.

    An area of Pd over Fa is a lower bound (≥) where the curve never gets down to the least Fa of the area, 1e-6. Masks
    of two values have no curve, and no Pd at a stated Fa.

    Args:
        summaries: method to its `summary.json`. In those of before the lowest Fa was recorded, a Pd of 0 may stand
            for an Fa that is not reached: a dash.
    """
    rows = []
    for method, one in summaries.items():
        if not one:
            continue
        chosen, lowest = one["at_chosen_threshold"] or {}, one.get("lowest_fa_per_million")
        bound = "≥ " if lowest is not None and lowest > 1 else ""
        area = number(one["pd_fa_area"], ".4f")
        rows.append(
            {
                "method": label(method, titles),
                "ROC area": number(one["roc_auc"], ".4f"),
                "PR area": number(one["pr_auc"], ".4f"),
                "Pd–Fa area": area if area == NONE else bound + area,
                **{
                    f"Pd % at Fa {most}e-6": _reached(pd_, float(most), lowest) for most, pd_ in one["pd_at_fa"].items()
                },
                "threshold of held-out scenes": number(chosen.get("threshold"), ".3f"),
                "IoU % there": percent(chosen.get("iou")),
                "Pd % there": percent(chosen.get("pd")),
                "Fa ×1e-6 there": number(chosen.get("fa_per_million"), ".1f"),
            }
        )
    return DataFrame(rows).fillna(NONE)


LEVELS = {"localisation": "targets", "segmentation": "pixels"}  # of hIoU: what its shares are of
LOSSES = {
    "merging": "several in one", "splitting": "one in several", "interference": "background",
    "perception": "missed",
}  # fmt: skip


def hierarchy(found: dict[str, dict[str, float | None]]) -> DataFrame:
    """hIoU, its two levels, and the shares that they lose, which add up to 100 % with each level.

    Args:
        found: method to its scores, as `irstd.metrics.hierarchical` names them.
    """
    rows = []
    for method, one in found.items():
        row = {"method": method, "hIoU %": percent(one["hiou"])}
        for level, of in LEVELS.items():
            row[f"{level} %"] = percent(one[f"{level}_iou"])
            lost = {words: one[key] for kind, words in LOSSES.items() if (key := f"{level}_{kind}") in one}
            row |= {f"{of} lost, {words} %": percent(value) for words, value in lost.items()}
        rows.append(row)
    return DataFrame(rows)


def _reached(pd_: float | None, most: float, lowest: float | None) -> str:
    """A Pd at an Fa of `most` per million, or that the curve never gets so low."""
    if lowest is None:
        return percent(pd_ or None)
    return f"not reached (lowest Fa {lowest:.1f})" if lowest > most else percent(pd_)


def nearest_published(table: DataFrame, figures: DataFrame, twins: dict[str, str], titles: dict[str, str]) -> DataFrame:
    """Our classical detectors beside published figures of the same name, like with like.

    One row per method and statement: figures of one source that differ in split, in how they were scored or in what is
    noted of them are not mixed.

    Args:
        table: `conventions` of several methods, with `method` in front.
        figures: published ones of the dataset.
        twins: our row to the name it is published under.
    """
    rows = []
    for method, name in twins.items():
        mine = table[(table["method"] == method) & (table["convention"] == "basicirstd")]
        for key, stated in figures[figures["method"] == name].groupby(STATEMENT[1:], sort=False):
            values = stated.groupby("metric")["value"].first()
            split, scored, source, note = key
            for _, row in mine.iterrows():
                rows.append(
                    {
                        "method": label(method, titles),
                        **{
                            f"{SCORES[k]}, {who}": number(v, ".2f")
                            for k in ("iou", "pd", "fa_per_million")
                            for who, v in (
                                ("ours", row[k] * (1 if k == "fa_per_million" else 100)),
                                ("published", values.get(k, np.nan)),
                            )
                        },
                        "split": split or "not stated",
                        "scored": scored,
                        "source": source,
                        "note": note or NONE,
                    }
                )
    return DataFrame(rows)


def about_conventions() -> DataFrame:
    """Every convention: whose it is, what it does, what of it is a fault, where it was read."""
    return DataFrame(
        [
            {
                "convention": f"`{c.name}`",
                "used by": c.users,
                "what it does": str(c).removeprefix(f"{c.name}: ").replace(", at native size", "")
                + {"full": "; a mask is true where it is white", "any": "; a mask is true above zero"}.get(c.truth, "")
                + ("; IoU is the mean of both classes'" if c.two_classes else ""),
                "at fault": c.faults or NONE,
                "read in": c.source,
            }
            for c in CONVENTIONS.values()
        ]
    )


def cases(table: DataFrame) -> DataFrame:
    """Pd and false pixels of each drawn case under each convention."""
    rows = []
    for name, mine in table.groupby("convention", sort=False):
        row = {"convention": f"`{name}`"}
        for one in mine.itertuples():
            row[one.case] = f"{number(one.pd, 'g')}, {number(one.false_pixels, '.0f')}"
        rows.append(row)
    return DataFrame(rows)


def case_answer(table: DataFrame) -> str:
    """A paragraph that says how far conventions are apart."""
    known = table.dropna(subset=["pd"])
    answers = {c: len({(r.pd, r.false_pixels) for r in t.itertuples()}) for c, t in known.groupby("case")}
    same = [str(case) for case, count in answers.items() if count == 1]
    most = max(answers, key=answers.__getitem__)
    agreeing = f"all conventions agree on {', '.join(same)} only" if same else "the conventions agree on none"
    return (
        f"Of {len(answers)} small cases, {agreeing}; case {most} alone has {answers[most]} different pairs of Pd and "
        "false pixels. A number without its convention says little."
    )


@dataclass(frozen=True)
class Ranking:
    """scores and ranks: one row per dataset, one column per method. mean_ranks: by method. difference: that mean ranks
    must exceed to be significant. p: of Friedman's test that all rank alike; nan where it cannot be made.
    """

    scores: DataFrame
    ranks: DataFrame
    mean_ranks: dict[str, float]
    difference: float
    p: float


def ranking(cells: DataFrame, score: str) -> Ranking:
    """Ranks of the methods that have the score on every dataset; the mean over seeds counts.

    Scenes drawn by this workbench are left out: Friedman's and Nemenyi's tests take datasets for a sample of those
    that users have.
    """
    cells = cells[cells["dataset"] != DRAWN]
    wide = cells.pivot_table(index="dataset", columns="method", values=score, sort=False)
    wide = wide.reindex(columns=list(dict.fromkeys(cells["method"]))).astype(float).dropna(axis=1)
    places = wide.rank(axis=1, ascending=False)
    return Ranking(
        wide, places, places.mean().to_dict(), statistics.critical_difference(wide.shape[1], len(wide)),
        statistics.friedman(wide.to_numpy()),
    )  # fmt: skip


def ranking_table(one: Ranking, titles: dict[str, str]) -> DataFrame:
    """Scores in %, with ranks in brackets, and the mean ranks."""
    rows = [
        {
            "method": label(method, titles),
            **{d: f"{100 * one.scores.loc[d, method]:.2f} ({one.ranks.loc[d, method]:g})" for d in one.scores.index},
            "mean rank": f"{mean:.2f}",
        }
        for method, mean in sorted(one.mean_ranks.items(), key=lambda item: item[1])
    ]
    return DataFrame(rows)


def ranking_answer(ranked: dict[str, Ranking], titles: dict[str, str]) -> str:
    """A paragraph that says which methods differ significantly."""
    sentences = []
    for score, one in ranked.items():
        if not one.mean_ranks:
            continue
        best = min(one.mean_ranks, key=one.mean_ranks.__getitem__)
        # Nemenyi's test follows Friedman's, and says nothing where that finds no difference (Demšar, 2006).
        apart = [m for m, r in one.mean_ranks.items() if one.p < CLAIM and r - one.mean_ranks[best] > one.difference]
        beaten = ", ".join(label(m, titles) for m in apart)
        then = f"significantly better than {beaten}" if beaten else "and no two methods differ significantly"
        asked = f", critical difference {one.difference:.2f}" if one.p < CLAIM else ", so no two are compared"
        sentences.append(
            f"{SCORES[score]}: {label(best, titles)} has the best mean rank ({one.mean_ranks[best]:.2f} of "
            f"{len(one.mean_ranks)}) over {len(one.scores)} datasets, {then} (Friedman p {number(one.p, '.3f')}"
            f"{asked})."
        )
    sentences.append("Drawn scenes are left out, being ours, and a method's few trainings on a dataset count as one.")
    return " ".join(sentences)
