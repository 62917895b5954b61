"""What methods miss and invent: which targets, shared by whom, and in how few images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


def found(per_target: pd.DataFrame, order: Sequence[str]) -> pd.DataFrame:
    """The share of its trainings in which each method finds each target: one row per target, one column per method.

    Args:
        per_target: of one dataset, with `method` and `seed`.
        order: methods, which become columns in this order where they have results.

    Returns:
        Indexed by (name, target), hardest first: what the fewest find, then by name.
    """
    wide = per_target.pivot_table(index=["name", "target"], columns="method", values="detected", aggfunc="mean")
    wide = wide.reindex(columns=[m for m in order if m in wide])
    hardness = wide.mean(axis=1)
    return wide.assign(_share=hardness).sort_values(["_share", "name", "target"]).drop(columns="_share")


def shared(wide: pd.DataFrame) -> pd.DataFrame:
    """How far two methods miss the same targets: targets that both miss over targets that either misses (Jaccard).

    Args:
        wide: from `found`; a target counts as missed where at most half of the trainings find it.

    Returns:
        A square table of methods; nan where neither of the two misses any.
    """
    missed = wide.to_numpy() <= 0.5
    both = (missed[:, :, None] & missed[:, None, :]).sum(0)
    either = (missed[:, :, None] | missed[:, None, :]).sum(0)
    shares = np.where(either > 0, both / np.maximum(either, 1), np.nan)
    return pd.DataFrame(shares, index=wide.columns, columns=wide.columns)


def concentration(per_image: pd.DataFrame) -> pd.DataFrame:
    """In how few images false pixels are: the share of all of them in the worst images.

    Args:
        per_image: of one dataset, with `method` and `seed`; without false pixels for methods of points.

    Returns:
        One row per method and image, worst first: method, images (share so far), false_pixels (share so far). Methods
        without false pixels have no row.
    """
    tables = []
    for method, rows in per_image.groupby("method", sort=False):
        per_scene = rows.groupby("name")["false_pixels"].mean().sort_values(ascending=False)
        if not per_scene.sum() > 0:
            continue
        share = np.arange(1, len(per_scene) + 1) / len(per_scene)
        tables.append(
            pd.DataFrame({"method": method, "images": share, "false_pixels": per_scene.cumsum() / per_scene.sum()})
        )
    return (
        pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["method", "images", "false_pixels"])
    )
