"""Tables and answers about what is in the datasets."""

from __future__ import annotations

import pandas as pd
from pandas import DataFrame
from scipy.stats import ks_2samp

from irstd.tables import NONE, number

COLUMNS = {"area_px": ("area px", ".0f"), "scr": ("SCR", ".1f"), "border_px": ("to the border px", ".0f")}
SMALL = 0.0015  # of the image's pixels: what is called small, after SPIE: 9×9 px of 256×256 is 0.12 %
FAINT = 2.0


def ranges(targets: dict[str, DataFrame], scenes: dict[str, DataFrame]) -> DataFrame:
    """Median and middle 90 % of what targets are like, and how many are extreme, one row per dataset."""
    rows = []
    for name, table in targets.items():
        row: dict[str, object] = {"dataset": name, "targets": len(table)}
        for column, (label, form) in COLUMNS.items():
            low, middle, high = table[column].quantile([0.05, 0.5, 0.95])
            row[f"{label}: median (5 to 95 %)"] = f"{middle:{form}} ({low:{form}} to {high:{form}})"
        row |= {
            f"over {100 * SMALL:g} % of the image": _share(table["area_px"] > SMALL * _pixels(table, scenes[name])),
            f"|SCR| under {FAINT:g}": _share(table["scr"].abs() < FAINT),
            "darker than around": _share(table["contrast"] < 0),
            "at the border": _share(table["border_px"] == 0),
        }
        rows.append(row)
    return DataFrame(rows)


def _pixels(table: DataFrame, scenes: DataFrame) -> pd.Series:
    """Pixels of the image that each target is in."""
    sizes = scenes.set_index("name")
    return (sizes["height"] * sizes["width"]).loc[table["name"]].set_axis(table.index)


def _share(flags: pd.Series) -> str:
    return f"{flags.sum()} ({100 * flags.mean():.1f} %)"


def splits(scenes: dict[str, DataFrame], targets: dict[str, DataFrame]) -> DataFrame:
    """Whether the test scenes are like the training scenes (held-out ones among them): how far distributions are apart.

    Returns:
        One row per dataset: two-sample Kolmogorov-Smirnov distance of area and SCR, with its p-value.
    """
    rows = []
    for name, table in targets.items():
        roles = scenes[name].set_index("name")["role"].loc[table["name"]].replace("validation", "train").to_numpy()
        row: dict[str, object] = {"dataset": name}
        for column in ("area_px", "scr"):
            parts = [table.loc[roles == r, column].dropna() for r in ("train", "test")]
            if all(len(part) for part in parts):
                test = ks_2samp(*parts)
                row[f"{COLUMNS[column][0]}: distance (p)"] = f"{test.statistic:.3f} ({test.pvalue:.3f})"
            else:
                row[f"{COLUMNS[column][0]}: distance (p)"] = NONE
        rows.append(row)
    return DataFrame(rows)


def quirks(found: dict[str, DataFrame]) -> DataFrame:
    """What is odd, one row per quirk, one column per dataset."""
    handling = {q: h for table in found.values() for q, h in zip(table["quirk"], table["handling"], strict=True)}
    counts = {name: dict(zip(table["quirk"], table["count"], strict=True)) for name, table in found.items()}
    rows = [
        {"quirk": quirk, **{name: by.get(quirk, NONE) for name, by in counts.items()}, "handling": handled}
        for quirk, handled in handling.items()
    ]
    return DataFrame(rows)


def answer(targets: dict[str, DataFrame], scenes: dict[str, DataFrame]) -> str:
    """A paragraph that says how the datasets differ."""
    medians = {name: table["area_px"].median() for name, table in targets.items()}
    strength = {name: table["scr"].abs().median() for name, table in targets.items()}
    small, large = min(medians, key=medians.__getitem__), max(medians, key=medians.__getitem__)
    faint, strong = min(strength, key=strength.__getitem__), max(strength, key=strength.__getitem__)
    empty = {name: int((table["targets"] == 0).sum()) for name, table in scenes.items()}
    without = ", ".join(f"{name} {count}" for name, count in empty.items() if count) or "none"
    if len(targets) == 1:
        return (
            f"Half of the targets of {small} are {number(medians[small], '.0f')} px or smaller, with a median |SCR| of "
            f"{strength[small]:.1f}. Scenes without a target: {without}."
        )
    return (
        f"Half of the targets of {small} are {number(medians[small], '.0f')} px or smaller, of {large} "
        f"{number(medians[large], '.0f')}; the faintest are those of {faint} (median |SCR| {strength[faint]:.1f}), the "
        f"strongest those of {strong} ({strength[strong]:.1f}). Scenes without a target: {without}. A score averaged "
        "over datasets, or a method tuned on one of them, hides this."
    )
