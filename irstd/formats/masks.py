"""What the values of masks mean: one decision for truth of any source, made for a whole folder and said.

Any two values are background and target; small whole numbers above 0 are ids of targets; grey and JPEG masks count
above one half; colours and transparency are decided where only one reading is left, and refused by name elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from irstd.errors import InputError
from irstd.formats import bands, pixels
from irstd.formats.names import shown
from irstd.formats.pixels import Pixels, UnreadableError

Value = float | int
WHITE = 255
MOST_VALUES = 4096  # of one mask; more are measurements, no mask
LARGEST_ID = 32  # larger numbers are ids only where none below them is missing
FAINT = 32  # grey levels up to here are no soft edge of a target
NEAR_GREY = 48  # by how much the channels of a JPEG may differ where it is grey
MOST_SHARE = 0.5  # of a mask's pixels that can be small targets
DARK = 8  # grey levels up to here are the ground of a soft mask
MUCH_GREY = 0.1  # share of pixels between ground and targets, more than soft edges take


@dataclass(frozen=True, slots=True)
class Layer:
    """A mask's values on one plane, before they mean anything.

    codes: (H, W); of colours red << 16 | green << 8 | blue. colour: whether they are that. lossy: as `Pixels`.
    """

    codes: ndarray
    colour: bool = False
    lossy: bool = False


@dataclass(frozen=True)
class Meaning:
    """What values mean in a folder. groups: kind of values to its rule. notes: what was taken for what. lost: what of
    the masks is not in two levels.
    """

    groups: Mapping[str, Rule] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def grey(self, layer: Layer) -> UInt8[ndarray, "H W"]:
        """A mask as grey levels, targets above 127; 0 and 255 alone where the mask is not soft."""
        kind = _kind(layer)
        if kind == "lossy":
            return _white(layer.codes > 127)
        rule, codes = self.groups[kind], layer.codes
        if rule.top == WHITE and codes.dtype == np.uint8:
            return codes
        found = np.empty(codes.shape, np.uint8)
        for rows in bands.bands(*codes.shape):
            found[rows] = rule.grey(codes[rows], 0x010101 if rule.colour and not layer.colour else 1)
        return found


@dataclass(frozen=True, slots=True)
class Rule:
    """top: the value that is 1, of soft masks; None where every value but `background` is a target."""

    background: Value = 0
    top: Value | None = None
    colour: bool = False

    def grey(self, codes: ndarray, times: int = 1) -> ndarray:
        """Values as grey levels, targets above 127. times: what makes them those that the rule is about."""
        if times > 1:
            codes = codes.astype(np.int32) * times
        if self.top is None:
            return _white(codes != self.background)
        share = codes.astype(float) / self.top
        level = np.rint(share * WHITE)
        return np.where(share > 0.5, np.maximum(level, 128), np.minimum(level, 127))


def load(path: Path, key: str | None = None) -> Layer:
    """The values of a mask's file on one plane.

    Raises:
        UnreadableError: as `irstd.formats.pixels.read`; or colours and transparency contradict each other.
    """
    try:
        return layer(pixels.read(path, key))
    except pixels.SeveralError as several:  # no command takes a key for truth
        raise UnreadableError(f"it holds {several.names}; save the mask alone") from None


def layer(given: Pixels) -> Layer:
    """What `load` makes of a file's pixels."""
    values, alpha = pixels.flat(given.values), given.alpha
    if values.ndim == 3 and values.shape[-1] in (3, 4) and values.dtype == np.uint8:
        values = values[..., :3]
    if values.ndim == 3 and values.shape[-1] == 3 and bands.is_grey(values):
        values = values[..., 0]
    if values.ndim not in (2, 3) or (values.ndim == 3 and (values.shape[-1] != 3 or values.dtype != np.uint8)):
        raise UnreadableError(f"{values.dtype} of shape {values.shape} is no mask")
    if values.dtype == bool:
        values = values.view(np.uint8)
    if alpha is not None:
        return _of_alpha(values, alpha)
    if values.ndim == 2:
        return Layer(values, lossy=given.lossy and values.dtype == np.uint8)
    if given.lossy:
        spread = int(np.ptp(values, axis=-1).max())
        if spread > NEAR_GREY:
            raise UnreadableError("a JPEG in colours, which compression mixes; save the mask as grey PNG")
        return Layer(values[..., 1], lossy=True)
    return Layer(_codes(values), colour=True)


