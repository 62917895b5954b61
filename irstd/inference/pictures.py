"""Anyone's pictures through a network: overlays, masks, score maps and a table of points. Needs no torch."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8, UInt16
from numpy import ndarray

from irstd.formats import coco
from irstd.formats.marks import Mark
from irstd.inference import tiles
from irstd.inference.sources import BOXES, Picture, files, make_room, read
from irstd.inference.tiles import Whole
from irstd.metrics.levels import HALF, TOP, level
from irstd.metrics.regions import regions

__all__ = ["Answer", "Picture", "answers", "files", "make_room", "overlay", "read", "write"]

SHOWN_PX, MOST_SHOWN_PX = 768, 4096  # sides of an overlay are at least, and at most, this long
FOUND = (60, 180, 255)  # colour of what was found, blue, green, red


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found in a picture. levels: 16-bit scores (`irstd.metrics.levels.encode`), or None. mask: true where
    predicted, or None of a method without a map. points: row, col (px) and score of each target found. areas: px of
    each, or None. boxes: top, left, height and width (px) of each, or None. tiles: in how many pieces the picture was
    taken.
    """

    picture: Picture
    levels: UInt16[ndarray, "H W"] | None
    mask: Bool[ndarray, "H W"] | None
    points: Float[ndarray, "N 3"]
    areas: list[int] | None
    tiles: int = 1
    boxes: Int64[ndarray, "N 4"] | None = None

    @property
    def scores(self) -> Float[ndarray, "H W"] | None:
        """The score of each pixel, in [0, 1]; None of a method without a map."""
        return None if self.levels is None else self.levels / TOP


def answers(
    network: tiles.Network,
    pictures: Iterable[Picture],
    threshold: float,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Answer]:
    """What is found in each picture, one at a time; large ones in tiles, see `irstd.inference.tiles`.

    Args:
        threshold: of the score, exceeded by what counts as found.
        progress: called with the number of tiles of a picture that are done and of all.
    """
    for picture in pictures:
        yield _answer(picture, tiles.run(network, picture.grey, progress=progress), threshold)


def _answer(picture: Picture, found: Whole, threshold: float) -> Answer:
    points = None if found.points is None else found.points[found.points[:, 2] > threshold]
    if found.levels is None:
        assert points is not None
        return Answer(picture, None, None, points, None, found.tiles)
    mask = found.levels > level(threshold)
    if points is not None:
        return Answer(picture, found.levels, mask, points, None, found.tiles)
    parts = regions(mask)
    surest = np.zeros(len(parts), np.uint16)
    np.maximum.at(surest, parts.labels.ravel()[parts.pixels].astype(np.int64) - 1, found.levels.ravel()[parts.pixels])
    points = np.column_stack([parts.centroids, surest / (2.0 * HALF)])
    return Answer(picture, found.levels, mask, points, parts.areas.tolist(), found.tiles, parts.boxes)


def overlay(answer: Answer) -> UInt8[ndarray, "h w 3"]:
    """The picture with regions outlined and targets circled; enlarged by a whole number of times if small, and made
    smaller if large.
    """
    grey = answer.picture.grey
    low, high = np.percentile(grey, [0.5, 99.8])
    table = np.clip((np.arange(256) - low) * (255 / max(high - low, 1)), 0, 255).astype(np.uint8)
    shown, longest = cv2.LUT(grey, table), max(grey.shape)
    times = float(max(1, -(-SHOWN_PX // longest)))
    if longest > MOST_SHOWN_PX:
        times = 1 / -(-longest // MOST_SHOWN_PX)
        size = (max(1, round(grey.shape[1] * times)), max(1, round(grey.shape[0] * times)))
        canvas = cv2.cvtColor(cv2.resize(shown, size, interpolation=cv2.INTER_AREA), cv2.COLOR_GRAY2BGR)
    else:
        canvas = cv2.cvtColor(_enlarged(shown, int(times)), cv2.COLOR_GRAY2BGR)
        if answer.mask is not None:
            large = _enlarged(answer.mask.view(np.uint8), int(times))
            outlines, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(canvas, outlines, -1, FOUND, 1)
    for row, col, score in answer.points.tolist():
        # Places are whole at the centres of pixels, here of enlarged ones.
        x, y = (round((place + 0.5) * times - 0.5) for place in (col, row))
        radius = max(12, int(5 * times))
        cv2.circle(canvas, (x, y), radius, FOUND, 1, cv2.LINE_AA)
        beside = (min(x + radius, canvas.shape[1] - 34), max(y - radius, 10))
        cv2.putText(canvas, f"{score:.2f}", beside, cv2.FONT_HERSHEY_SIMPLEX, 0.4, FOUND, 1, cv2.LINE_AA)
    return canvas


def _enlarged(image: UInt8[ndarray, "H W"], times: int) -> UInt8[ndarray, "h w"]:
    return image if times == 1 else image.repeat(times, 0).repeat(times, 1)


def write(found: Iterable[Answer], folder: Path) -> Iterator[Answer]:
    """Writes overlays/ and points.csv, and where there is a map masks/, scores/ and boxes.json; passes on.

    boxes.json is a COCO file with a score for each box, whose images are called as the overlays are.
    """
    marks: dict[str, list[Mark]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    with (folder / "points.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("name", "row", "col", "score", "area_px"))
        for one in found:
            name = one.picture.title
            _write_image(folder / "overlays", name, overlay(one))
            if one.mask is not None and one.levels is not None:
                _write_image(folder / "masks", name, one.mask.view(np.uint8) * np.uint8(255))
                _write_image(folder / "scores", name, one.levels)
            if one.boxes is not None:
                sizes[name] = one.picture.grey.shape
                marks[name] = [
                    Mark(name, (top - 0.5, left - 0.5, top + tall - 0.5, left + wide - 0.5), round(score, 4))
                    for (top, left, tall, wide), score in zip(
                        one.boxes.tolist(), one.points[:, 2].tolist(), strict=True
                    )
                ]
            areas = [""] * len(one.points) if one.areas is None else one.areas
            for (row, col, score), area in zip(one.points.tolist(), areas, strict=True):
                table.writerow((name, f"{row:.2f}", f"{col:.2f}", f"{score:.4f}", area))
            yield one
    if sizes:
        (folder / BOXES).write_text(json.dumps(coco.content(marks, sizes)), encoding="utf-8")


def _write_image(folder: Path, name: str, image: ndarray) -> None:
    path = folder / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    done, packed = cv2.imencode(".png", image)
    assert done
    path.write_bytes(packed.data)
