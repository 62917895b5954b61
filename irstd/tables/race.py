"""Tables and the answer about what changes of a recipe do at equal time."""

from __future__ import annotations

from pandas import DataFrame, Series

from irstd.tables import label, number, percent

UP, DOWN, SAME = "higher", "lower", "no difference seen"
WORDS = {  # what the trainings of a change show
    frozenset({UP}): "Raised the score wherever tried",
    frozenset({UP, SAME}): "Raised it on some, and showed no difference on others",
    frozenset({UP, DOWN}): "Raised it on some and lowered it on others",
    frozenset({UP, DOWN, SAME}): "Raised it, lowered it, or neither",
    frozenset({DOWN}): "Lowered it wherever tried",
    frozenset({DOWN, SAME}): "Lowered it on some, and showed no difference on others",
    frozenset({SAME}): "No difference that the held-out images show",
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
    """Sentences: of each method, which changes raised the score on every dataset tried, and which did not; and what
    averaged weights did, over all of its trainings.
    """
    lines = []
    for method, rows in table.groupby("method", sort=False):
        by: dict[frozenset[str], list[str]] = {kind: [] for kind in WORDS}
        averaged = rows["arm"] == rows["against"]  # the same training, with other weights of it
        for change, of in rows[~averaged].groupby("change", sort=False):
            shown = ", ".join(f"{one['dataset']} {100 * one['difference']:+.1f}" for _, one in of.iterrows())
            by[frozenset(_verdict(one) for _, one in of.iterrows())].append(f"{change} ({shown})")
        parts = [f"{WORDS[kind]}: {'; '.join(found)}." for kind, found in by.items() if found]
        if averaged.any():
            parts.append(_averaged(rows[averaged]))
        lines.append(f"**{label(str(method), titles)}**, in points. {' '.join(parts)}")
    seeds = table["seed"].nunique()
    if seeds == 1:
        lines.append("One training each: the next seed may order changes otherwise that lie close together.")
    return "\n\n".join(lines)


def _averaged(table: DataFrame) -> str:
    """What averaged weights did against the last ones, in one sentence."""
    verdicts = [_verdict(one) for _, one in table.iterrows()]
    least, most = 100 * table["difference"].min(), 100 * table["difference"].max()
    return (
        f"Averaged weights instead of the last: higher in {verdicts.count(UP)} and lower in {verdicts.count(DOWN)} of "
        f"{len(verdicts)} trainings ({least:+.1f} to {most:+.1f})."
    )
