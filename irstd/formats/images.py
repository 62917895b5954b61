"""Images as networks take them: grey levels of 8 bits, of whatever a file holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from irstd.formats import pixels
from irstd.formats.pixels import UnreadableError

Levels = tuple[float, float]
LUMA = (0.299, 0.587, 0.114)  # ITU-601


@dataclass(frozen=True, slots=True)
class Grey:
    """An image. levels: (H, W). colour: whether its channels differ. stretched: the levels that became 0 and 255 in an
    image of more than 8 bits, or None. notes: what else was done to get there.
    """

    levels: UInt8[ndarray, "H W"]
    colour: bool = False
    stretched: Levels | None = None
    notes: tuple[str, ...] = ()


def read(path: Path, levels: Levels | None = None, key: str | None = None) -> Grey:
    """An image file as grey levels: colours as ITU-601 luma, ranges other than 8 bits stretched to 0 to 255.

    Args:
        levels: that become 0 and 255, instead of the image's lowest and highest; not for images of 8 bits, which stay
            as they are. A hot pixel squeezes all others where this is not given.
        key: of the array in an `.npz` or `.mat` with several.

    Raises:
        UnreadableError: as `irstd.formats.pixels.read`; or it is no image, or has pixels that are no numbers.
    """
    given = pixels.read(path, key)
    values, notes = pixels.flat(given.values), list(given.notes)
    if given.alpha is not None:
        notes.append("transparency left out")
    if values.ndim == 3 and values.shape[-1] not in (3, 4) and path.suffix.lower() in pixels.PICTURES:
        notes.append(f"the first of {len(values)} pages")
        values = values[0]
    if values.ndim == 3 and values.shape[-1] in (3, 4):
        values = values[..., :3]
        values = values[..., 0] if (values[..., :1] == values).all() else values
    if values.ndim not in (2, 3) or 0 in values.shape or (values.ndim == 3 and values.shape[-1] != 3):
        raise UnreadableError(f"{values.dtype} of shape {given.values.shape} is no image")
    colour = values.ndim == 3
    if values.dtype == bool:
        values = values.view(np.uint8) * np.uint8(255)
    if colour:
        notes.append("colours taken as luma")
        values = _luma(values)
    if values.dtype == np.uint8:
        notes += ["8 bits, not stretched"] if levels else []
        return Grey(values, colour, None, tuple(notes))
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise UnreadableError("pixels that are no numbers")
    low, high = levels or (float(values.min()), float(values.max()))
    return Grey(stretch(values, low, high), colour, (low, high), tuple(notes))


def stretch(values: ndarray, low: float, high: float) -> UInt8[ndarray, "H W"]:
    """Numbers of any range as 8 bits, rows by rows, so that large images take little memory."""
    grey = np.empty(values.shape, np.uint8)
    scale = 255 / max(high - low, 1e-12)
    rows = max(1, (1 << 22) // max(1, values.shape[1]))
    for start in range(0, len(values), rows):
        part = values[start : start + rows].astype(float)
        grey[start : start + rows] = np.rint(np.clip((part - low) * scale, 0, 255))
    return grey


def _luma(values: ndarray) -> ndarray:
    if values.dtype == np.uint8:
        return np.asarray(Image.fromarray(np.ascontiguousarray(values)).convert("L"))
    mixed = values[..., 0] * LUMA[0] + values[..., 1] * LUMA[1] + values[..., 2] * LUMA[2]
    return mixed.astype(np.float32) if values.dtype.kind == "f" else np.rint(mixed).astype(values.dtype)
