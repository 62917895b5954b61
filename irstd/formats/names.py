"""From names of files, lists and tables to scenes: one resolver for scoring, truth, datasets and lists."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from irstd.errors import InputError
from irstd.formats.pixels import ANY

TRUTH_WORDS = ("mask", "masks", "gt", "label", "labels", "pixels0", "truth", "groundtruth", "target")
FOUND_WORDS = ("pred", "preds", "prediction", "score", "scores", "out", "output", "result", "seg", "prob", "sigmoid")
USUAL = {*TRUTH_WORDS, *FOUND_WORDS, "images", "img", "train", "trainval", "test", "val"}  # of folders
DATA = (*ANY, ".txt", ".xml", ".json", ".csv")
TRUTH_END = re.compile(rf"(?<=.)[ _.-]({'|'.join(TRUTH_WORDS)})$", re.IGNORECASE)
FOUND_END = re.compile(rf"(?<=.)[ _.-]({'|'.join(FOUND_WORDS)})$", re.IGNORECASE)


def scene_of(text: str, names: Iterable[str]) -> str | None:
    """The scene that a file name stands for: the longest one in it that is no part of a longer word.

    Raises:
        InputError: two are equally long.

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
    inside = {text[start:end] for start in edges for end in ends if end > start}
    fitting = sorted((part for part in inside if part in known), key=lambda name: (-len(name), name))
    if len(fitting) > 1 and len(fitting[0]) == len(fitting[1]):
        raise InputError(f"{text!r} may be {fitting[0]!r} or {fitting[1]!r}; give the name as it is written there")
    return fitting[0] if fitting else None


def plain(stem: str) -> str:
    """A name without the words that masks and predictions carry at their end, in any case.

    >>> plain("Misc_1_GT"), plain("000001_Pred"), plain("s00_pixels0")
    ('Misc_1', '000001', 's00')
    """
    while True:
        shorter = FOUND_END.sub("", TRUTH_END.sub("", stem))
        if shorter == stem:
            return stem
        stem = shorter


def stem_of(text: str) -> str:
    r"""A path with forward slashes and without the suffix of a data file.

    >>> stem_of("images\\s00.PNG")
    'images/s00'
    """
    path = PurePosixPath(text.strip().strip('"').replace("\\", "/"))
    whole = str(path).removeprefix("./")
    return whole[: -len(path.suffix)] if path.suffix.lower() in DATA else whole


def _canonical(text: str) -> str:
    """What is left of a name when leading zeros of whole numbers and case do not count."""
    return re.sub(r"(?<!\d)0+(?=\d)", "", text).casefold()


