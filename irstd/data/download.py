"""Fetches a dataset: mirror, hand-placed archive, official place, public copy, in that order.

A download resumes where it broke off, is retried, and is taken only when every decoded image and mask is
the one that was verified; the dataset's folder appears whole or not at all.
"""

from __future__ import annotations

import os
import re
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import gdown
import pooch
import requests
from tqdm import tqdm

from irstd.data import catalogue, own, raw
from irstd.data.catalogue import Entry, Source
from irstd.errors import InputError

TRIES = 5  # of one download, each going on where the last broke off
PATIENCE_S = 30.0  # without a byte
pooch.get_logger().setLevel("WARNING")  # it would print hashes to copy that are not the ones verified here
MIRROR_PATTERNS = Source("mirror", "", "")
LABELS = re.compile(r"(?:.*/)?labels/(?P<name>[^/]+)\.txt")
LISTS = re.compile(r"(?:.*/)?(?P<name>train|val|test)\.txt")


class Resuming:
    """A pooch downloader that continues a broken download and retries what may pass.

    Args:
        part: where the part that has come is kept. pooch hands a new temporary name each time, which a killed
            process would not find again.
        pause_s: before the first retry; doubles each time.
        progress: whether to show a bar.
    """

    def __init__(self, part: Path, *, pause_s: float = 1.0, progress: bool = False) -> None:
        self.part, self.pause_s, self.progress = part, pause_s, progress

    def __call__(self, url: str, output_file: str | os.PathLike[str], _fetcher: object) -> None:
        for attempt in range(TRIES):
            try:
                self._continue(url, self.part)
            except requests.HTTPError as error:
                if error.response.status_code < 500 and error.response.status_code != 429:
                    raise
                problem: Exception = error
            except requests.RequestException as error:
                problem = error
            else:
                shutil.move(self.part, output_file)
                return
            if attempt + 1 < TRIES:
                time.sleep(self.pause_s * 2**attempt)
        raise problem

    def _continue(self, url: str, part: Path) -> None:
        have = part.stat().st_size if part.exists() else 0
        # Compressed on the way, lengths and ranges would be of other bytes than are stored.
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
        with requests.get(url, headers=headers, stream=True, timeout=PATIENCE_S) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                part.unlink()  # longer than the file: of another version, start again
                raise requests.ConnectionError("the part on disk does not fit the file")
            response.raise_for_status()
            if response.status_code != requests.codes.partial_content:
                have = 0  # the server sends it whole
            length = response.headers.get("Content-Length")
            expected = have + int(length) if length else None
            with (
                part.open("ab" if have else "wb") as file,
                tqdm(
                    total=expected, initial=have, desc="download", unit="B", unit_scale=True, disable=not self.progress
                ) as bar,
            ):
                for chunk in response.iter_content(1 << 14):
                    file.write(chunk)
                    bar.update(len(chunk))
        if expected is not None and part.stat().st_size != expected:
            raise requests.ConnectionError(f"got {part.stat().st_size} of {expected} bytes")


def fetch(url: str, folder: Path, name: str, *, pause_s: float = 1.0, progress: bool = False) -> Path:
    """The file at `url`, kept as `folder/name`; what is there already is not fetched again.

    Raises:
        InputError: the server has no such file, or gave up after all retries.
    """
    folder.mkdir(parents=True, exist_ok=True)
    downloader = Resuming(folder / f"{name}.part", pause_s=pause_s, progress=progress)
    try:
        return Path(pooch.retrieve(url, known_hash=None, fname=name, path=folder, downloader=downloader))
    except requests.HTTPError as error:
        raise InputError(f"{url} answers {error.response.status_code} {error.response.reason}") from None
    except requests.RequestException as error:
        raise InputError(
            f"{url} broke off {TRIES} times ({type(error).__name__}); run again to go on from there"
        ) from None


def _drive(identifier: str, folder: Path, name: str, *, progress: bool) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / name
    if not target.exists():
        part = folder / f"{identifier}.part"
        try:
            gdown.download(id=identifier, output=str(part), quiet=not progress, resume=True)
        except Exception as error:  # noqa: BLE001 - gdown raises its own, requests' and plain ones
            raise InputError(f"Google Drive {identifier} cannot be had ({type(error).__name__})") from None
        if not part.exists():
            raise InputError(f"Google Drive {identifier} gave nothing")
        part.replace(target)
    return target


def unpack(archive: Path, source: Source, folder: Path) -> None:
    """Copies images, masks, labels and split lists out of a zip into `folder`, bytes as they are.

    Only members that the source's patterns match are taken, under their scene's name alone; no path in the
    archive is followed.

    Raises:
        InputError: not a zip, damaged, without any image, or two members for one scene.
    """
    patterns = {"images": re.compile(source.images, re.IGNORECASE), "masks": re.compile(source.masks, re.IGNORECASE)}
    taken: set[tuple[str, str]] = set()
    try:
        with zipfile.ZipFile(archive) as opened:
            for member in opened.infolist():
                if any(part.startswith(".") and part.strip(".") for part in member.filename.split("/")):
                    continue  # hidden, as the doubles that macOS adds
                for kind, pattern in {**patterns, "labels": LABELS, "": LISTS}.items():
                    match = pattern.fullmatch(member.filename)
                    if match is None or member.is_dir():
                        continue
                    target = folder / kind / f"{match['name']}{Path(member.filename).suffix.lower()}"
                    if (kind, match["name"]) in taken and kind:
                        raise InputError(f"{archive.name} holds two files for {kind} {match['name']!r}; remove one")
                    taken.add((kind, match["name"]))
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with opened.open(member) as read, target.open("wb") as write:
                        shutil.copyfileobj(read, write)
                    break
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise InputError(f"{archive.name} is not a whole zip archive ({error})") from None
    if not (folder / "images").is_dir():
        raise InputError(f"{archive.name} holds no image where the catalogue expects them")


