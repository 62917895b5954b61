"""Score maps as programs write them: which array is the map, and which number is the score 1."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from irstd.errors import InputError
from irstd.formats import bands, masks, pixels
from irstd.formats.known import Stretch
from irstd.formats.masks import Value
from irstd.formats.names import shown
from irstd.formats.pixels import Pixels, UnreadableError
from irstd.metrics.compiled import resized

ROUNDING = {2: 2e-3, 4: 1e-5, 8: 1e-6}  # bytes of a float: by how much it may leave [0, 1] by rounding alone


def load(path: Path, key: str | None = None) -> tuple[ndarray, list[str]]:
    """The map in a file as it is, and what was chosen.

    Returns:
        (H, W) of bool, integers or floats.

    Raises:
        UnreadableError: as `irstd.formats.pixels.read`; or its axes or colours are no map's.
    """
    given = pixels.read(path, key)
    values, notes = flat(given)
    return values, [*given.notes, *notes]


def flat(given: Pixels) -> tuple[ndarray, list[str]]:
    """The one map in what a file holds: without axes of length one, of a softmax pair the target's channel."""
    values = pixels.flat(given.values)
    if given.alpha is not None or (values.ndim == 3 and values.dtype == np.uint8 and values.shape[-1] in (3, 4)):
        return _of_colours(given), []
    if values.ndim == 3 and values.shape[-1] in (3, 4) and bands.is_grey(values):
        values = values[..., 0]
    if values.ndim == 3 and 2 in (values.shape[0], values.shape[-1]):
        return _of_pair(values)
    if values.ndim != 2 or values.dtype.kind not in "buif":
        many = values.ndim == 3 and values.shape[0] > 1
        what = f", {values.shape[0]} maps" if many else ""
        raise UnreadableError(f"{values.dtype} of shape {given.values.shape}{what}; save one map per scene")
    return values, []


def _of_colours(given: Pixels) -> ndarray:
    layer = masks.layer(given)
    if not layer.colour:
        return layer.codes
    found, _ = masks.counted(layer.codes)
    if len(found) > 2 or found[0] != 0:
        named = shown((f"#{int(code):06x}" for code in found), 4)
        raise UnreadableError(f"colours {named}; save scores as grey levels, or masks as 0 and 255")
    return layer.codes != 0


def _of_pair(values: ndarray) -> tuple[ndarray, list[str]]:
    first, second = values if values.shape[0] == 2 else (values[..., 0], values[..., 1])
    if values.dtype.kind != "f" and set(np.unique(values)) - {0, 1}:
        raise UnreadableError(f"{values.dtype} of shape {values.shape}, two channels; save the map of targets alone")
    one = first.astype(float) + second
    if not np.allclose(one, 1, atol=5e-3):
        raise UnreadableError(
            f"{values.dtype} of shape {values.shape}, two channels that do not add up to 1; save one map"
        )
    if second.mean(dtype=float) > 0.5:
        raise UnreadableError(
            f"shape {values.shape}, whose second channel is mostly above one half; save the map of targets"
        )
    return second, ["of two channels that add up to 1, the second is taken as the target's"]


def tops_of(arrays: Mapping[str, ndarray], where: str, *, scores: bool = False) -> tuple[dict[str, Value], list[str]]:
    """The integer that stands for the score 1 in each of a folder's maps of integers, and what was assumed.

    Where all maps hold 0 and one other value, or 0 and the highest of masks of one, 8 or 16 bits, that value, for they
    are masks; else 255, or 65535 in maps of more than 8 bits of which one is above 255.

    Args:
        arrays: by name. where: for messages.
        scores: whether values are known to be scores, so that small ones are that and no masks.

    Raises:
        InputError: small whole numbers that may be ids of targets, or very weak scores.
    """
    whole = {name: a for name, a in arrays.items() if a.dtype.kind in "ui"}
    highest = {name: int(a.max(initial=0)) for name, a in whole.items()}
    most = max(highest.values(), default=0)
    if most == 1:
        return dict.fromkeys(whole, 1), ["all values are 0 and 1: taken as masks"]
    deep = {name for name, a in whole.items() if a.dtype.itemsize > 1}
    wide = 65535 if max((highest[name] for name in deep), default=0) > 255 else 255
    tops: dict[str, Value] = {name: wide if name in deep else 255 for name in whole}
    notes = ["integers of 16 bits, none above 255: taken as 8 bits"] if deep and wide == 255 and most else []
    if wide > 255 and len(deep) < len(whole):
        notes.append(f"{len(deep)} maps of more than 8 bits are over {wide}, {len(whole) - len(deep)} others over 255")
    if scores or not most:
        return tops, notes
    two = all(not a[(a != 0) & (a != highest[name])].size for name, a in whole.items())
    values = sorted({value for value in highest.values() if value})
    # One value that is more than half of what is possible counts as found either way.
    weak = any(0 < value <= tops[name] // 2 for name, value in highest.items())
    if two and weak and (len(values) == 1 or set(values) <= {1, 255, 65535}):
        held = f"all values are 0 and {most}"
        if len(values) > 1:
            held = f"every map holds 0 and at most one other value ({shown(map(str, values))})"
        return {name: max(value, 1) for name, value in highest.items()}, [f"{held}: taken as masks"]
    if most <= masks.LARGEST_ID:
        raise InputError(
            f"{where} holds whole numbers up to {most}, which may be ids of targets or very weak scores; save masks "
            "as 0 and 255, or take them as scores with --threshold"
        )
    return tops, notes


def as_scores(array: ndarray, top: Value) -> Float[ndarray, "_H _W"]:
    """Scores of what `load` gives: integers over `top`, floats and masks as they are."""
    return array.astype(float) if array.dtype.kind in "bf" else array / float(top)


def logistic(array: ndarray) -> Float[ndarray, "_H _W"]:
    """Logits as scores; what is no number stays none."""
    return 1 / (1 + np.exp(-np.clip(array.astype(float), -700, 700)))


def rounded(scores: Float[ndarray, "_H _W"], itemsize: int) -> Float[ndarray, "_H _W"]:
    """Scores that leave [0, 1] by no more than rounding, put back; others as they are.

    Args:
        itemsize: bytes of the float that was stored.
    """
    low, high = float(scores.min(initial=0)), float(scores.max(initial=0))
    slack = ROUNDING.get(itemsize, 1e-6)
    if (low < 0 or high > 1) and low >= -slack and high <= 1 + slack:
        return scores.clip(0, 1)
    return scores


def spread(array: ndarray, how: Stretch) -> Float[ndarray, "_H _W"]:
    """A response of any range as scores: `range`, its lowest is 0 and its highest 1; `max`, over its highest.

    A map without contrast has no detection.
    """
    values = array.astype(float)
    low = float(values.min(initial=np.inf)) if how == "range" else 0.0
    high = float(values.max(initial=-np.inf))
    if not high > low:
        return np.zeros(values.shape)
    return ((values - low) / (high - low)).clip(0, 1)


def fitted(scores: Float[ndarray, "_H _W"], size: tuple[int, int]) -> Float[ndarray, "_h _w"]:
    """A map at another size, height and width in px, bilinearly."""
    return resized(scores, size).clip(0, 1)