@dataclass
class Names:
    """The names of scenes, and which of them a text stands for.

    A name may be a path, as SEQUENCE/FRAME. A text stands for the scene that it equals, or else for the one that its
    last parts name: directories must be equal, and the file's name may carry further words (`epoch400_Misc_11_0`), or
    have other leading zeros (000001 and 1), where that leaves one scene.
    """

    known: Mapping[str, object]
    _tails: dict[tuple[str, ...], dict[str, list[str]]] = field(default_factory=dict, init=False)
    _loose: dict[str, list[str]] = field(default_factory=dict, init=False)
    _last: dict[str, list[str]] = field(default_factory=dict, init=False)
    guessed: dict[str, str] = field(default_factory=dict, init=False)  # texts whose number alone fitted a scene

    def __post_init__(self) -> None:
        for name in self.known:
            *folders, last = name.split("/")
            self._tails.setdefault(tuple(folders), {}).setdefault(last, []).append(name)
            self._loose.setdefault(_canonical(name), []).append(name)
            self._last.setdefault(last, []).append(name)

    def find(self, text: str, *, exact: bool = False) -> str | None:
        """The scene that a name, or a path, stands for; None where it stands for none.

        Args:
            text: with or without a suffix.
            exact: no further words before or after the name, as in lists.

        Raises:
            InputError: it stands for several.
        """
        for candidate in dict.fromkeys((text, stem_of(text))):
            if candidate in self.known:
                return candidate
        whole = stem_of(text)
        *folders, last = whole.split("/")
        for ending in dict.fromkeys((last, plain(last))):
            for start in range(len(folders) + 1):
                places = self._tails.get(tuple(folders[start:]), {})
                if ending in places:
                    return places[ending][0]
        if not exact:
            for start in range(len(folders) + 1):
                inside = self._tails.get(tuple(folders[start:]))
                if inside and (fitting := scene_of(last, inside)):
                    return inside[fitting][0]
        return self._unsure(whole, last, folders)

    def _unsure(self, whole: str, last: str, folders: list[str]) -> str | None:
        """The one scene that fits but for leading zeros, case or its folders."""
        for ending in dict.fromkeys((last, plain(last))):
            for start in range(len(folders) + 1):
                fitting = self._loose.get(_canonical("/".join([*folders[start:], ending])), [])
                if len(fitting) == 1:
                    return fitting[0]
                if fitting:
                    raise InputError(
                        f"{whole!r} may be {fitting[0]!r} or {fitting[1]!r}; give the name as it is written there"
                    )
        several = self._last.get(last) or self._last.get(plain(last)) or []
        if not folders and len(several) == 1:
            return several[0]
        if not folders and several:
            raise InputError(f"{whole!r} may be {several[0]!r} or {several[1]!r}; give the path, as SEQUENCE/FRAME")
        runs = re.findall(r"(?<![A-Za-z0-9])\d+(?![A-Za-z0-9])", last)
        fitting = self._loose.get(_canonical(runs[0]), []) if len(runs) == 1 and not folders else []
        if len(fitting) != 1:
            return None
        self.guessed[whole] = fitting[0]
        return fitting[0]


def shifted(scenes: Iterable[str], extra: Sequence[str], missing: Sequence[str]) -> bool:
    """Whether scenes have one run of numbers, and files the run that begins one earlier or later.

    >>> shifted(["f1", "f2", "f3"], extra=["f0.png"], missing=["f3"]), shifted(["f1", "f3"], ["f5.png"], ["f3"])
    (True, False)
    """
    found = [re.fullmatch(r"(.*?)(\d+)", name) for name in scenes]
    if len(extra) != 1 or len(missing) != 1 or not all(found) or len({one[1] for one in found if one}) != 1:
        return False
    numbers = sorted(int(one[2]) for one in found if one)
    strange = re.findall(r"\d+", stem_of(extra[0]))
    if not strange or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return False
    ends = ((numbers[0] - 1, numbers[-1]), (numbers[-1] + 1, numbers[0]))
    return (int(strange[-1]), int(re.findall(r"\d+", missing[0])[-1])) in ends


def below(files: Iterable[Path], folder: Path) -> str:
    """The one folder below `folder` that all files lie in, as a path without usual words; empty where there is none."""
    shared = _common([path.relative_to(folder).parts[:-1] for path in files])
    return "/".join(part for part in shared if part.lower() not in USUAL)


@dataclass(frozen=True)
class Listing:
    """Files below a folder. files: in order of their paths. passed: how many others there are, by suffix."""

    folder: Path
    files: list[Path]
    passed: Counter[str]

    def note(self) -> str:
        """What was passed over, in a sentence; empty where nothing was."""
        if not self.passed:
            return ""
        kinds = ", ".join(f"{count} {suffix or 'without suffix'}" for suffix, count in sorted(self.passed.items()))
        return f"Not read in {self.folder.name}: {kinds}."


def hidden(path: Path, folder: Path) -> bool:
    """Whether a file is hidden, or lies in a hidden folder or in what archives of macOS add, below `folder`."""
    parts = path.relative_to(folder).parts
    return any(part.startswith(".") or part == "__MACOSX" for part in parts) or path.name in (
        "Thumbs.db",
        "desktop.ini",
    )