def _codes(values: UInt8[ndarray, "H W 3"]) -> ndarray:
    codes = values[..., 0].astype(np.int32)  # in place: large pictures have no room for one of each channel
    for channel in (1, 2):
        codes <<= 8
        codes |= values[..., channel]
    return codes


def _of_alpha(values: ndarray, alpha: UInt8[ndarray, "H W"]) -> Layer:
    """A mask drawn on a transparent ground: what is not transparent is the target, if it is of one colour."""
    codes = _codes(values) if values.ndim == 3 else values
    if set(counted(alpha)[0].tolist()) - {0, 255}:
        if len(counted(codes)[0]) == 1:
            return Layer(alpha)
        raise UnreadableError("colours and half transparent pixels; save the mask as grey PNG")
    seen, ends = alpha > 0, np.iinfo(codes.dtype)
    if codes.max(where=seen, initial=ends.min) <= codes.min(where=seen, initial=ends.max):
        return Layer(_white(seen))
    if not codes.any(where=~seen):  # on black, which is what transparent pixels hold
        return Layer(codes, colour=values.ndim == 3)
    raise UnreadableError("several colours, and transparent pixels that are not black; save the mask as grey PNG")


def _white(targets: ndarray) -> UInt8[ndarray, "..."]:
    """255 where a target is, 0 elsewhere."""
    return targets.view(np.uint8) * np.uint8(WHITE)


def _kind(one: Layer) -> str:
    if one.lossy:
        return "lossy"
    return (
        "float" if one.codes.dtype.kind == "f" else "wide" if one.codes.dtype.itemsize > 1 and not one.colour else "8"
    )


def counted(codes: ndarray) -> tuple[ndarray, ndarray]:
    """Different values, and how often each is there; of a band of rows at a time, which is sorted or widened for it."""
    each = [codes[rows].ravel() for rows in bands.bands(*codes.shape)]
    if codes.dtype == np.uint8:
        every = sum((np.bincount(band, minlength=256) for band in each), np.zeros(256, np.int64))
        return np.flatnonzero(every), every[every > 0]
    parts = [np.unique(band, return_counts=True) for band in each or [codes.ravel()]]
    values, places = np.unique(np.concatenate([found for found, _ in parts]), return_inverse=True)
    return values, np.bincount(places, np.concatenate([many for _, many in parts]), len(values)).astype(np.int64)


