"""Tables and answers about what methods miss and invent."""

from __future__ import annotations

import pandas as pd
from pandas import DataFrame

from irstd.tables import NONE, label, number

FEW = 5  # values from which on a median says more than each of them


def hardest(wide: DataFrame, targets: DataFrame, titles: dict[str, str], most: int) -> DataFrame:
    """The targets that the fewest methods find, and what they are like.

    Args:
        wide: from `irstd.analysis.failures.found`. targets: of the dataset. most: rows.
    """
    about = targets.set_index(["name", "target"])
    rows = []
    for key, row in wide.head(most).iterrows():
        one = about.loc[key]
        rows.append(
            {
                "scene": key[0],
                "row, col px": f"{one['row']:.0f}, {one['col']:.0f}",
                "area px": f"{one['area_px']:.0f}",
                "SCR": number(one["scr"], ".1f"),
                "to the border px": f"{one['border_px']:.0f}",
                "found by": ", ".join(label(m, titles) for m in wide if row[m] > 0.5) or "nobody",
            }
        )
    return DataFrame(rows)


def invented(per_image: DataFrame, order: list[str], titles: dict[str, str], most: int) -> DataFrame:
    """The images with the most false pixels (of methods of points: false points), a few for each method."""
    rows = []
    for method in (m for m in order if m in set(per_image["method"])):
        mine = per_image[per_image["method"] == method]
        column = "false_pixels" if mine["false_pixels"].notna().any() else "false_regions"
        worst = mine.groupby("name")[["false_regions", "false_pixels"]].mean().nlargest(most, column)
        rows += [
            {
                "method": label(method, titles),
                "scene": name,
                "false regions or points": number(one["false_regions"], "g"),
                "false px": number(one["false_pixels"], "g"),
            }
            for name, one in worst.iterrows()
            if one[column] > 0
        ]
    return DataFrame(rows, columns=["method", "scene", "false regions or points", "false px"])


def counts(wide: DataFrame, per_image: DataFrame, titles: dict[str, str]) -> DataFrame:
    """For each method, what it misses and how much of that nobody else misses; and what it invents, by image."""
    rows = []
    for method in wide:
        missed = wide[method] <= 0.5
        alone = missed & (wide.drop(columns=method) > 0.5).all(axis=1)
        mine = per_image[per_image["method"] == method]
        clean = mine.groupby("name")["false_regions"].median()  # with several seeds: in half of the trainings
        rows.append(
            {
                "method": label(method, titles),
                "missed": f"{missed.sum()} of {len(wide)}",
                "missed by it alone": int(alone.sum()) if wide.shape[1] > 1 else NONE,
                "found by it alone": int((~missed & (wide.drop(columns=method) <= 0.5).all(axis=1)).sum())
                if wide.shape[1] > 1
                else NONE,
                "images with a false alarm": f"{(clean > 0).sum()} of {len(clean)}",
                "most in one image": number(float(mine["false_regions"].max()), "g"),
            }
        )
    return DataFrame(rows)


def answer(wide: DataFrame, targets: DataFrame, spread: DataFrame, titles: dict[str, str]) -> str:
    """A paragraph that says what is hard here, for whom, and where false alarms are."""
    if not len(wide):
        return "Nothing has been predicted yet."
    never, about = wide.index[(wide <= 0.5).all(axis=1)], targets.set_index(["name", "target"])
    sentences = [f"Of {len(wide)} targets, {(wide > 0.5).all(axis=1).sum()} are found by all {wide.shape[1]} methods"]
    sentences[0] += f" and {len(never)} by none." if len(never) else "; none is missed by all."
    if len(never):
        hard, rest = about.loc[never], about.loc[wide.index.difference(never)]
        pairs = [
            (what, _middle(hard[column].abs(), form), rest[column].abs().median(), form)
            for what, column, form in (("area", "area_px", ".0f"), ("signal-to-clutter ratio", "scr", ".1f"))
        ]
        have = " and ".join(f"{w} {h} (the others' median is {number(r, f)})" for w, h, r, f in pairs)
        sentences.append(f"Those that nobody finds have {have}; {(hard['border_px'] == 0).sum()} touch the border.")
    halves = [
        f"{100 * rows[rows['false_pixels'] >= 0.5]['images'].iloc[0]:.0f} % ({label(method, titles)})"
        for method, rows in spread.groupby("method", sort=False)
    ]
    if halves:
        sentences.append(f"Half of a method's false pixels are in a few images: {', '.join(halves)} of them.")
    return " ".join(sentences)


def _middle(values: pd.Series, form: str) -> str:
    """The median of a column in words; of a few values, each of them."""
    if len(values) < FEW:
        return " and ".join(", ".join(number(float(v), form) for v in sorted(values)).rsplit(", ", 1))
    return f"of {number(values.median(), form)} in the median"


def shares(table: DataFrame, titles: dict[str, str]) -> DataFrame:
    """`irstd.analysis.failures.shared` as a reader wants it, in %."""
    shown = table.map(lambda v: NONE if pd.isna(v) else f"{100 * v:.0f}")
    shown.insert(0, "misses in common %", [label(m, titles) for m in table.index])
    return shown.rename(columns={m: label(m, titles) for m in table.columns})
