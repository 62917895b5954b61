"""Tables and answers about what accuracy costs."""

from __future__ import annotations

import pandas as pd
from pandas import DataFrame

from irstd.tables import NONE, budget, label, number, percent

# Times the pixels of an image that its tiles have, a sixth of whose side is discarded on each side; see
# `irstd.inference.tiles.margin`.
OVERLAP = 2.25


def fastest(cost: DataFrame, side: int = 256) -> DataFrame:
    """For each method and hardware the quickest way to run it, one image of `side`×`side` px at a time: `ms` of it."""
    single = cost[(cost["batch"] == 1) & (cost["size_px"] == side)]
    best = single.loc[single.groupby(["method", "hardware"], sort=False)["latency_ms"].idxmin()]
    return best.assign(ms=best["latency_ms"]).reset_index(drop=True)


def against(cells: DataFrame, cards: dict[str, dict], quick: DataFrame) -> DataFrame:
    """Accuracy beside cost, one row per cell: scores, `parameters_m`, `gmac`, `ms` on each hardware measured.

    Args:
        cells: from `irstd.results.reading.cells`. cards: method to its card. quick: from `fastest`.
    """
    table = cells[["dataset", "method", "seed", "iou", "point_f1_5px", "budget", "recipe", "full_epochs"]].copy()
    table["parameters_m"] = [cards[m]["parameters"] / 1e6 for m in table["method"]]
    overlap = [OVERLAP if recipe.get("geometry") == "tiles" else 1.0 for recipe in table["recipe"]]
    table["gmac"] = [cards[m]["gmac_256"] * times for m, times in zip(table["method"], overlap, strict=True)]
    return table.merge(quick[["method", "hardware", "form", "ms"]], on="method", how="left")


def pareto(table: DataFrame, titles: dict[str, str]) -> DataFrame:
    """Each cell with what it costs, cheapest first within a dataset."""
    rows = [
        {
            "dataset": one["dataset"],
            "method": label(one["method"], titles),
            "seed": one["seed"],
            "budget": budget(one),
            "IoU %": percent(one["iou"]),
            "point F1 % at 5 px": percent(one["point_f1_5px"]),
            "parameters ×1e6": number(one["parameters_m"], ".3f"),
            "GMAC": number(one["gmac"], ".2f"),
            "ms / image": number(one["ms"], ".1f"),
            "runs in": NONE if pd.isna(one["form"]) else one["form"],
            "hardware": NONE if pd.isna(one["hardware"]) else one["hardware"],
        }
        for _, one in table.sort_values(["dataset", "gmac", "seed"], kind="stable").iterrows()
    ]
    return DataFrame(rows)


def training(cells: DataFrame, titles: dict[str, str]) -> DataFrame:
    """How long each training took and how many images a second that is; only of cells whose time is recorded."""
    rows = []
    for _, cell in cells[cells["full_epochs"] > 0].iterrows():
        if cell["wall_s"] is None or pd.isna(cell["wall_s"]):
            continue
        recipe = cell["recipe"]
        images = recipe["epochs"] * cell["scenes"]["train"] * recipe.get("crops", 1)
        rows.append(
            {
                "dataset": cell["dataset"],
                "method": label(cell["method"], titles),
                "seed": cell["seed"],
                "epochs": recipe["epochs"],
                "crops of px": f"{recipe['size']}²",
                "batch": recipe["batch"],
                "minutes": number(cell["wall_s"] / 60, ".1f"),
                # A training of a moment is recorded as 0.0 s, which gives no rate.
                "images / s": number(images / cell["wall_s"] if cell["wall_s"] else None, ".1f"),
                "hardware": cell["hardware"],
            }
        )
    return DataFrame(rows)


def published(costs: DataFrame, cost: DataFrame, titles: dict[str, str]) -> DataFrame:
    """Published sizes and speeds beside ours, of methods of the same name; others' below."""
    ours = {label(m, titles): rows for m, rows in cost.groupby("method", sort=False)}
    rows = []
    for _, one in costs.iterrows():
        mine = ours.get(one["method"])
        rows.append(
            {
                "method": one["method"],
                "published: parameters ×1e6": number(one["parameters_m"], ".3g"),
                "published: GMAC": number(one["gmac"], ".4g"),
                "published: images / s": number(one["fps"], "g"),
                "ours: parameters ×1e6": NONE if mine is None else f"{mine['parameters'].iloc[0] / 1e6:.3f}",
                "ours: GMAC": NONE if mine is None else f"{mine['gmac'].iloc[0]:.2f}",
                "ours: images / s, at best": NONE if mine is None else f"{mine['fps'].max():.0f}",
                "source": one["source"],
            }
        )
    return DataFrame(rows).sort_values("ours: GMAC", key=lambda c: c == NONE, kind="stable")


def answer(table: DataFrame, cost: DataFrame, titles: dict[str, str]) -> str:
    """A paragraph that says what is fast, what is accurate, and whether that is one method."""
    sentences = []
    for hardware, rows in cost[cost["size_px"] == cost["size_px"].min()].groupby("hardware", sort=False):
        if rows["method"].nunique() < 2:
            sentences.append(f"On {hardware} only {label(rows['method'].iloc[0], titles)} was measured.")
            continue
        best = rows.loc[rows["fps"].idxmax()]
        sentences.append(
            f"On {hardware}, {label(best['method'], titles)} is the quickest of {rows['method'].nunique()} with "
            f"{best['fps']:.0f} images of {best['size_px']}×{best['size_px']} px a second ({best['form']}, batch "
            f"{best['batch']})."
        )
    for dataset, rows in table.dropna(subset=["point_f1_5px"]).groupby("dataset", sort=False):
        means = rows.assign(f1=rows["point_f1_5px"].astype(float)).groupby("method", sort=False)[["f1", "gmac"]].mean()
        if len(means) < 2:
            continue
        best, small = means["f1"].idxmax(), means["gmac"].idxmin()
        if best == small:
            sentences.append(f"On {dataset} the method of the fewest multiply-adds also has the highest F1 of points.")
        else:
            sentences.append(
                f"On {dataset} {label(best, titles)} has the highest F1 of points ({percent(means.loc[best, 'f1'])} "
                f"%), with {means.loc[best, 'gmac'] / means.loc[small, 'gmac']:.1f} times the multiply-adds of "
                f"{label(small, titles)} ({percent(means.loc[small, 'f1'])} %)."
            )
    sentences.append(
        "Means over seeds; whether a lead is more than the choice of test images explains is in each dataset's "
        "report on conventions, and of another training none of them says anything."
    )
    return " ".join(sentences)
