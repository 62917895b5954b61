"""Results as a reader wants them: formatted tables, each number with its unit, convention and budget beside it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from pandas import DataFrame

from irstd.metrics import scores as known

BUSY = 0.1  # of the processors: beside more other work, a time measured says little of the method
NONE = "–"  # what a method does not have is not zero
SCORES = {name: one.heading for name, one in known.SCORES.items()}  # as tables print them
STATEMENT = [
    "method",
    "split",
    "scored",
    "source",
    "note",
]  # figures that agree in these were stated together
# Columns whose least value is the best; and how those begin whose largest is.
LEAST = (*(one.heading for one in known.SCORES.values() if one.least), "error px")
MOST = ("IoU %", "nIoU %", "Pd %", "pixel F", "per-target IoU %", "hIoU %", "F1 %", "point F1 %", "precision", "recall")
SELECTED = {
    "validation": "validation scenes",
    "last": "none, the last epoch",
    "test": "the TEST split (papers' habit; optimistic)",
}


def label(method: str, titles: dict[str, str]) -> str:
    """What figures and tables print for a row."""
    return titles.get(method, method)


def number(value: float | None, form: str) -> str:
    """A number as `form` says, or a dash for what is not there."""
    return NONE if value is None or pd.isna(value) else format(value, form)


def scaled(score: str, value: float, sign: str = "") -> str:
    """A score, or with `sign` "+" a difference of scores, as tables print it: shares in %, Fa per million.

    Args:
        score: one of `SCORES`.
    """
    one = known.SCORES[score]
    return format(one.factor * value, sign + (".1f" if one.least else ".2f"))


def percent(value: float | None, ends: list[float] | None = None) -> str:
    """A share in %, with its 95 % interval if there is one."""
    if value is None or pd.isna(value):
        return NONE
    return f"{value * 100:.2f}" + ("" if ends is None else f" [{ends[0] * 100:.1f}, {ends[1] * 100:.1f}]")


def budget(cell: pd.Series) -> str:
    """How long a cell was trained, of how long its recipe asks for; and how many pixels it saw, where that is known."""
    epochs, full = cell["recipe"]["epochs"], cell["full_epochs"]
    if not full:
        return "nothing to train"
    text = f"full, {epochs} epochs" if cell["budget"] == "full" else f"{cell['budget']}, {epochs}/{full} epochs"
    seen = cell.get("pixels")
    return text if seen is None or pd.isna(seen) else f"{text}, {seen / 1e9:.2g} Gpx"


def keys(cell: pd.Series, titles: dict[str, str]) -> dict[str, object]:
    """Which run a row is of: the first columns of most tables. A run that is not of the record says so."""
    here = f" ({cell['origin']})" if cell.get("origin", "record") != "record" else ""
    return {
        "dataset": cell["dataset"],
        "method": label(cell["method"], titles) + here,
        "seed": cell["seed"],
        "budget": budget(cell),
    }


def scores(cells: DataFrame, titles: dict[str, str]) -> DataFrame:
    """The headline table: a row for each dataset, method and seed."""
    rows = [
        {
            **keys(cell, titles),
            "IoU %": percent(cell["iou"]),
            "nIoU %": percent(cell["niou"]),
            "Pd %": percent(cell["pd"]),
            "Fa ×1e-6": number(cell["fa_per_million"], ".2f"),
            "pixel F1 %": percent(cell["pixel_f1"]),
            "pixel F_β %, β² = 0.3": percent(cell.get("pixel_f_measure")),
            "target F1 %": percent(cell["f1"]),
            "per-target IoU %": percent(cell.get("target_iou")),
            "hIoU %": percent(_hiou(cell)),
            "error px": number(cell["distance_px"], ".2f"),
            "score above": number(cell["threshold"], ".3g"),
            "epoch chosen on": SELECTED[cell["selection"]],
        }
        for _, cell in cells.iterrows()
    ]
    return DataFrame(rows)


def _hiou(cell: pd.Series) -> float | None:
    """Of a run that was scored since there is one."""
    found = cell.get("hierarchical")
    return found["hiou"] if isinstance(found, dict) else None


def points(cells: DataFrame, titles: dict[str, str]) -> DataFrame:
    """All methods as finders of points, under one rule: F1 at 3 and 5 px with 95 % intervals over the images."""
    rows = []
    for _, cell in cells.iterrows():
        ends = cell["interval"]
        rows.append(
            {
                **keys(cell, titles),
                "F1 % at 3 px": percent(cell["point_f1_3px"], ends["point_f1_3px"]),
                "F1 % at 5 px": percent(cell["point_f1_5px"], ends["point_f1_5px"]),
                "precision % at 5 px": percent(cell["point_precision_5px"]),
                "recall % at 5 px": percent(cell["point_recall_5px"]),
                "error px": number(cell["point_error_px"], ".2f"),
                "F1 % at 5 px, greedy": percent(cell["point_f1_5px_greedy"]),
                "score above": number(cell["threshold"], ".3g"),
            }
        )
    return DataFrame(rows)


def published(figures: DataFrame) -> DataFrame:
    """Published figures side by side, a row for each method, split and source; none of them is ours."""
    wide = figures[figures["metric"].isin(SCORES)].pivot_table(
        index=STATEMENT, columns="metric", values="value", sort=False, aggfunc="first"
    )
    wide = wide.reindex(columns=[metric for metric in SCORES if metric in wide]).rename(columns=SCORES)
    formatted = wide.map(lambda value: number(value, ".2f")).reset_index()
    formatted["split"] = formatted["split"].replace("", "not stated")
    dated = dict(zip(figures["source"], figures["date"], strict=True))
    formatted["dated"] = formatted["source"].map(dated).replace("", "not stated")
    return formatted[["method", "split", *wide.columns, "scored", "source", "dated", "note"]].sort_values(
        ["source", "split"], kind="stable"
    )


def arithmetic(precision: str) -> str:
    """What Lightning calls a precision, as tables print it."""
    return {"32-true": "float32", "bf16-mixed": "bfloat16", "16-mixed": "float16"}[precision]


def provenance(cells: DataFrame, titles: dict[str, str]) -> DataFrame:
    """What made each row of the headline table."""
    rows = [
        {
            "dataset": cell["dataset"],
            "method": label(cell["method"], titles),
            "seed": cell["seed"],
            "split": cell["split"],
            "train / validation / test": " / ".join(str(cell["scenes"][k]) for k in ("train", "validation", "test")),
            "epoch": f"{cell['best_epoch']} of {cell['recipe']['epochs']}" if cell["full_epochs"] else NONE,
            "hardware": cell["hardware"] or "any x86 CPU with AVX2",
            "arithmetic": arithmetic(cell["arithmetic"]) if cell["arithmetic"] else NONE,
            "minutes": number(cell["wall_s"] and cell["wall_s"] / 60, ".1f"),
            "torch": cell["versions"]["torch"],
            "data": cell["data_sha256"][:12],
            "commit": cell["commit"] or "the one checked out",
        }
        for _, cell in cells.iterrows()
    ]
    return DataFrame(rows)


def datasets(scenes: dict[str, DataFrame], targets: dict[str, DataFrame]) -> DataFrame:
    """What is in each dataset."""
    rows = []
    for name, table in scenes.items():
        truth = targets[name]
        rows.append(
            {
                "dataset": name,
                "scenes": len(table),
                "train / held out / test": " / ".join(
                    str((table["role"] == r).sum()) for r in ("train", "validation", "test")
                ),
                "sizes (w×h px)": _sizes(table),
                "targets": len(truth),
                "median area px": number(truth["area_px"].median(), ".0f"),
                "median SCR": number(truth["scr"].median(), ".1f"),
                "test scenes with a near twin in training": twins(table),
            }
        )
    return DataFrame(rows)


def _sizes(scenes: DataFrame) -> str:
    ranges = [(scenes[side].min(), scenes[side].max()) for side in ("width", "height")]
    text = "×".join(str(low) if low == high else f"{low}…{high}" for low, high in ranges)
    count = len(scenes[["width", "height"]].drop_duplicates())
    return text if count == 1 else f"{text}, {count} sizes"


def twins(scenes: DataFrame) -> str:
    """How many test scenes have a scene of nearly the same background among the training scenes, of how many."""
    train = set(scenes.loc[scenes["role"].isin(["train", "validation"]), "group"])
    test = scenes[scenes["role"] == "test"]
    return f"{int(test['group'].isin(train).sum())} of {len(test)}"


def cost(table: DataFrame, titles: dict[str, str]) -> DataFrame:
    """What each method costs, by hardware, size and batch, and which of it was measured beside other work."""
    shown = DataFrame(
        {
            "method": [label(m, titles) for m in table["method"]],
            "hardware": table["hardware"],
            "runs in": table["form"],
            "input px": [f"{s}×{s}" for s in table["size_px"]],
            "batch": table["batch"],
            "parameters": [f"{n:,}" for n in table["parameters"]],
            "GMAC": table["gmac"].map("{:.3f}".format),
            "GFLOP (2 × MAC)": table["gflop"].map("{:.3f}".format),
            "ms / batch": table["latency_ms"].map("{:.1f}".format),
            "images / s": table["fps"].map("{:.1f}".format),
            "peak MB": [number(mb, ".0f") for mb in table["memory_mb"]],
        }
    )
    beside = pd.to_numeric(table["busy"])
    if (beside > BUSY).any():
        shown["beside other work"] = [f"{share:.0%} of the machine" if share > BUSY else "" for share in beside]
    return shown


def answer(cells: DataFrame, titles: dict[str, str]) -> str:
    """A paragraph that says what the scores show, and what they do not."""
    sentences = []
    for dataset, group in cells.groupby("dataset", sort=False):
        best = group.loc[group["iou"].astype(float).idxmax()] if group["iou"].notna().any() else group.iloc[0]
        rivals = group["iou"].notna().sum()
        lead = f", the best of {rivals} runs" if rivals > 1 else ""
        sentences.append(
            f"On **{dataset}** ({best['images']} test images, {best['targets']} targets) "
            f"{label(best['method'], titles)} finds {best['pd'] * best['targets']:.0f} targets (Pd {best['pd']:.1%}) "
            f"at {number(best['fa_per_million'], '.1f')} false pixels per million, with IoU "
            f"{number(best['iou'] and best['iou'] * 100, '.1f')} %{lead}."
        )
        nearest = group.loc[group["point_f1_5px"].astype(float).fillna(0).idxmax()]
        sentences.append(
            f"As finders of points, matched one to one within 5 px, the best is {label(nearest['method'], titles)} "
            f"with F1 {percent(nearest['point_f1_5px'], nearest['interval']['point_f1_5px'])} % (95 % interval)."
        )
    short = cells[(cells["budget"] != "full") & (cells["full_epochs"] > 0)]
    if len(short):
        sentences.append(
            f"{len(short)} of {len(cells)} runs had a reduced budget "
            f"({', '.join(sorted(set(short['budget'])))}): "
            "published figures beside them are of longer trainings."
        )
    if len(set(cells["seed"])) == 1:
        sentences.append(
            "One seed only: one training each. Intervals are over the test images alone, differences of a point of IoU "
            "are within what a seed changes, and another training may order the rows otherwise."
        )
    elif len(cells) > 1:
        sentences.append(
            "Each row is one training: intervals are over the test images alone, and the best of several is not the "
            "best recipe."
        )
    return " ".join(sentences)


def best_marked(table: DataFrame) -> DataFrame:
    """A table whose best scores of each dataset are bold, where there are several rows to choose from."""
    groups = [c for c in table if str(c).startswith("dataset")]
    table = table.reset_index(drop=True)
    parts = [rows for _, rows in table.groupby(groups, sort=False)] if groups else [table]
    marked = table.astype(object)
    ours = [c for c in table if not str(c).startswith("published")]
    for column in (c for c in ours if c in LEAST or str(c).endswith("F1 %") or str(c).startswith(MOST)):
        for rows in parts:
            values = pd.to_numeric(rows[column].astype(str).str.split().str[0], errors="coerce").dropna()
            if len(values) > 1:
                best = values.min() if column in LEAST else values.max()
                for place in values.index[values == best]:
                    marked.loc[place, column] = f"**{marked.loc[place, column]}**"
    return marked


def alike(table: DataFrame, named: str) -> DataFrame:
    """A table with rows that differ in nothing but the column `named` made one, which names them all."""
    others = [column for column in table if column != named]
    grouped = table.groupby(others, sort=False, dropna=False)[named]
    return grouped.agg(", ".join).reset_index()[table.columns]


def save(table: DataFrame, folder: Path | str, name: str, *, best: bool = False, joined: str = "") -> str:
    """Writes `name.csv` to `folder`; returns the table as Markdown, with a link to the file below.

    A column `dataset` that is the same in all rows is in the file alone.

    Args:
        best: the best of each dataset are bold in the Markdown.
        joined: the column by which rows that are otherwise alike are one in the Markdown, see `alike`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    table = best_marked(table) if best else table
    table = alike(table, joined) if joined else table
    if "dataset" in table and len(table) > 1 and (table["dataset"] == table["dataset"].iloc[0]).all():
        table = table.drop(columns="dataset")
    bars = {"|": "\\|"}  # else they would end a cell
    table = table.rename(columns=lambda c: str(c).translate(str.maketrans(bars)))
    table = table.map(lambda v: v.translate(str.maketrans(bars)) if isinstance(v, str) else v)
    return f"{table.to_markdown(index=False, disable_numparse=True)}\n\n[{name}.csv]({folder.as_posix()}/{name}.csv)"