def writable(path: Path) -> Path:
    """The path, if tables and lists can name it.

    Raises:
        InputError: its name has bytes that are no UTF-8, as names of archives from other systems may.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(
            f"{str(path).encode(errors='backslashreplace').decode()} has a name that is no UTF-8; rename it "
            "(`convmv -f latin1 -t utf8 -r --notest FOLDER` does so for all files of a folder)"
        ) from None
    return path


def listing(folder: Path, suffixes: Iterable[str] = ANY) -> Listing:
    """Files of these suffixes below a folder, of any depth and case; hidden files do not count.

    Raises:
        InputError: a name cannot be written, see `writable`.
    """
    wanted, files = set(suffixes), []
    passed: Counter[str] = Counter()
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or hidden(path, folder):
            continue
        suffix = path.suffix.lower()
        if suffix in wanted:
            files.append(writable(path))
        else:
            passed[suffix] += 1
    return Listing(folder, files, passed)


def own_names(
    files: Iterable[Path], folder: Path, what: str, strip: Callable[[str], str] = plain, *, whole: bool = False
) -> dict[str, Path]:
    """Names of scenes that files give, in order: their paths below `folder` without suffix and without ending words.

    Where all files lie in one folder, its name is no part of theirs, unless paths are `whole`.

    Args:
        what: the files are, in the plural, for messages.
        strip: takes ending words off a stem; where another file has the stem as it is, that is refused.

    Raises:
        InputError: two files are of one scene; all of them are named.
    """
    files = list(files)
    below = [path.relative_to(folder).parts[:-1] for path in files]
    common = 0 if whole else len(_common(below))
    found: dict[str, list[Path]] = {}
    for path, folders in zip(files, below, strict=True):
        found.setdefault("/".join([*folders[common:], strip(path.stem)]), []).append(path)
    chosen = {name: _one(paths, first=TRUTH_END, last=FOUND_END) for name, paths in found.items()}
    refuse_twins({name: paths for name, paths in chosen.items() if len(paths) > 1}, folder, what)
    return {name: paths[0] for name, paths in chosen.items()}


def _common(folders: list[tuple[str, ...]]) -> tuple[str, ...]:
    shared = folders[0] if folders else ()
    for other in folders:
        shared = shared[: next((n for n, (a, b) in enumerate(zip(shared, other, strict=False)) if a != b), len(other))]
    return shared


def _one(paths: list[Path], first: re.Pattern[str], last: re.Pattern[str]) -> list[Path]:
    """The file that is meant where truth and prediction of a scene lie side by side (NAME_GT, NAME_Pred)."""
    if len(paths) == 2:
        mine = [p for p in paths if first.search(p.stem) and not last.search(p.stem)]
        other = [p for p in paths if last.search(p.stem) and not first.search(p.stem)]
        if len(mine) == len(other) == 1:
            return mine
    return paths


def predicted(paths: list[Path]) -> list[Path]:
    """Of files of one scene the prediction, where the other is its truth (NAME_Pred, NAME_GT)."""
    return _one(paths, first=FOUND_END, last=TRUTH_END)


def refuse_twins(twins: Mapping[str, list[Path]], folder: Path, what: str) -> None:
    """Raises InputError that names the files of each scene that has several."""
    if twins:
        shown = [
            f"{_below(a, folder)} and {_below(b, folder)} are both {what} of {n!r}" for n, (a, b, *_) in twins.items()
        ]
        more = f", and {len(shown) - 5} scenes more have two" if len(shown) > 5 else ""
        raise InputError("; ".join(shown[:5]) + more + "; keep one")


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if folder in path.parents else path.name


def shown(names: Iterable[str], most: int = 5) -> str:
    """The first few names, and how many more there are.

    >>> shown(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def numbered(folder: Path, files: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """Each file with its path below the folder, as messages and tables name it."""
    for path in files:
        yield _below(path, folder), path
