"""Ten small cases on which the conventions of the field's code differ, drawn and scored.

Each is one or two images of a mask and a score; the letters are those of the docs page.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, UInt16
from numpy import ndarray

from irstd.metrics.conventions import CONVENTIONS
from irstd.metrics.counts import Pair, count, iou, pool
from irstd.metrics.levels import TOP

SIDE_PX = 24
Box = tuple[int, int, int, int]  # top, left, height, width, px


@dataclass(frozen=True, slots=True)
class Case:
    """letter, title: what it is about. images: for each, boxes of targets and of predictions. score: of these."""

    letter: str
    title: str
    images: tuple[tuple[tuple[Box, ...], tuple[Box, ...]], ...]
    score: float = 1.0


SPOT: Box = (4, 4, 3, 3)
CASES = (
    Case("A", "a hit of 9 px, and two false regions of 9 px", (((SPOT,), (SPOT, (17, 17, 3, 3), (17, 4, 3, 3))),)),
    Case("B", "centroids exactly 3 px apart, no overlap", (((SPOT,), ((4, 7, 3, 3),)),)),
    Case("C", "half of a large target: centroids 3.5 px apart", ((((4, 4, 14, 14),), ((4, 4, 14, 7),)),)),
    Case("D", "one region over two targets", (((SPOT, (4, 8, 3, 3)), ((4, 4, 3, 7),)),)),
    Case("E", "a target found in two fragments", (((SPOT,), ((4, 4, 3, 1), (4, 6, 3, 1))),)),
    Case("F", "a hit; and an image with neither target nor prediction", (((SPOT,), (SPOT,)), ((), ()))),
    Case("G", "a hit that spills 40 px beyond the target", ((((8, 8, 3, 3),), ((6, 6, 7, 7),)),)),
    Case("H", "a hit in the corner, and a stray pixel 2 px away", ((((0, 0, 2, 2),), ((0, 0, 2, 2), (0, 3, 1, 1))),)),
    Case("I", "a score of exactly one half on the target", (((SPOT,), (SPOT,)),), score=0.5),
    Case("J", "two squares that touch at a corner", ((((4, 4, 2, 2), (6, 6, 2, 2)), ((4, 4, 2, 2), (6, 6, 2, 2))),)),
)


def paint(boxes: tuple[Box, ...], side: int = SIDE_PX) -> Bool[ndarray, "H W"]:
    """True in the boxes."""
    mask = np.zeros((side, side), bool)
    for top, left, height, width in boxes:
        mask[top : top + height, left : left + width] = True
    return mask


def pairs(case: Case) -> list[Pair]:
    """Truth and prediction of each image of a case."""
    level = np.uint16(round(case.score * TOP))
    drawn: list[tuple[ndarray, UInt16[ndarray, "H W"]]] = [
        (paint(truth), paint(found).astype(np.uint16) * level) for truth, found in case.images
    ]
    return [Pair(mask, levels) for mask, levels in drawn]


def scored() -> pd.DataFrame:
    """One row per case and convention: Pd, false pixels and IoU; empty where the convention does not say or stops."""
    rows = []
    for case in CASES:
        for convention in CONVENTIONS.values():
            images = pairs(case)
            total = pool((count(image, convention).counts for image in images), convention)
            stops = convention.stops_at_empty and not all(image.mask.any() for image in images)
            silent = stops or convention.match == "none"
            rows.append(
                {
                    "case": case.letter,
                    "convention": convention.name,
                    "pd": None if silent else total.pd,
                    "false_pixels": None if silent or convention.false is None else total.false_pixels,
                    "iou": None if stops else iou(total, convention),
                }
            )
    return pd.DataFrame(rows)


def drawn() -> pd.DataFrame:
    """One row per pixel that is true or predicted: case, image, row, col, true, score; for drawing the cases."""
    rows = []
    for case in CASES:
        for number, image in enumerate(pairs(case)):
            assert image.levels is not None
            for row, col in np.argwhere(image.mask | (image.levels > 0)).tolist():
                score = image.levels[row, col] / TOP
                rows.append((case.letter, case.title, number, row, col, int(image.mask[row, col]), score))
    return pd.DataFrame(rows, columns=["case", "title", "image", "row", "col", "true", "score"])