def _attempts(
    entry: Entry, archives: Path, mirror: str | None, fetcher: Callable[..., Path], *, progress: bool
) -> Iterator[tuple[str, Source, Callable[[], Path], bool]]:
    """What to try, in order: what it is called, its patterns, how to get the archive, whether it is ours to delete."""
    if mirror and "://" in mirror:
        url = f"{mirror.rstrip('/')}/{entry.archive}"
        yield (
            "the mirror",
            MIRROR_PATTERNS,
            lambda: fetcher(url, archives, f"mirror-{entry.archive}", progress=progress),
            True,
        )
    elif mirror:
        yield "the mirror", MIRROR_PATTERNS, lambda: _there(Path(mirror) / entry.archive), False
    placed = archives / entry.archive
    if placed.exists():
        yield f"data/archives/{placed.name}", MIRROR_PATTERNS, lambda: placed, False
    for number, source in enumerate(entry.sources):
        name = f"{entry.name}-{number}.zip"
        if source.kind == "url":
            yield source.page, source, lambda s=source, n=name: fetcher(s.where, archives, n, progress=progress), True
        elif source.kind == "drive":
            yield source.page, source, lambda s=source, n=name: _drive(s.where, archives, n, progress=progress), True


def _there(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path.name} is not in the folder that IRSTD_MIRROR names")
    return path


def _patch(entry: Entry, folder: Path, archives: Path, fetcher: Callable[..., Path]) -> None:
    """Replaces the masks that the official source has wrong by the authors' corrected ones."""
    files, rows = raw.pairs(folder), catalogue.manifest(entry.name)
    for scene, url in entry.patches.items():
        mask = files[scene][1]
        if raw.digest(raw.decode(mask)) != rows[scene]["mask"]:
            shutil.copyfile(fetcher(url, archives, f"{entry.name}-{scene}.png"), mask)


def obtain(
    name: str,
    folder: Path,
    archives: Path,
    *,
    mirror: str | None = None,
    fetcher: Callable[..., Path] = fetch,
    progress: bool = False,
) -> str:
    """Brings the catalogue's dataset `name` to `folder`; returns where it came from.

    Args:
        folder: made whole, or not at all.
        archives: kept between tries; a hand-placed archive is looked for here.
        mirror: folder or URL that holds the archives, asked first.
        fetcher: downloads one URL; see `fetch`.

    Raises:
        InputError: nothing worked; the message tells each reason, and what to fetch by hand.
    """
    entry = catalogue.get(name)
    building = folder.with_name(f"{folder.name}.part")
    if entry.parts:
        shutil.rmtree(building, ignore_errors=True)

        def of(part: str) -> str:
            return obtain(part, building / part, archives, mirror=mirror, fetcher=fetcher, progress=progress)

        return _unite(entry, building, folder, of)
    reasons = []
    for title, source, get, ours in _attempts(entry, archives, mirror, fetcher, progress=progress):
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        archive = None
        try:
            archive = get()
            unpack(archive, source, building)
            if catalogue.manifest(name):
                if source is not MIRROR_PATTERNS:
                    _patch(entry, building, archives, fetcher)
                raw.verify(building, name, progress=progress)
                roles = {scene: {s: row[s] for s in entry.splits} for scene, row in catalogue.manifest(name).items()}
            else:
                roles = raw.listed_splits(building, raw.pairs(building), next(iter(entry.splits)), required=True)
        except InputError as error:
            reasons.append(f"{title}: {error}")
            if archive is not None and ours:
                archive.unlink()  # else the next run would trust it again
            continue
        finish(building, folder, roles, title)
        return title
    shutil.rmtree(building, ignore_errors=True)
    raise InputError(_by_hand(entry, reasons))


finish = raw.finish


def _unite(entry: Entry, building: Path, folder: Path, obtained: Callable[[str], str]) -> str:
    """Makes a union of its parts, each of which `obtained` brings to `building`, and says where it is from."""
    origins, parts = [], {}
    for part in entry.parts:
        origins.append(f"{part}: {obtained(part)}")
        for kind in ("images", "masks"):
            (building / kind).mkdir(exist_ok=True)
            for path in (building / part / kind).iterdir():
                path.rename(building / kind / path.name)
        shutil.rmtree(building / part)
        parts |= dict.fromkeys(catalogue.manifest(part), part)
    rows = catalogue.manifest(entry.name)
    raw.write_parts(building / raw.PARTS, parts)
    roles = {scene: {split: row[split] for split in entry.splits} for scene, row in rows.items()}
    origin = "; ".join(origins)
    finish(building, folder, roles, origin)
    return origin


def _by_hand(entry: Entry, reasons: list[str]) -> str:
    pages = "; or ".join(source.page for source in entry.sources)
    sum_ = catalogue.checksum(entry.name)
    check = f"its decoded pixels must have checksum {sum_}" if sum_ else "no checksum is known for it"
    tried = "; ".join(reasons) or "no source can be fetched without a person"
    return (
        f"{entry.name} could not be had ({tried}): download it from {pages}, as a zip of images/ and masks/ put it at "
        f"data/archives/{entry.archive} ({check}), and run `dvc repro` again"
    )


copy_own = own.copy
