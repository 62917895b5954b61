"""Anyone's pictures: which files are meant, what their answers are called, and their grey levels. No torch."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from irstd.errors import InputError
from irstd.formats import images, pixels
from irstd.formats.names import listing, writable
from irstd.formats.pixels import ANY, UnreadableError

VIDEOS = (".mp4", ".avi", ".mkv", ".mov", ".m4v", ".webm", ".mpg", ".mpeg", ".wmv")
KINDS = ("overlays", "masks", "scores")  # folders of answers
BOXES = "boxes.json"
LEAST_PX = 2  # sides of a picture; smaller ones are no pictures


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture. grey: as networks take it. note: what was done to get there, or empty. name: of its answers, a path
    with slashes where pictures of several folders have equal names; the file's own if empty.
    """

    path: Path
    grey: UInt8[ndarray, "H W"]
    note: str = ""
    name: str = ""

    @property
    def title(self) -> str:
        return self.name or self.path.stem


@dataclass(frozen=True)
class Found:
    """Files that are meant, and what to call their answers. notes: what was not read."""

    names: dict[Path, str]
    notes: list[str]


def files(given: Iterable[Path], out: Path | None = None) -> list[Path]:
    """Files among paths to files and folders, see `find`."""
    return list(find(given, out).names)


def find(given: Iterable[Path], out: Path | None = None) -> Found:
    """Picture and video files among paths to files and folders, folders in name order.

    Answers are called after the files; where two have one name, after their paths below the folders given.

    Args:
        out: where answers will go; what is there does not count, nor do answers of earlier runs inside folders.

    Raises:
        InputError: paths do not exist, all of which are named; a folder has no picture; or `out` contains the pictures.
    """
    given = list(given)
    absent = [str(path) for path in given if not path.exists()]
    if absent:
        one = len(absent) == 1
        raise InputError(f"{', '.join(absent)} {'does' if one else 'do'} not exist; give pictures, or folders of them")
    found: dict[Path, tuple[Path, Path]] = {}  # resolved: as given, and the folder it is below
    notes = []
    for path in given:
        if path.is_file():
            found.setdefault(path.resolve(), (writable(path), path.parent))
            continue
        if out is not None and out.resolve() in (path.resolve(), *path.resolve().parents):
            raise InputError(
                f"--out {out} contains the pictures of {path}; name a folder outside of them, or below them"
            )
        listed = listing(path, (*ANY, *VIDEOS))
        inside = [one for one in listed.files if out is None or out.resolve() not in one.resolve().parents]
        above = {folder for one in inside for folder in one.parents if path in (folder, *folder.parents)}
        answers = {folder for folder in above if holds_answers(folder)}
        inside = [one for one in inside if not answers & set(one.parents)]
        if not inside:
            raise InputError(
                f"{path} holds no picture; accepted are {', '.join((*ANY, *VIDEOS))}. {listed.note()}".strip()
            )
        notes += [note] if (note := listed.note()) else []
        for picture in inside:
            found.setdefault(picture.resolve(), (picture, path))
    return Found(_called(list(found.values())), notes)


def _called(every: list[tuple[Path, Path]]) -> dict[Path, str]:
    """A name for the answers of each file: the shortest kind of name that is unique for each."""
    ways = (
        lambda path, _: path.stem,
        lambda path, folder: path.relative_to(folder).with_suffix("").as_posix(),
        lambda path, folder: path.relative_to(folder).as_posix(),
        lambda path, folder: f"{folder.name}/{path.relative_to(folder).as_posix()}",
        lambda path, _: path.resolve().as_posix().lstrip("/"),
    )
    for way in ways:
        names = [way(path, folder) for path, folder in every]
        if len(set(names)) == len(names) and not _nested(names):
            break
    return {path: name for (path, _), name in zip(every, names, strict=True)}


def _nested(names: list[str]) -> bool:
    """Whether a name is a folder of another one, as a video's is of its frames."""
    folders = Counter(name for name in names)
    return any(parent in folders for name in names for parent in _parents(name))


