"""`irstd.score` and `irstd.load`: in a notebook what the command line does, with the same objects."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from irstd.apps import scoring
from irstd.apps.datasets import Dataset
from irstd.errors import InputError
from irstd.formats.known import LEFT_OUT, STRETCHES, Stretch

if TYPE_CHECKING:
    from numpy import ndarray

    from irstd.inference.pictures import Answer
    from irstd.inference.weights import Loaded
    from irstd.scoring.submission import Report

    Maps = Mapping[str, ndarray] | Sequence[ndarray] | ndarray

__all__ = ["Network", "load", "score"]


def score(
    predictions: str | Path | Maps,
    truth: str | Path | Dataset | Maps,
    *,
    name: str | None = None,
    threshold: float | None = None,
    size: int | None = None,
    logits: bool = False,
    fit: bool = False,
    stretch: Stretch | None = None,
    key: str | None = None,
    images: str | Path | None = None,
    coco_images: str | Path | None = None,
    missing: Literal["error", "nothing"] = "error",
    skip: Iterable[str] = (),
    as_given: bool = False,
) -> Report:
    """Scores predictions under every convention, as `irstd score` does.

    >>> import numpy as np
    >>> truth = np.zeros((1, 64, 64), bool)
    >>> truth[0, 10:13, 20:23] = True
    >>> report = score(np.roll(truth, 1, axis=2), truth)
    >>> round(float(report.conventions.loc["irstd", "iou"]), 3), float(report.conventions.loc["irstd", "pd"])
    (0.5, 1.0)

    Args:
        predictions: anything that `irstd score` reads, by its path; or arrays, masks or maps of scores in [0, 1]:
            scene to (H, W), or (N, H, W) in the order of the truth.
        truth: a dataset of `irstd.datasets.load`, whose test scenes count; a path to masks, boxes or points; or arrays.
        name: of the row; the file's name, or `predictions`.
        threshold: maps are cut here, by scores above it; if not given, each convention's own.
        size: score at a square of so many px, as codes that resize do.
        logits: floats are logits. fit: maps of another size are stretched to the image's.
        stretch: each map's range (`range`) or maximum (`max`) becomes 1.
        key: name of the array in .npz and .mat files with several.
        images: folder of the pictures, where truth of boxes says no sizes.
        coco_images: the COCO JSON that names the images of integer image_ids; `names` if the ids are the scenes' names.
        missing: what scenes without a prediction mean: an error, or that `nothing` was found.
        skip: kinds of problems to go on without: missing, extra, size, unreadable, nan, range, outside.
        as_given: score maps in which most pixels count as found; else refused, since inverted ones look so.

    Returns:
        The report: `conventions`, a row for each convention and its scores with intervals; `pages`, all its tables;
        `words`, what to know before reading them. In a notebook it shows itself.

    Raises:
        InputError: something of it cannot be scored; the message names what, and the fix.
    """
    from irstd.formats import predictions as reading  # noqa: PLC0415 - slow to load
    from irstd.results import overlaid  # noqa: PLC0415
    from irstd.scoring import submission  # noqa: PLC0415

    wrong = [kind for kind in skip if kind not in LEFT_OUT]
    if wrong:
        raise InputError(f"skip: {wrong[0]!r} is no kind of problem; known are {', '.join(LEFT_OUT)}")
    _refuse(threshold=threshold, size=size, stretch=stretch, missing=missing)
    if key is not None and not isinstance(predictions, (str, os.PathLike)):
        raise InputError("key goes with a path of .npz or .mat files; leave it out")
    places = [Path(one) if isinstance(one, (str, os.PathLike)) else None for one in (predictions, truth)]
    scoring.refuse_idle(coco_images, images, *places)
    if images is not None and places[1] is None:
        raise InputError("images goes with a path of boxes or points as truth; leave it out")
    if isinstance(truth, Dataset):
        against = truth.truth
    elif isinstance(truth, (str, os.PathLike)):
        against = submission.of_folder(Path(truth), None if images is None else Path(images), coco_images)
    else:
        against = submission.of_arrays(_named(truth, "truth", None))
    how = reading.Reading(
        fit, logits, stretch, threshold, key, coco_images,
        loose=against.loose, below=against.below, as_given=as_given,
    )  # fmt: skip
    if isinstance(predictions, (str, os.PathLike)):
        found, title = reading.read(Path(predictions), against.sizes, how), scoring.title(Path(predictions))
    else:
        found = reading.of_arrays(_named(predictions, "predictions", list(against.sizes)), against.sizes, how)
        title = "predictions"
    found.settle(against.sizes, missing, skip)
    above = 0.5 if threshold is None else threshold
    others, said = overlaid.of_checkout_or_none(Path())
    report = submission.score(name or title, against, found, side=size, points_above=above, results_folder=others)
    report.words.extend(said)
    return report


def _refuse(*, threshold: object, size: int | None, stretch: str | None, missing: str) -> None:
    """Raises InputError for what the command line would refuse as well."""
    if threshold is not None and not (isinstance(threshold, Real) and 0 <= float(threshold) <= 1):
        raise InputError(f"threshold is {threshold!r}; give a number from 0 to 1")
    if size is not None and not scoring.LEAST_SIDE <= size <= scoring.MOST_SIDE:
        raise InputError(f"size is {size}; give a side from {scoring.LEAST_SIDE} to {scoring.MOST_SIDE} px")
    for name, value, allowed in (("stretch", stretch, (None, *STRETCHES)), ("missing", missing, ("error", "nothing"))):
        if value not in allowed:
            raise InputError(f"{name} is {value!r}; known are {', '.join(map(repr, allowed))}")


def _named(arrays: Any, what: str, names: list[str] | None) -> dict[str, ndarray]:
    """Arrays by scene: those of a mapping, or a row of them in the order of `names`, or numbered."""
    from irstd.formats.names import plain, stem_of  # noqa: PLC0415 - loads NumPy

    if isinstance(arrays, Mapping):
        found = {str(name): _array(array) for name, array in arrays.items()}
        if names is None:  # of truth: endings of masks' names are dropped, as of files
            short = {plain(stem_of(name)): array for name, array in found.items()}
            return short if len(short) == len(found) else found
        return found
    try:
        given = iter(arrays)
    except TypeError:
        raise InputError(f"{what} of {type(arrays).__name__}; give a path, (N, H, W), or scene to (H, W)") from None
    rows = [_array(row) for row in given]
    if rows and rows[0].ndim < 2:
        raise InputError(
            f"{what} of shape {(len(rows), *rows[0].shape)} are no images; give (N, H, W), or scene to (H, W)"
        )
    if names is not None and len(rows) != len(names):
        raise InputError(f"{what}: {len(rows)} arrays for {len(names)} scenes; give one for each, or name them")
    keys = names if names is not None else [f"{number:06d}" for number in range(len(rows))]
    return dict(zip(keys, rows, strict=True))


def _array(given: Any) -> ndarray:
    """An array of NumPy, from whatever is one: tensors on a GPU, with a gradient, or of bfloat16, too."""
    import numpy as np  # noqa: PLC0415

    if hasattr(given, "detach"):
        given = given.detach().cpu()
        given = given.float() if given.is_floating_point() else given
    return np.asarray(given)


@dataclass(frozen=True)
class Network:
    """A trained network. loaded: its weights, and what they say of themselves. device: as torch names it."""

    loaded: Loaded
    device: str

    @property
    def threshold(self) -> float:
        """The score that counts as a target is above this; chosen on held-out scenes, or stated by the method."""
        return self.loaded.label.threshold

    def predict(self, image: str | Path | ndarray, threshold: float | None = None) -> Answer:
        """What is found in a picture of any size.

        >>> import numpy as np
        >>> dark = np.full((64, 64), 30, np.uint8)
        >>> dark[30:33, 40:43] = 200
        >>> found = load("nudt-sirst/point_regression").predict(dark)
        >>> found.points[:, :2].round().tolist()
        [[31.0, 41.0]]

        Args:
            image: a path; or grey levels (H, W), uint8, or floats in [0, 1].
            threshold: of the score; the network's own if not given.

        Returns:
            `scores`, (H, W) in [0, 1], or None of a method that gives points only; `mask`, true where predicted;
            `points`, (N, 3) of row, col (px) and score.

        Raises:
            InputError: it is no such picture.
        """
        from irstd.inference import in_torch, pictures, sources  # noqa: PLC0415

        if isinstance(image, (str, os.PathLike)):
            picture = sources.read(Path(image))
        else:
            picture = sources.Picture(Path("array"), _grey(image))
        above = self.threshold if threshold is None else threshold
        return next(iter(pictures.answers(in_torch.InTorch(self.loaded, self.device), [picture], above)))


def _grey(image: ndarray) -> ndarray:
    """Grey levels of 8 bits of an array."""
    import numpy as np  # noqa: PLC0415

    array = np.asarray(image)
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"an image of shape {array.shape} is not grey; give (H, W)")
    if array.dtype.kind == "f" and np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1:
        return np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise InputError(f"grey levels are uint8, or floats in [0, 1], and these are {array.dtype}; scale them")
    return np.ascontiguousarray(array)


def load(weights: str | Path, device: str = "auto") -> Network:
    """A network with published weights, `nudt-sirst/point_regression` for example.

    Args:
        weights: DATASET/METHOD of `reports/weights`, or a file of published weights.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        InputError: there are no such weights, they cannot be had, or torch is not installed.
    """
    from irstd.inference import published  # noqa: PLC0415

    path = published.find(str(weights), published.at_hand(Path()))
    try:
        from irstd.inference import devices, weights as files  # noqa: PLC0415, I001
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name} is not installed; `pip install 'irstd-workbench[train]'` brings it") from None
    return Network(files.load(path), str(devices.device(device)))
