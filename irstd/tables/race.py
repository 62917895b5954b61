"""Tables and the answer about what changes of a recipe do at equal time."""

from __future__ import annotations

from pandas import DataFrame, Series

from irstd.tables import label, number, percent

UP, DOWN, SAME, BOTH = "higher", "lower", "no difference seen", "one way and the other"
WORDS = {
    UP: "Raised the score wherever tried",
    DOWN: "Lowered it wherever tried",
    BOTH: "Raised it on one dataset and lowered it on another",
    SAME: "No difference that the held-out images show on all datasets tried",
}


def _verdict(one: Series) -> str:
    """Whether a difference is more than the choice of held-out images explains."""
    return UP if one["low"] > 0 else DOWN if one["high"] < 0 else SAME


def effects(table: DataFrame, titles: dict[str, str]) -> DataFrame:
    """One row per change, in the order of the race.

    Args:
        table: as the schema `race_effects` says.
    """
    return DataFrame(
        [
            {
                "dataset": one["dataset"],
                "method": label(one["method"], titles),
                "change": one["change"],
                "against": one["against"],
                "seed": one["seed"],
                "score %": number(100 * one["score"], ".2f"),
                "difference, points [95 %]": (
                    f"{100 * one['difference']:+.2f} [{100 * one['low']:+.2f}, {100 * one['high']:+.2f}]"
                ),
                "false per million, before": f"{one['false_per_million']:.1f}, {one['false_before']:.1f}",
                "more than the choice of images": _verdict(one),
            }
            for _, one in table.iterrows()
        ]
    )


def cells(table: DataFrame, titles: dict[str, str]) -> DataFrame:
    """One row per training: what it reached when its time was over, and where.

    Args:
        table: as the schema `race` says.
    """
    last = table[(table["epoch"] == table["epochs"]) & (table["weights"] == "averaged")]
    return DataFrame(
        [
            {
                "dataset": one["dataset"],
                "method": label(one["method"], titles),
                "arm": one["arm"],
                "seed": one["seed"],
                "epochs": one["epochs"],
                "pixels ×1e6": number(one["pixels"] / 1e6, ".0f"),
                "min of a core": number(one["core_minutes"], ".1f"),
                "score % [95 %]": percent(one["score"], (one["low"], one["high"])),
                "false per million": number(one["false_per_million"], ".1f"),
                "hardware": one["hardware"],
                "commit": one["commit"],
            }
            for _, one in last.iterrows()
        ]
    )


def answer(table: DataFrame, titles: dict[str, str]) -> str:
    """Sentences: of each method, which changes raised the score on every dataset tried, and which did not."""
    lines = []
    for method, rows in table.groupby("method", sort=False):
        by: dict[str, list[str]] = {kind: [] for kind in WORDS}
        for change, of in rows.groupby("change", sort=False):
            verdicts = {_verdict(one) for _, one in of.iterrows()}
            verdict = verdicts.pop() if len(verdicts) == 1 else BOTH if {UP, DOWN} <= verdicts else SAME
            shown = ", ".join(f"{one['dataset']} {100 * one['difference']:+.1f}" for _, one in of.iterrows())
            by[verdict].append(f"{change} ({shown})")
        parts = [f"{WORDS[kind]}: {'; '.join(found)}." for kind, found in by.items() if found]
        lines.append(f"**{label(str(method), titles)}**, in points. {' '.join(parts)}")
    seeds = table["seed"].nunique()
    if seeds == 1:
        lines.append("One training each: the next seed may order changes otherwise that lie close together.")
    return "\n\n".join(lines)