def _parents(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def is_video(path: Path) -> bool:
    """Whether a file's suffix is a video's."""
    return path.suffix.lower() in VIDEOS


def check(path: Path, key: str | None = None) -> None:
    """Raises InputError for a file that cannot be opened, or whose size says that it is too large; decodes nothing.

    Args:
        key: of the array in an archive.
    """
    if is_video(path):
        film = cv2.VideoCapture(str(path))
        opened = film.isOpened() and film.get(cv2.CAP_PROP_FRAME_WIDTH) > 0
        film.release()
        if not opened:
            raise InputError(f"{path.name} is no video that OpenCV can read; convert it to MP4, or give its frames")
        return
    try:
        suitable(path, *pixels.size_of(path, key))
    except (UnreadableError, OSError) as error:
        raise InputError(f"{path.name} is no picture ({error}); replace it") from None


def suitable(path: Path, height: int, width: int) -> None:
    """Raises InputError for a picture that no network can take."""
    if min(height, width) < LEAST_PX:
        raise InputError(f"{path.name} is {width}×{height} px; sides are at least {LEAST_PX}, give a larger part")


def read(path: Path, levels: images.Levels | None = None, name: str = "", key: str | None = None) -> Picture:
    """A picture as grey levels of 8 bits: colours as ITU-601 luma, other ranges stretched to 0 to 255.

    Args:
        levels: see `irstd.formats.images.read`. name: of its answers. key: of the array in an archive.

    Raises:
        InputError: it is damaged, no picture, or too small or large.
    """
    try:
        grey = images.read(path, levels, key)
    except (UnreadableError, OSError) as error:
        raise InputError(f"{path.name} is no picture ({error}); replace it") from None
    suitable(path, *grey.levels.shape)
    notes = list(grey.notes)
    if grey.stretched:
        notes.append("levels {:g} to {:g} stretched to 0 to 255".format(*grey.stretched))
    return Picture(path, grey.levels, ", ".join(notes), name)


def frames(path: Path, name: str = "") -> Iterator[Picture]:
    """The frames of a video one by one, called NAME/000000 and so on.

    Raises:
        InputError: it breaks off.
    """
    film = cv2.VideoCapture(str(path))
    number, count = 0, int(film.get(cv2.CAP_PROP_FRAME_COUNT))
    try:
        while True:
            done, frame = film.read()
            if not done:
                break
            grey = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
            equal = frame.ndim == 2 or bool((frame[..., :1] == frame).all())
            note = "" if equal else "colours taken as luma"
            levels = np.ascontiguousarray(frame[..., 0]) if equal and frame.ndim == 3 else grey
            yield Picture(path, levels, note, f"{name or path.stem}/{number:06d}")
            number += 1
    finally:
        film.release()
    if not number:
        raise InputError(f"{path.name} has no frame that can be decoded; convert it to MP4, or give its frames")
    if count > number + 1:
        raise InputError(f"{path.name} breaks off after {number} of {count} frames; replace it")


def holds_answers(folder: Path) -> bool:
    """Whether a folder holds what a run leaves, or a part of it, and nothing else."""
    inside = {path.name for path in folder.iterdir()}
    # Without overlays/ it may be anyone's folder of masks.
    return "overlays" in inside and inside <= {*KINDS, "points.csv", BOXES}


def make_room(folder: Path) -> None:
    """Makes a folder for answers; those of an earlier run are removed.

    Raises:
        InputError: it holds other things.
    """
    if folder.exists() and any(folder.iterdir()):
        if not holds_answers(folder):
            raise InputError(f"{folder} holds other things than answers; name another folder with --out")
        for kind in KINDS:
            shutil.rmtree(folder / kind, ignore_errors=True)
        (folder / BOXES).unlink(missing_ok=True)
    (folder / "overlays").mkdir(parents=True, exist_ok=True)  # first, so that a killed run's folder is known as such
