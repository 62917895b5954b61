"""Where a network in training fires wrongly, so that crops can be placed there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.ndimage import label, maximum, maximum_position
from scipy.spatial.distance import cdist
from torch import Tensor

from irstd.inference.predict import Predicted
from irstd.training.selection import WITHIN_PX

MOST = 8  # places of a scene, the strongest


def false_alarms(
    one: Predicted, mask: Bool[ndarray, "H W"] | None, centres: Float[ndarray, "T 2"], threshold: float
) -> Float[ndarray, "K 2"]:
    """Row and col (px) of the strongest false alarms of one image, the strongest first, at most `MOST`.

    Of a map: the highest pixel of each region above the threshold that touches no target, or, without a mask, that has
    no centre of a target within 3 px. Of a method's own points: those with no centre within 3 px.
    """
    touched = None
    if one.points is not None:
        at, strength = np.split(one.points[one.points[:, 2] > threshold], [2], axis=1)
    else:
        assert one.score is not None
        regions, count = label(one.score > threshold, np.ones((3, 3)))
        numbers = np.arange(1, count + 1)
        at = np.array(maximum_position(one.score, regions, numbers), float).reshape(-1, 2)
        strength = np.array(maximum(one.score, regions, numbers), float)
        if mask is not None:
            touched = np.isin(numbers, regions[mask])
    if touched is None:
        touched = cdist(at, np.reshape(centres, (-1, 2))).min(1, initial=np.inf) <= WITHIN_PX
    order = np.argsort(-strength.ravel()[~touched], kind="stable")[:MOST]
    return at[~touched][order]


def table(found: Sequence[Float[ndarray, "_K 2"]]) -> Float[Tensor, "N K 2"]:
    """The false alarms of all images as one table, NaN where one has fewer than another."""
    whole = np.full((len(found), max([1, *map(len, found)]), 2), np.nan, np.float32)
    for row, at in zip(whole, found, strict=True):
        row[: len(at)] = at
    return torch.from_numpy(whole)
