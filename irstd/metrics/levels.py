"""Scores as they are stored: in 16 bits, one level exactly at one half. Needs NumPy alone."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

HALF = 32767  # level of the score 0.5, and of no other
TOP = 2 * HALF  # of the score 1


def encode(score: Float[ndarray, "H W"]) -> ndarray:
    """Scores in [0, 1] as 16-bit levels; which side of one half a score is on never changes.

    >>> encode(np.array([[0.0, 0.5, 0.5000001, 1.0]])).tolist()
    [[0, 32767, 32768, 65534]]
    """
    levels = np.rint(score * float(TOP)).astype(np.uint16)
    levels[(levels == HALF) & (score > 0.5)] = HALF + 1
    levels[(levels == HALF) & (score < 0.5)] = HALF - 1
    return levels


def level(threshold: float) -> float:
    """`threshold` in the unit of `encode`: score > threshold exactly where level > this, for one half."""
    return threshold * float(TOP)
