"""Anyone's predictions: a folder of masks or score maps, a table of points, or COCO boxes and masks.

What is wrong with them is collected by kind, so that each kind is told once, with all its names.
"""

from __future__ import annotations

import csv
import json
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float
from numpy import ndarray
from PIL import Image, UnidentifiedImageError

from irstd.data.raw import SUFFIXES
from irstd.errors import InputError

MAPS = (*SUFFIXES, ".npy")
MEND = {  # kind of problem: what it says of the names, and the mend
    "missing": ("no prediction for", "add them"),
    "extra": ("no scene of this name for", "take them out"),
    "size": ("another size than the image in", "predict at native size, or stretch them with --fit"),
    "unreadable": ("not readable:", "replace them"),
    "nan": ("NaN or infinite scores in", "mend the method"),
    "range": ("scores outside [0, 1] in", "give probabilities, or logits with --logits"),
}
COLUMNS = {  # of a table of points, by the names that people use
    "name": ("name", "image", "file", "filename", "file_name", "scene", "image_id", "img"),
    "row": ("row", "y", "cy", "center_y"),
    "col": ("col", "column", "x", "cx", "center_x"),
    "score": ("score", "confidence", "conf", "prob", "probability"),
}


@dataclass
class Given:
    """What was predicted. maps, points, boxes: by scene; scores of maps in [0, 1]; points are row, col, score; boxes
    are top, left, bottom, right, score. problems: kind (of `MEND`) to names. notes: what was assumed.
    """

    maps: dict[str, Float[ndarray, "_H _W"]] = field(default_factory=dict)
    points: dict[str, Float[ndarray, "_N 3"]] = field(default_factory=dict)
    boxes: dict[str, Float[ndarray, "_N 5"]] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def wrong(self, kind: str, name: str) -> None:
        """Notes a problem."""
        self.problems.setdefault(kind, []).append(name)

    def refuse(self, skipped: Iterable[str] = ()) -> None:
        """Raises InputError for the problems that may not be skipped, a sentence a kind."""
        sentences = []
        for kind, names in self.problems.items():
            if kind not in skipped:
                what, mend = MEND[kind]
                shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
                sentences.append(f"{what} {shown}; {mend}, or go on without them with --skip {kind}")
        if sentences:
            raise InputError("\n       ".join(sentences))


def read(path: Path, sizes: Mapping[str, tuple[int, int]], *, fit: bool = False, logits: bool = False) -> Given:
    """The predictions at `path` for the scenes of `sizes`.

    Args:
        path: a folder of PNG, TIFF, BMP, JPEG or NPY files, of any depth; a CSV of points; or a COCO JSON.
        sizes: scene to height and width, px.
        fit: whether maps of another size are stretched to the image's, bilinearly.
        logits: whether floats are logits.

    Raises:
        InputError: the file cannot be read as a whole, or two predictions are of one scene.
    """
    if path.is_dir():
        return _maps(path, sizes, fit=fit, logits=logits)
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a folder of masks, a CSV of points or a COCO JSON")
    if path.suffix.lower() == ".json":
        return _coco(path, sizes)
    if path.suffix.lower() == ".csv":
        return _points(path, sizes)
    raise InputError(f"{path.name} is neither a folder, nor .csv, nor .json; give one of these")


def scene_of(text: str, names: Iterable[str]) -> str | None:
    """The scene that a file name tells: the longest one in it that is no part of a longer word.

    >>> scene_of("Misc_11_pixels0", {"Misc_1", "Misc_11"})
    'Misc_11'
    >>> scene_of("pred-000001", {"000001", "1"})
    '000001'
    """
    known = names if isinstance(names, (set, frozenset, dict)) else set(names)
    if text in known:
        return text
    edges = [m.start() for m in re.finditer(r"(?<![A-Za-z0-9])(?=[A-Za-z0-9])", text)]
    ends = [m.start() for m in re.finditer(r"(?<=[A-Za-z0-9])(?![A-Za-z0-9])", text)]
    inside = {text[start:end] for start in edges for end in ends if end > start} & set(known)
    return max(inside, key=lambda name: (len(name), name), default=None)


