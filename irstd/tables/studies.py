"""Tables and answers of the studies: what labels cost, scale losses, detectors, oriented kernels."""

from __future__ import annotations

import pandas as pd
from pandas import DataFrame

from irstd.tables import NONE, SCORES, keys, label, number, percent, points, scaled

ENOUGH = 5  # seeds from which two recipes, not only two trainings, may differ significantly


def label_noise(cells: DataFrame) -> DataFrame:
    """For each run its label noise, and F1 at 3 and 5 px with the ends of its interval, as shares."""
    rows = []
    for _, cell in cells.iterrows():
        row = {"jitter": cell["recipe"].get("jitter", 0.0), "seed": cell["seed"]}
        for px in (3, 5):
            row[f"f1_{px}px"] = cell[f"point_f1_{px}px"]
            row[f"low_{px}px"], row[f"high_{px}px"] = cell["interval"][f"point_f1_{px}px"]
        rows.append(row)
    return DataFrame(rows)


def _labels(cell: pd.Series) -> str:
    """What kind of labels a run was trained on."""
    if cell["supervision"] == "mask":
        return "masks"
    if isinstance(cell.get("clicks_sha256"), str):
        return "clicks of a file"
    jitter = cell["recipe"].get("jitter", 0.0)
    return f"clicks off by {jitter:g} half boxes" if jitter else "clicks at centres"


def _seen(cell: pd.Series) -> str:
    """How many crops of which size a run was trained on."""
    recipe = cell["recipe"]
    return f"{recipe['epochs'] * cell['scenes']['train'] * recipe['crops']:,} of {recipe['size']}² px"


def labels(cells: DataFrame, titles: dict[str, str]) -> DataFrame:
    """What each run was given, and how well it then finds points."""
    table = points(cells, titles)
    table.insert(2, "labels", [_labels(cell) for _, cell in cells.iterrows()])
    table.insert(5, "crops seen", [_seen(cell) for _, cell in cells.iterrows()])
    return table.sort_values("labels", kind="stable")


def label_answer(cells: DataFrame, titles: dict[str, str], clicks: list[str], masks: list[str]) -> str:
    """A paragraph that says what clicks cost."""
    sentences = []
    for dataset, group in cells.groupby("dataset", sort=False):
        figures = [
            f"{label(cell['method'], titles)} {percent(cell['point_f1_5px'], cell['interval']['point_f1_5px'])} %"
            for name in (*clicks, *masks)
            for _, cell in group[group["method"] == name].iterrows()
        ]
        sentences.append(f"On **{dataset}**, F1 within 5 px with 95 % intervals: {'; '.join(figures)}.")
    seeds = len(set(cells["seed"]))
    sentences.append(
        "Intervals are over the test images alone: where two overlap, this test split does not decide between them."
        + (" One seed only: one training each, and the next may order them otherwise." if seeds == 1 else "")
    )
    return " ".join(sentences)


def monotonicity(gradients: DataFrame) -> DataFrame:
    """Of each scale loss and true area: where it leads away, its least weight, and how well slopes agree."""
    rows = []
    for (weight, true), group in gradients.groupby(["weight", "true_px"], sort=False):
        apart = group[group["predicted_px"] != group["true_px"]]
        wrong = group[group["wrong"] == 1]["predicted_px"]
        over, under = wrong[wrong > true], wrong[wrong < true]
        away = [f"below {under.max():.1f}" if len(under) else "", f"above {over.min():.1f}" if len(over) else ""]
        rows.append(
            {
                "loss": weight,
                "true area px": f"{true:g}",
                "leads away at px": " and ".join(filter(None, away)) or "nowhere",
                "of the range %": f"{100 * group['wrong'].mean():.1f}",
                "least weight": f"{group['alpha'].min():.3f}",
                "largest difference of slopes": f"{(apart['slope'] - apart['slope_autograd']).abs().max():.0e}",
            }
        )
    return DataFrame(rows)


def _beyond(score: pd.Series) -> bool:
    """Whether a difference is more than the choice of images explains."""
    return bool(score["low"] > 0 or score["high"] < 0)


def _apart(score: pd.Series) -> str:
    """Whether two recipes differ by more than the choice of images explains, and than that of seeds does."""
    if score["seeds"] < ENOUGH:
        return f"no claim: {score['seeds']} {'seed' if score['seeds'] == 1 else 'seeds'}"
    return "yes" if _beyond(score) and (score["seed_low"] > 0 or score["seed_high"] < 0) else "no"


def _over_seeds(score: pd.Series) -> str:
    if pd.isna(score["seed_low"]):
        return NONE
    return f"[{', '.join(scaled(score['score'], score[k], '+') for k in ('seed_low', 'seed_high'))}]"


def differences(compared: dict[tuple[str, str], DataFrame], one: str, titles: dict[str, str]) -> DataFrame:
    """Paired differences of the row `one` to others, by dataset and score, with intervals and each seed's own.

    Args:
        compared: (dataset, other row) to what `irstd.analysis.differences.paired` gives.
    """
    rows = []
    for (dataset, other), table in compared.items():
        for _, score in table.iterrows():
            factor, name = 1 if score["score"] == "fa_per_million" else 100, score["score"]
            value, low, high = (scaled(name, score[k], "+") for k in ("difference", "low", "high"))
            rows.append(
                {
                    "dataset": dataset,
                    "score": SCORES[name],
                    label(one, titles): f"{factor * score['one']:.2f}",
                    label(other, titles): f"{factor * score['other']:.2f}",
                    "difference [95 % over images]": f"{value} [{low}, {high}]",
                    "more than the choice of test images": "yes" if _beyond(score) else "no",
                    "by seed": ", ".join(scaled(name, each, "+") for each in score["by_seed"]),
                    "95 % over seeds (t)": _over_seeds(score),
                    "recipes differ significantly": _apart(score),
                }
            )
    return DataFrame(rows).fillna(NONE)