class Survey:
    """Values of the masks of a folder, counted; `decide` says what they mean."""

    def __init__(self, where: str) -> None:
        self.where = where
        self._counts: dict[str, dict[str, dict[Value, int]]] = {}  # kind, file, value
        self._coloured: set[str] = set()
        self._touching: set[str] = set()  # files in which pixels of two values, neither of which is 0, are neighbours

    def add(self, name: str, one: Layer) -> str:
        """Counts a mask's values; returns why they are no mask's, or an empty text."""
        if one.codes.dtype.kind == "f" and not np.isfinite(one.codes).all():
            return "NaN or infinite values in a mask"
        values, counts = counted(one.codes)
        if len(values) > MOST_VALUES:
            return f"{len(values)} different values, {values[0]:g} to {values[-1]:g}, are no mask's"
        if one.colour:
            self._coloured.add(name)
        elif len(values) > 2 and values[0] == 0 and _touch(one.codes):
            self._touching.add(name)
        held = self._counts.setdefault(_kind(one), {})
        held[name] = dict(zip(values.tolist(), counts.tolist(), strict=True))
        return ""

    def decide(self) -> Meaning:
        """What the values mean.

        Raises:
            InputError: more than one reading is left, most of a mask is target, or no mask has a target.
        """
        groups, notes, lost = {}, [], []
        many: dict[str, float] = {}
        targets = 0
        for kind, files in self._counts.items():
            if kind == "lossy":
                rule = Rule(top=WHITE)
                notes.append(f"{len(files)} masks are JPEG or alike: pixels above 127 are targets")
                lost.append("grey levels of JPEG masks")
                self._refuse_pictures(files, WHITE)
            else:
                rule, note = self._rule(kind, files)
                notes += [note] if note else []
                lost += ["grey levels of soft masks"] if rule.top is not None else []
                if rule.top is None and (touching := sorted(self._touching & files.keys())):
                    notes.append(f"targets of several ids touch in {shown(touching)}: those that do count as one")
                    lost.append(f"ids of targets that touch and become one, in {shown(touching)}")
            groups[kind] = rule
            if dim := [name for name, counts in files.items() if _dim(rule, counts)]:
                notes.append(
                    f"no target, since no pixel is above one half, in {shown(dim)}; if there is one, save it as 255"
                )
            for name, counts in files.items():
                grey = rule.colour and name not in self._coloured
                true = sum(n for v, n in counts.items() if _counts(rule, v * 0x010101 if grey else v))
                targets += true
                if true > MOST_SHARE * sum(counts.values()):
                    many[name] = true / sum(counts.values())
        if many:
            named = shown(f"{name} ({share:.1%})" for name, share in many.items())
            raise InputError(
                f"{self.where}: most pixels are targets in {named}; the masks seem inverted, save targets as 255 on 0"
            )
        if not targets and self._counts:
            found = sorted({value for files in self._counts.values() for counts in files.values() for value in counts})
            values = shown((self._named(value) for value in found), 8)
            raise InputError(f"{self.where}: no mask has a target (values {values}); save targets as 255 on 0")
        return Meaning(groups, notes, lost)

    def _rule(self, kind: str, files: Mapping[str, Mapping[Value, int]]) -> tuple[Rule, str]:
        colour = kind == "8" and bool(self._coloured)
        total: dict[Value, int] = {}
        for counts in files.values():
            for value, count in counts.items():
                total[value] = total.get(value, 0) + count
        if colour:
            # Grey files among coloured ones hold codes of one byte; see `Meaning.grey`.
            total = self._as_colours(files)
        found = sorted(total)
        if len(found) == 1:
            return Rule(0, None, colour), ""
        nonzero = [value for value in found if value]
        if len(found) == 2:
            background = 0 if found[0] == 0 else max(found, key=lambda value: total[value])
            usual = not colour and found in ([0, 1], [0, WHITE], [0, 65535])
            two = " and ".join(self._named(v, colour=colour) for v in found)
            note = "" if usual else f"masks hold {two}: {self._named(background, colour=colour)} is background"
            return Rule(background, None, colour), note
        if colour:
            raise self._unclear(found, total, "more than two colours", colour=True)
        if 0 in found and all(len(counts) == 1 or (len(counts) == 2 and 0 in counts) for counts in files.values()):
            return Rule(), f"masks hold 0 and one other value each ({shown(map(self._named, nonzero))}): targets"
        return self._of_levels(files, total)

    def _of_levels(self, files: Mapping[str, Mapping[Value, int]], total: Mapping[Value, int]) -> tuple[Rule, str]:
        """The rule for more than two values: ids, or grey levels."""
        found = sorted(total)
        low, high = found[0], found[-1]
        if any(value != int(value) for value in found):
            if not (low >= -1e-6 and high <= 1 + 1e-6):
                raise self._unclear(found, total, "fractions outside 0 to 1")
            if high <= 0.5:
                raise self._unclear(found, total, "no value above one half")
            self._refuse_pictures(files, 1.0)
            return Rule(top=1.0), "soft masks: pixels above one half are targets"
        if low < 0:
            raise self._unclear(found, total, "negative numbers")
        gapless = found == list(range(int(high) + 1))
        if high <= 127 or (gapless and high < WHITE):
            if low == 0 and (high <= LARGEST_ID or (gapless and high <= 127)):
                return Rule(), f"masks hold whole numbers up to {high:g}: ids, all above 0 are targets"
            raise self._unclear(found, total, "neither ids nor grey levels")
        top = WHITE if high <= WHITE else 65535
        self._refuse_pictures(files, top)
        if high > 65535 or high <= top // 2:
            raise self._unclear(found, total, f"no value above one half of {top}")
        faint = sum(n for value, n in total.items() if 0 < value <= FAINT)
        bright = sum(n for value, n in total.items() if value > top // 2)
        few = len(found) <= 4
        if few and (high < top or faint > bright):
            raise self._unclear(found, total, "classes, or grey levels")
        grey = sum(1 for counts in files.values() if set(counts) - {0, top})
        note = f"{grey} masks have grey levels: pixels above {top // 2} are targets"
        if few:  # perhaps classes, or a border that is to be ignored
            held = " and ".join(f"{self._named(v)} ({total[v]} px)" for v in found if v <= top // 2 and v)
            note += f", and {held} are not"
        return Rule(top=top), note

    def _refuse_pictures(self, files: Mapping[str, Mapping[Value, int]], top: Value) -> None:
        """Raises InputError for masks most of whose pixels are not dark, and many of these no targets."""
        pictures = []
        for name, counts in files.items():
            whole = sum(counts.values())
            light = sum(count for value, count in counts.items() if value / top > DARK / WHITE)
            grey = sum(count for value, count in counts.items() if DARK / WHITE < value / top <= 0.5)
            pictures += [name] if light > MOST_SHARE * whole and grey > MUCH_GREY * whole else []
        if pictures:
            raise InputError(
                f"{self.where}: most pixels of {shown(pictures)} are grey, as in pictures; give the folder of masks "
                "alone"
            )

    def _as_colours(self, files: Mapping[str, Mapping[Value, int]]) -> dict[Value, int]:
        total: dict[Value, int] = {}
        for name, counts in files.items():
            for value, count in counts.items():
                code = value if name in self._coloured else value * 0x010101
                total[code] = total.get(code, 0) + count
        return total

    def _unclear(self, found: list[Value], total: Mapping[Value, int], why: str, *, colour: bool = False) -> InputError:
        often = sorted(found, key=lambda value: -total[value])
        named = shown((f"{self._named(v, colour=colour)} ({total[v]} px)" for v in often), 6)
        return InputError(f"{self.where}: masks hold {named}: {why}; save background as 0 and targets as 255")

    @staticmethod
    def _named(value: Value, *, colour: bool = False) -> str:
        return f"#{int(value):06x}" if colour or value > 65535 else f"{value:g}"


def _touch(codes: ndarray) -> bool:
    """Whether pixels of two values other than 0 are neighbours."""
    for rows in bands.bands(*codes.shape):
        part = codes[max(rows.start - 1, 0) : rows.stop]
        for a, b in (
            (part[1:], part[:-1]), (part[:, 1:], part[:, :-1]),
            (part[1:, 1:], part[:-1, :-1]), (part[1:, :-1], part[:-1, 1:]),
        ):  # fmt: skip
            if ((a != b) & (a != 0) & (b != 0)).any():
                return True
    return False


def _counts(rule: Rule, value: Value) -> bool:
    """Whether a value is a target's."""
    return value != rule.background if rule.top is None else value > rule.top / 2


def _dim(rule: Rule, counts: Iterable[Value]) -> bool:
    """Whether a soft mask has something, and nothing that counts."""
    return rule.top is not None and FAINT / WHITE < max(counts) / rule.top <= 0.5


def shown_as(name: str, path: Path) -> str:
    """A mask's file in messages, with its sequence, since frames of two may have one name."""
    return f"{name.rpartition('/')[0]}/{path.name}".lstrip("/")


def read_all(paths: Mapping[str, Path], where: str) -> tuple[dict[str, UInt8[ndarray, "_H _W"]], Meaning]:
    """Masks of scenes as grey levels, and what their values were taken for.

    Args:
        paths: of each scene's mask. where: what messages call them all.

    Raises:
        InputError: some cannot be read, all of which are named; or as `Survey.decide`.
    """
    layers, faults, survey = {}, [], Survey(where)
    for name, path in paths.items():
        try:
            layers[name] = load(path)
        except (UnreadableError, OSError) as error:
            faults.append(f"{shown_as(name, path)} ({error})")
            continue
        file = shown_as(name, path)
        if why := survey.add(file, layers[name]):
            faults.append(f"{file} ({why})")
    refuse(faults, where)
    meaning = survey.decide()
    return {name: meaning.grey(one) for name, one in layers.items()}, meaning


def cut(grey: UInt8[ndarray, "_H _W"], size: tuple[int, int]) -> UInt8[ndarray, "_h _w"]:
    """A mask one px larger or smaller than its image, cut, or continued with background."""
    if grey.shape == tuple(size):
        return grey
    fitted = np.zeros(size, np.uint8)
    height, width = (min(a, b) for a, b in zip(size, grey.shape, strict=True))
    fitted[:height, :width] = grey[:height, :width]
    return fitted


def refuse(faults: Iterable[str], where: str) -> None:
    """Raises InputError that names all masks that cannot be read."""
    faults = list(faults)
    if faults:
        raise InputError(
            f"{where}: no readable mask is {shown(faults, 10)}; replace {'it' if len(faults) < 2 else 'them'}"
        )