def values(path: Path) -> ndarray:
    """Pixels of an image file or an array as they are: bool, 8-bit, 16-bit or floating, (H, W).

    Raises:
        ValueError: not an image, damaged, or of several unequal channels.
    """
    if path.suffix.lower() == ".npy":
        array = np.load(path, allow_pickle=False)
    else:
        try:
            with Image.open(path) as image:
                flat = image.convert("RGB") if image.mode in ("P", "LA", "RGBA") else image
                array = np.asarray(flat)
        except (UnidentifiedImageError, OSError, SyntaxError) as error:
            raise ValueError(str(error)) from None
    if array.ndim == 3 and 1 in (array.shape[0], array.shape[-1]):
        array = array[0] if array.shape[0] == 1 else array[..., 0]
    if array.ndim == 3 and array.shape[-1] in (3, 4) and (array[..., :1] == array[..., :3]).all():
        array = array[..., 0]
    if array.ndim != 2 or not (array.dtype == bool or array.dtype.kind in "uif"):
        raise ValueError(f"{array.dtype} of shape {array.shape} is no map")
    return array


def as_scores(array: ndarray, *, binary: bool) -> Float[ndarray, "_H _W"]:
    """Scores in [0, 1] of what `values` gives: 8-bit levels over 255, 16-bit ones over 65535, floats as they are.

    Args:
        binary: integers are 0 and 1, not levels.
    """
    if array.dtype == bool or array.dtype.kind == "f" or binary:
        return array.astype(float)
    return array / (255.0 if array.dtype.itemsize == 1 or array.max(initial=0) <= 255 else 65535.0)


def _files(folder: Path, sizes: Mapping[str, tuple[int, int]], given: Given) -> dict[str, Path]:
    """Scene to file; scenes without one, and files without a scene, are noted as problems."""
    paths: dict[str, Path] = {}
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in MAPS):
        name = scene_of(path.stem, sizes)
        if name is None:
            given.wrong("extra", path.name)
        elif name in paths:
            raise InputError(f"{paths[name].name} and {path.name} are both predictions of {name!r}; keep one")
        else:
            paths[name] = path
    if not paths:
        wanted = ", ".join(list(sizes)[:3])
        raise InputError(f"{folder} has no prediction of any scene; name the files after the scenes: {wanted}, …")
    for name in sizes:
        if name not in paths:
            given.wrong("missing", name)
    return paths


def _maps(folder: Path, sizes: Mapping[str, tuple[int, int]], *, fit: bool, logits: bool) -> Given:
    given = Given()
    read_values: dict[str, tuple[str, ndarray]] = {}
    for name, path in _files(folder, sizes, given).items():
        try:
            read_values[name] = path.name, values(path)
        except (ValueError, OSError):
            given.wrong("unreadable", path.name)
    whole = [a for _, a in read_values.values() if a.dtype.kind in "ui"]
    binary = bool(whole) and max(int(a.max(initial=0)) for a in whole) == 1
    if binary:
        given.notes.append("all values are 0 and 1: taken as masks")
    for name, (file, array) in read_values.items():
        scores = as_scores(array, binary=binary)
        if logits and array.dtype.kind == "f":
            scores = 1 / (1 + np.exp(-np.clip(scores, -700, 700)))  # nan stays nan
        if not np.isfinite(scores).all():
            given.wrong("nan", file)
        elif scores.min(initial=0) < 0 or scores.max(initial=0) > 1:
            given.wrong("range", file)
        elif scores.shape != sizes[name] and not fit:
            given.wrong("size", f"{file} ({scores.shape[1]}×{scores.shape[0]})")
        else:
            given.maps[name] = scores if scores.shape == sizes[name] else stretched(scores, sizes[name])
    return given


def stretched(scores: Float[ndarray, "_H _W"], size: tuple[int, int]) -> Float[ndarray, "_h _w"]:
    """A map at another size, height and width in px, bilinearly."""
    return cv2.resize(scores, size[::-1], interpolation=cv2.INTER_LINEAR).clip(0, 1)