def loss_answer(
    gradients: DataFrame, compared: dict[tuple[str, str], DataFrame], one: str, titles: dict[str, str]
) -> str:
    """A paragraph that says what the scale losses do on paper, and what trainings made of it."""
    shares = gradients.groupby("weight", sort=False)["wrong"].mean()
    wrong = [f"`{name}` ({share:.0%} of the areas drawn here)" for name, share in shares.items() if share]
    right = [f"`{name}`" for name, share in shares.items() if not share]
    sentences = [
        f"On paper {' and '.join(wrong)} leads away from the true area, {', '.join(right)} never do.",
        "That is a statement about where the weight leads, not about how steeply: every one of them, `diff` too, has a "
        "cusp at equal areas, where its slope jumps from above zero to below. The whole loss also has the overlap's "
        "own slope.",
    ]
    for (dataset, other), table in compared.items():
        iou = table.set_index("score", drop=False).loc["iou"]
        by_seed, seeds = ", ".join(f"{100 * each:+.2f}" for each in iou["by_seed"]), iou["seeds"]
        said = {"yes": "the recipes differ significantly", "no": "the recipes do not differ significantly"}
        claim = said.get(_apart(iou), "too few to claim anything of the losses")
        sentences.append(
            f"On **{dataset}** {label(one, titles)} has {100 * iou['difference']:+.2f} points of IoU "
            f"[{100 * iou['low']:+.2f}, {100 * iou['high']:+.2f}] over {label(other, titles)}: "
            f"{'more' if _beyond(iou) else 'no more'} than the choice of test images explains; "
            f"{'one training' if seeds == 1 else f'{seeds} trainings'} each (by seed {by_seed}; 95 % over seeds, t: "
            f"{_over_seeds(iou)}), {claim}."
        )
    sentences.append("The budget is a small part of the papers'; a full training may end otherwise.")
    return " ".join(sentences)


def detection(cells: DataFrame, titles: dict[str, str]) -> DataFrame:
    """Detectors of boxes: average precision of boxes and of centres, and F1 of centres."""
    rows = [
        {
            **keys(cell, titles),
            "AP50 %": percent(cell["box_ap50"]),
            "centroid AP % at 3 px": percent(cell["point_ap_3px"]),
            "F1 % at 3 px": percent(cell["point_f1_3px"], cell["interval"]["point_f1_3px"]),
            "F1 % at 5 px": percent(cell["point_f1_5px"], cell["interval"]["point_f1_5px"]),
            "error px": number(cell["point_error_px"], ".2f"),
            "score above": number(cell["threshold"], ".3g"),
        }
        for _, cell in cells.iterrows()
    ]
    return DataFrame(rows)


def detection_answer(cells: DataFrame, titles: dict[str, str], methods: list[str]) -> str:
    """A paragraph that says what the swap changed: each row with `-gaussian` beside the one without."""
    sentences = []
    for dataset, group in cells.groupby("dataset", sort=False):
        means = group.groupby("method")[["box_ap50", "point_ap_3px"]].mean() * 100
        for name in methods:
            swapped = f"{name}-gaussian"
            if name in means.index and swapped in means.index:
                change = means.loc[swapped] - means.loc[name]
                sentences.append(
                    f"On **{dataset}** the swap changes {label(name, titles)} by {change['box_ap50']:+.2f} points of "
                    f"AP50 (to {means.loc[swapped, 'box_ap50']:.2f}) and {change['point_ap_3px']:+.2f} of centroid AP."
                )
    if len(set(cells["seed"])) == 1:
        sentences.append("One seed only: what another seed would change is not known, so no claim is made.")
    return " ".join(sentences)


def orientation_answer(learnt: DataFrame, choices: DataFrame, turning: DataFrame, equivariance: DataFrame) -> str:
    """A paragraph that says what the oriented kernels have learnt and do."""
    sigma, angle = learnt["sigma_px"], learnt["angle_deg"]
    most = choices.groupby("layer")["share"].max()
    errors = equivariance.groupby("kernel", sort=False)["error"].mean() * 100
    swing = turning[turning["chosen"] == 1].groupby("layer", sort=False)["response"].agg(lambda r: r.min() / r.max())
    return " ".join(
        [
            f"Widths have moved from 1.5 px to {sigma.min():.2f} … {sigma.max():.2f} px and angles by up to "
            f"{angle.abs().max():.1f}° over {len(learnt)} layers.",
            f"The angle chosen most often takes {most.min():.0%} to {most.max():.0%} of a layer's pixels "
            f"({1 / choices.groupby('layer')['share'].size().max():.0%} by chance).",
            f"The chosen answer to a turning target never falls below {swing.min():.0%} of its best.",
            f"Turned images cost {errors.min():.1f} % (interpolation alone) to {errors.max():.0f} % "
            f"({errors.idxmax()}) of the answer.",
        ]
    )
