"""Fetches a dataset: mirror, hand-placed archive, official place, public copy, in that order.

A download is taken only when every decoded image and mask is the one that was verified; the dataset's folder appears
whole or not at all.
"""

from __future__ import annotations

import errno
import lzma
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import gdown

from irstd.data import catalogue, own, raw
from irstd.data.catalogue import Entry, Source
from irstd.data.fetching import MOST_BYTES, fetch
from irstd.errors import InputError

NO_NAME = (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)
MIRROR_PATTERNS = Source("mirror", "", "")
LABELS = re.compile(r"(?:.*/)?labels/(?P<name>[^/]+)\.txt")
LISTS = re.compile(r"(?:.*/)?(?P<name>train|val|test)\.txt")


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
        InputError: not a zip, damaged, too large, without any image, or two members for one scene.
    """
    patterns = {"images": re.compile(source.images, re.IGNORECASE), "masks": re.compile(source.masks, re.IGNORECASE)}
    try:
        with zipfile.ZipFile(archive) as opened:
            _fits(archive, opened, folder)
            _take(archive, opened, patterns, folder)
    except InputError:
        raise
    except OSError as error:
        if error.errno is None:  # of bz2, whose damage has no exception of its own
            raise InputError(f"{archive.name} is not a whole zip archive ({error})") from None
        if error.errno not in NO_NAME:  # a full disk is not the archive's fault
            raise
        raise InputError(f"{archive.name} holds a name that no file can have ({error.strerror})") from None
    # RuntimeError: it is encrypted.
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError) as error:
        raise InputError(f"{archive.name} is not a whole zip archive ({error})") from None
    if not (folder / "images").is_dir():
        raise InputError(f"{archive.name} holds no image where the catalogue expects them")


def _take(archive: Path, opened: zipfile.ZipFile, patterns: dict[str, re.Pattern[str]], folder: Path) -> None:
    """Copies what `unpack` takes of an open archive.

    Raises:
        InputError: two members are of one scene.
    """
    taken: set[tuple[str, str]] = set()
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


def _fits(archive: Path, opened: zipfile.ZipFile, folder: Path) -> None:
    """Whether what an archive says it holds can be unpacked, before any of it is.

    Raises:
        InputError: it is more than a dataset has, or than the disk has room for.
    """
    there = next(place for place in (folder, *folder.parents) if place.exists())
    size, free = sum(member.file_size for member in opened.infolist()), shutil.disk_usage(there).free
    if size > min(MOST_BYTES, free):
        has = f"the disk has {free / 1e9:.1f} GB" if free < MOST_BYTES else f"no dataset has {MOST_BYTES / 1e9:.0f} GB"
        raise InputError(f"{archive.name} would unpack to {size / 1e9:.1f} GB, and {has}; it is left as it is")


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
        InputError: nothing worked; the message gives each reason, and what to fetch by hand.
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