def _points(path: Path, sizes: Mapping[str, tuple[int, int]]) -> Given:
    given = Given(points={name: np.zeros((0, 3)) for name in sizes})
    found: dict[str, list[tuple[float, float, float]]] = {}
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        header = {h.strip().lower(): h for h in reader.fieldnames or []}
        columns = {key: next((header[n] for n in names if n in header), None) for key, names in COLUMNS.items()}
        for key in ("name", "row", "col"):
            if columns[key] is None:
                raise InputError(f"{path.name} has no column {key!r}; it needs name, row, col (px) and perhaps score")
        for line, row in enumerate(reader, 2):
            try:
                at = tuple(float(row[columns[k]]) if columns[k] else 1.0 for k in ("row", "col", "score"))
            except (TypeError, ValueError):
                raise InputError(f"{path.name}: line {line} is not name, row, col, score; mend it") from None
            text = Path(row[columns["name"]]).name
            name = scene_of(text, sizes) or scene_of(Path(text).stem, sizes)
            if name is None:
                given.wrong("extra", text)
            elif not np.isfinite(at).all():
                given.wrong("nan", f"line {line}")
            else:
                found.setdefault(name, []).append(at)
    given.points |= {name: np.array(rows) for name, rows in found.items()}
    if len(found) < len(sizes):
        given.notes.append(f"{len(sizes) - len(found)} scenes have no point: taken as nothing found")
    return given


def _coco(path: Path, sizes: Mapping[str, tuple[int, int]]) -> Given:
    try:
        content = json.loads(path.read_text())
        annotations = content if isinstance(content, list) else content["annotations"]
        images = {} if isinstance(content, list) else {i["id"]: i["file_name"] for i in content.get("images", [])}
        masked = any(a.get("segmentation") for a in annotations)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path.name} is no COCO JSON ({error!r}); it needs a list of annotations") from None
    given, seen = Given(), set()
    boxes: dict[str, list[Any]] = {name: [] for name in sizes}
    if masked:
        given.maps = {name: np.zeros(size) for name, size in sizes.items()}
    for number, one in enumerate(annotations):
        text = Path(str(images.get(one.get("image_id"), one.get("image_id")))).name
        name = scene_of(text, sizes) or scene_of(Path(text).stem, sizes)
        if name is None:
            given.wrong("extra", text)
            continue
        seen.add(name)
        try:
            score = float(one.get("score", 1.0))
            if masked:
                np.maximum(given.maps[name], _filled(one["segmentation"], sizes[name]) * score, out=given.maps[name])
            else:
                left, top, wide, tall = (float(x) for x in one["bbox"])
                boxes[name].append((top - 0.5, left - 0.5, top + tall - 0.5, left + wide - 0.5, score))
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{path.name}: annotation {number} has no bbox or segmentation; mend it") from None
    if not masked:
        given.boxes = {name: np.array(rows, float).reshape(-1, 5) for name, rows in boxes.items()}
        given.points = {
            name: np.stack([(b[:, 0] + b[:, 2]) / 2, (b[:, 1] + b[:, 3]) / 2, b[:, 4]], 1)
            for name, b in given.boxes.items()
        }
    if len(seen) < len(sizes):
        given.notes.append(f"{len(sizes) - len(seen)} scenes have no annotation: taken as nothing found")
    return given


def _filled(segmentation: Any, size: tuple[int, int]) -> ndarray:
    """A COCO polygon or run-length code as a mask."""
    from pycocotools import mask  # noqa: PLC0415 - only COCO files need it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its arrays do not know NumPy 2's `copy` yet
        if isinstance(segmentation, list):
            code = mask.merge(mask.frPyObjects(segmentation, *size))
        else:
            packed = isinstance(segmentation["counts"], (str, bytes))
            code = segmentation if packed else mask.frPyObjects(segmentation, *size)
        filled = mask.decode(code).astype(float)
    if filled.shape != size:
        raise ValueError(f"a mask of {filled.shape} for an image of {size}")
    return filled
