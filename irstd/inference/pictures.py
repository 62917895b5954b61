"""Anyone's pictures through published weights: overlays, masks, score maps and a table of points."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8, UInt16
from numpy import ndarray
from PIL import Image

from irstd.data.raw import MODES, decode
from irstd.errors import InputError
from irstd.formats import maps
from irstd.formats.names import listing
from irstd.formats.pixels import ANY
from irstd.inference.predict import Predicted, encode, level, predict
from irstd.inference.weights import Loaded
from irstd.metrics.regions import regions

LEAST_PX, MOST_PX = 32, 1920 * 1200  # side, and pixels in all; GGL-Net takes about 1 kB of memory a pixel
COLOURS = ("CMYK", "YCbCr", "LAB", "HSV")  # modes of 8 bits that are not among those of datasets
SHOWN_PX = 768  # sides of an overlay are at least this long
KINDS = ("overlays", "masks", "scores")  # folders of answers
FOUND = (60, 180, 255)  # colour of what was found, blue, green, red


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture. grey: as networks take it. note: what was done to get there, or empty."""

    path: Path
    grey: UInt8[ndarray, "H W"]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found in a picture. levels: 16-bit scores (`irstd.inference.predict.encode`), or None. mask: true where
    predicted, or None of a method without a map. points: row, col (px) and score of each target found. areas: px of
    each, or None.
    """

    picture: Picture
    levels: UInt16[ndarray, "H W"] | None
    mask: Bool[ndarray, "H W"] | None
    points: Float[ndarray, "N 3"]
    areas: list[int] | None


def files(given: Iterable[Path], out: Path | None = None) -> list[Path]:
    """Picture files among paths to files and folders, folders in name order.

    Args:
        out: where answers will go; what is there does not count, nor do answers of earlier runs inside folders.

    Raises:
        InputError: a path does not exist, a folder has no picture, or two pictures would get answers of one name.
    """
    found: dict[str, Path] = {}
    for path in given:
        if not path.exists():
            raise InputError(f"{path} does not exist; give pictures, or folders of them")
        inside = [path] if path.is_file() else listing(path).files
        if out is not None:
            inside = [one for one in inside if out.resolve() not in one.resolve().parents]
        if path.is_dir():  # nor do answers of earlier runs that lie in it
            answers = {folder for folder in {one.parent.parent for one in inside} if _holds_answers(folder)}
            inside = [one for one in inside if one.parent.parent not in answers]
        if not inside:
            raise InputError(f"{path} holds no picture; accepted are {', '.join(ANY)}")
        for one in inside:
            if found.setdefault(one.stem, one).resolve() != one.resolve():
                raise InputError(
                    f"{found[one.stem]} and {one} have one name; rename one, or run them one by one, each with --out"
                )
    return list(found.values())


def read(path: Path, levels: tuple[float, float] | None = None) -> Picture:
    """A picture as grey levels of 8 bits: colours as ITU-601 luma, other ranges stretched to 0 to 255.

    Args:
        levels: that become 0 and 255, instead of the picture's lowest and highest; not for pictures of 8 bits, which
            stay as they are. A hot pixel squeezes all others where this is not given.

    Raises:
        InputError: it is damaged, no picture, or too small or large.
    """
    if path.suffix.lower() == ".npy":
        return _stretched(path, _values(path), levels)
    try:
        with Image.open(path) as image:
            _suitable(path, image.height, image.width)
            notes = [f"the first of {image.n_frames} pages"] if getattr(image, "n_frames", 1) > 1 else []
            kind = "8 bits" if image.mode in MODES else "colours" if image.mode in COLOURS else "levels"
            if any(";16" in str(tile[3]) for tile in image.tile) and image.mode in ("RGB", "RGBA"):
                kind = "deep colours"  # of which Pillow keeps the upper 8 bits
            if kind == "colours":
                return Picture(path, np.asarray(image.convert("RGB").convert("L")), "colours taken as luma")
    except InputError:  # which is a ValueError too, and says it better
        raise
    except Image.DecompressionBombError:
        raise InputError(f"{path.name} has too many pixels; cut it into pieces") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path.name} is no picture ({error}); replace it") from None
    if kind != "8 bits":
        deep = cv2.imread(str(path), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_GRAYSCALE) if kind == "deep colours" else None
        notes += [] if deep is None else ["colours taken as luma"]
        picture = _stretched(path, _values(path) if deep is None else deep, levels)
        return replace(picture, note=", ".join([*notes, picture.note]))
    colours = decode(path, path.name)
    grey = np.asarray(Image.fromarray(colours).convert("L"))  # of equal channels, the channel
    notes += [] if (colours[..., :1] == colours).all() else ["colours taken as luma"]
    notes += [] if levels is None else ["8 bits, not stretched"]
    return Picture(path, grey, ", ".join(notes))


def _suitable(path: Path, height: int, width: int) -> None:
    """Raises InputError for a picture that networks cannot take."""
    if min(height, width) < LEAST_PX:
        raise InputError(f"{path.name} is {width}×{height} px; sides are at least {LEAST_PX}, give a larger part")
    if height * width > MOST_PX:
        raise InputError(f"{path.name} is {width}×{height} px, more than {MOST_PX:,} in all; cut it into pieces")


def _values(path: Path) -> ndarray:
    """The pixels of a picture of other than 8 bits, or of an array.

    Raises:
        InputError: there are none.
    """
    try:
        return maps.load(path)[0]
    except (ValueError, OSError) as error:
        raise InputError(f"{path.name} is no picture ({error}); replace it") from None


def _stretched(path: Path, values: ndarray, levels: tuple[float, float] | None) -> Picture:
    """Any range of numbers as 8 bits."""
    _suitable(path, *values.shape)
    if values.dtype == np.uint8:
        return Picture(path, values, "8 bits, not stretched" if levels else "")
    if not np.isfinite(values).all():
        raise InputError(f"{path.name} has pixels that are no numbers; mend it")
    low, high = levels or (float(values.min()), float(values.max()))
    grey = np.clip((values.astype(float) - low) * (255 / max(high - low, 1e-12)), 0, 255)
    return Picture(path, np.rint(grey).astype(np.uint8), f"levels {low:g} to {high:g} stretched to 0 to 255")


def answers(
    loaded: Loaded, pictures: Iterable[Picture], threshold: float, device: torch.device | str = "cpu"
) -> Iterator[Answer]:
    """What is found in each picture, one at a time.

    Args:
        threshold: of the score, exceeded by what counts as found.
    """
    network = loaded.network.to(device, memory_format=torch.channels_last)  # a fifth quicker, also on a CPU
    for picture in pictures:
        given = {"device": device, "geometry": loaded.label.geometry, "side": loaded.label.side}
        (found,) = predict(network, loaded.method, loaded.options, [picture.grey], **given)
        yield _answer(picture, found, threshold)


def _answer(picture: Picture, found: Predicted, threshold: float) -> Answer:
    if found.score is None:
        assert found.points is not None
        return Answer(picture, None, None, found.points[found.points[:, 2] > threshold], None)
    levels = encode(found.score)
    mask = levels > level(threshold)
    if found.points is not None:
        return Answer(picture, levels, mask, found.points[found.points[:, 2] > threshold], None)
    parts = regions(mask)
    surest = [float(found.score[parts.labels == n + 1].max()) for n in range(len(parts))]
    return Answer(picture, levels, mask, np.column_stack([parts.centroids, surest]), parts.areas.tolist())


def overlay(answer: Answer) -> UInt8[ndarray, "h w 3"]:
    """The picture, enlarged by a whole number of times if small, with regions outlined and targets circled."""
    grey = answer.picture.grey
    low, high = np.percentile(grey, [0.5, 99.8])
    times = max(1, -(-SHOWN_PX // max(grey.shape)))
    shown = np.clip((grey - low) * (255 / max(high - low, 1)), 0, 255).astype(np.uint8)
    canvas = cv2.cvtColor(_enlarged(shown, times), cv2.COLOR_GRAY2BGR)
    if answer.mask is not None:
        outlines, _ = cv2.findContours(
            _enlarged(answer.mask.astype(np.uint8), times), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(canvas, outlines, -1, FOUND, 1)
    for row, col, score in answer.points.tolist():
        # Places are whole at the centres of pixels, here of enlarged ones.
        x, y = (round((place + 0.5) * times - 0.5) for place in (col, row))
        radius = max(12, 5 * times)
        cv2.circle(canvas, (x, y), radius, FOUND, 1, cv2.LINE_AA)
        beside = (min(x + radius, canvas.shape[1] - 34), max(y - radius, 10))
        cv2.putText(canvas, f"{score:.2f}", beside, cv2.FONT_HERSHEY_SIMPLEX, 0.4, FOUND, 1, cv2.LINE_AA)
    return canvas


def _enlarged(image: UInt8[ndarray, "H W"], times: int) -> UInt8[ndarray, "h w"]:
    return image.repeat(times, 0).repeat(times, 1)


def _holds_answers(folder: Path) -> bool:
    """Whether a folder holds what `write` leaves, or a part of it, and nothing else."""
    inside = {path.name for path in folder.iterdir()}
    # Without overlays/ it may be anyone's folder of masks.
    return "overlays" in inside and inside <= {*KINDS, "points.csv"}


def make_room(folder: Path) -> None:
    """Makes a folder for answers; those of an earlier run are removed.

    Raises:
        InputError: it holds other things.
    """
    if folder.exists() and any(folder.iterdir()):
        if not _holds_answers(folder):
            raise InputError(f"{folder} holds other things than answers; name another folder with --out")
        for kind in KINDS:
            shutil.rmtree(folder / kind, ignore_errors=True)
    (folder / "overlays").mkdir(parents=True, exist_ok=True)  # first, so that a killed run's folder is known as such


def write(found: Iterable[Answer], folder: Path) -> Iterator[Answer]:
    """Writes overlays/, and where there is a map masks/ and scores/, picture by picture, and points.csv; passes on."""
    with (folder / "points.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("name", "row", "col", "score", "area_px"))
        for one in found:
            name = one.picture.path.stem
            images = {"overlays": overlay(one)}
            if one.mask is not None and one.levels is not None:
                images |= {"masks": one.mask.astype(np.uint8) * 255, "scores": one.levels}
            for kind, image in images.items():
                (folder / kind).mkdir(exist_ok=True)
                done, packed = cv2.imencode(".png", image)
                assert done
                (folder / kind / f"{name}.png").write_bytes(packed.tobytes())
            areas = [""] * len(one.points) if one.areas is None else one.areas
            for (row, col, score), area in zip(one.points.tolist(), areas, strict=True):
                table.writerow((name, f"{row:.2f}", f"{col:.2f}", f"{score:.4f}", area))
            yield one
