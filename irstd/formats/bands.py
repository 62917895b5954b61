"""Pictures taken out of Pillow some rows at a time: all at once, large ones would take more than a gigabyte."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy import ndarray
from PIL import Image

LARGEST_WIDE_PX = 96_000_000  # in colours, or of four bytes a pixel: Pillow and a copy take seven or eight
BAND_PX = 1 << 20  # pixels that are converted at a time


def bands(high: int, wide: int) -> Iterator[slice]:
    """Rows of a picture, some at a time."""
    step = max(1, BAND_PX // max(wide, 1))
    return (slice(top, min(top + step, high)) for top in range(0, high, step))


def grey(image: Image.Image) -> ndarray:
    """Levels of an image of one channel, (H, W), in this machine's order of bytes.

    Raises:
        ValueError: they are too many.
    """
    kind = np.asarray(image.crop((0, 0, 1, 1))).dtype.newbyteorder("=")
    if kind.itemsize > 2:
        _refuse(image.width, image.height, LARGEST_WIDE_PX, "of four bytes")
    held = np.empty((image.height, image.width), kind)
    for rows in bands(image.height, image.width):
        held[rows] = np.asarray(image.crop((0, rows.start, image.width, rows.stop)))
    return held


def coloured(image: Image.Image, mode: str) -> tuple[ndarray, ndarray | None]:
    """Colours, (H, W, 3), or (H, W) where channels are equal everywhere; and transparency, (H, W), if `mode` is RGBA.

    Raises:
        ValueError: there are too many.
    """
    wide, high = image.size
    plain = np.empty((high, wide), np.uint8)
    colours: ndarray | None = None
    alpha = np.full((high, wide), 255, np.uint8) if mode == "RGBA" else None
    for rows in bands(high, wide):
        band = np.asarray(image.crop((0, rows.start, wide, rows.stop)).convert(mode))
        if alpha is not None:
            alpha[rows] = band[..., 3]
        if colours is None and not is_grey(band[..., :3]):
            _refuse(wide, high, LARGEST_WIDE_PX, "of colours")
            colours = np.empty((high, wide, 3), np.uint8)
            colours[: rows.start] = plain[: rows.start, :, None]
            plain = np.empty((0, wide), np.uint8)  # and its memory free
        if colours is None:
            plain[rows] = band[..., 0]
        else:
            colours[rows] = band[..., :3]
    if colours is not None and alpha is not None and alpha.min(initial=255) < 255:
        _refuse(wide, high, LARGEST_WIDE_PX // 2, "of colours that are transparent")
    return (plain if colours is None else colours), alpha


def _refuse(wide: int, high: int, most: int, what: str) -> None:
    if wide * high > most:
        raise ValueError(f"{wide}×{high} px {what}, more than {most:,}; save it grey, or cut it into pieces")


def is_grey(colours: ndarray) -> bool:
    """Whether the three channels are equal everywhere."""
    first = colours[..., 0]
    return all(np.array_equal(first, colours[..., channel]) for channel in (1, 2))
