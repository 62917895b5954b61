"""Lists of a split in the field's layouts: which scenes train, which test."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from irstd.errors import InputError
from irstd.formats import text
from irstd.formats.names import Names, hidden, shown, stem_of
from irstd.formats.tables import COLUMNS

HEADERS = {*COLUMNS["name"]}  # cells of the line above names
ROLE = re.compile(r"(?P<role>train|trainval|test|val)(?:[_-](?P<of>.+))?", re.IGNORECASE)
SUFFIXES = (".txt", ".lst", ".list", ".csv", "")
DEPTH = 5  # parts of the paths of lists below the dataset, as in ImageSets/Main/train.txt


@dataclass
class Lists:
    """Splits that a folder has lists for. roles: split to role (train, val, test) to its list's path and scenes.

    notes: what was found and how it was taken.
    """

    roles: dict[str, dict[str, tuple[Path, list[str]]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def of_scenes(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        """Each scene's role in each split, empty where it is in no list of it."""
        found: dict[str, dict[str, str]] = {name: dict.fromkeys(self.roles, "") for name in names}
        for split, lists in self.roles.items():
            for role, (_, scenes) in lists.items():
                for scene in scenes:
                    found[scene][split] = role
        return found


def entries(path: Path) -> list[str]:
    """The lines of a list without blanks at their ends; empty lines, comments and the head of a CSV are left out.

    Raises:
        InputError: it is no text.
    """
    lines = (line.strip().strip("\ufeff").strip() for line in text.read(path).split("\n"))
    found = [line for line in lines if line and not line.startswith("#")]
    if found and path.suffix.lower() == ".csv":
        head = {cell.strip("\"' ") for cell in re.split(r"[,;\t]", found[0].lower())}
        return found[1:] if head & HEADERS else found
    return found


def find(folder: Path, names: Iterable[str], split: str = "lists") -> Lists:
    """The lists below a folder, resolved to scenes.

    Known are `train.txt` and `test.txt` (and `val.txt`) in the folder or below it: `img_idx/train_NAME.txt` as
    BasicIRSTD has them, `50_50/` as DNANet, `trainval.txt` as MSHNet, `idx_427/` as SIRST, `ImageSets/Main/`. One place
    with lists is called `split`; of several each has its folder's name. With train and val alone, val is the test
    split, as the field's archives use it.

    Args:
        folder: of the dataset. names: of its scenes.

    Raises:
        InputError: lists that are incomplete, contradict each other, or name what is not there; all of it at once.
    """
    known = Names(dict.fromkeys(names))
    places, strange = _places(folder, known)
    found = Lists()
    faults: list[str] = []
    for place, kinds in places.items():
        for of, lists in _wanted(kinds, folder.name).items():
            here = "/".join([*place.relative_to(folder).parts, of]).strip("/")
            of_split = _one_split(lists, known, folder, faults)
            if of_split:
                found.roles[here] = of_split
    if faults:
        raise InputError(f"{folder.name}: " + "; ".join(faults))
    if len(found.roles) == 1:
        found.roles = {split: next(iter(found.roles.values()))}
    else:
        found.roles = {key.replace("/", "-") or split: roles for key, roles in found.roles.items()}
    if len(found.roles) > 1:
        found.notes.append(f"lists of several splits: {', '.join(found.roles)}; name one as `split`")
    if not found.roles:
        _refuse_strange(strange, known, folder)
    return found


def _places(folder: Path, known: Names) -> tuple[dict[Path, dict[str, dict[str, Path]]], list[Path]]:
    """Folders with lists, their lists by ending and role; and other text files.

    Raises:
        InputError: two lists in a folder are of one role.
    """
    places: dict[Path, dict[str, dict[str, Path]]] = {}
    strange: list[Path] = []
    for path in sorted(folder.rglob("*")):
        suffix, match = path.suffix.lower(), ROLE.fullmatch(path.stem)
        if suffix not in SUFFIXES or not (match or suffix == ".txt") or path.stem in known.known:
            continue  # those of a scene's name are labels of detectors
        below = path.relative_to(folder).parts
        if len(below) > DEPTH or hidden(path, folder) or "labels" in below or not path.is_file():
            continue
        if match is None:
            strange.append(path)
        elif suffix == ".txt" or _names_scenes(path, known):
            kinds = places.setdefault(path.parent, {}).setdefault(match["of"] or "", {})
            if other := kinds.get(match["role"].lower()):
                raise InputError(f"{folder.name}: {other.name} and {path.name} are both lists of one role; keep one")
            kinds[match["role"].lower()] = path
    return places, strange


def may_be(path: Path) -> bool:
    """Whether a CSV is called as a list is, and holds names alone: no points or boxes, and no splits."""
    if path.suffix.lower() != ".csv" or not ROLE.fullmatch(path.stem):
        return False
    with path.open("rb") as file:
        first = file.readline().decode("utf-8", "replace")
    return len([cell for cell in re.split(r"[,;\t]", first) if cell.strip()]) <= 2


def _names_scenes(path: Path, known: Names) -> bool:
    """Whether at least half of a file's lines name scenes."""
    if path.suffix.lower() == ".csv" and not may_be(path):
        return False
    try:
        lines = entries(path)
    except InputError:
        return False
    named = 0
    for line in lines:
        try:
            named += bool(_sequence(line, known)) or _scene(line, known) is not None
        except InputError:
            named += 1
    return named >= max(1, len(lines) / 2)


def _wanted(kinds: Mapping[str, dict[str, Path]], name: str) -> dict[str, dict[str, Path]]:
    """Of lists with endings (train_NUAA-SIRST.txt), those of the dataset itself if there are."""
    if len(kinds) > 1:
        for of, lists in kinds.items():
            if of.casefold() == name.casefold():
                return {of: lists}
    return dict(kinds)


def _one_split(
    lists: Mapping[str, Path], known: Names, folder: Path, faults: list[str]
) -> dict[str, tuple[Path, list[str]]]:
    """Role to list and scenes; what is wrong is added to `faults`."""
    relative = {role: path.relative_to(folder).as_posix() for role, path in lists.items()}
    scenes = {role: _scenes(path, relative[role], known, faults) for role, path in lists.items()}
    first = "train" if "train" in lists else "trainval" if "trainval" in lists else None
    last = "test" if "test" in lists else "val" if "val" in lists else None
    one = next(iter(relative.values()))
    if first is None:
        faults.append(f"{one} is there but train.txt is not; add it, or remove {one}")
        return {}
    if last is None:
        faults.append(f"{relative[first]} is there but test.txt is not; add it, or remove {relative[first]}")
        return {}
    used = {"train": first, "test": last}
    if last == "test" and "val" in lists and first == "train":
        used["val"] = "val"
    if "trainval" in lists and first == "train":
        both = set(scenes["train"]) | set(scenes.get("val", []))
        if last == "test" and "val" not in lists and set(scenes["trainval"]) != both:
            faults.append(f"{relative['train']} and {relative['trainval']} name different scenes; remove one")
    taken: dict[str, str] = {}
    for kind in used.values():
        twice = [name for name in scenes[kind] if name in taken]
        if twice:
            faults.append(
                f"{shown(map(repr, twice))} {'is' if len(twice) < 2 else 'are'} in {taken[twice[0]]} and in "
                f"{relative[kind]}; remove {'it' if len(twice) < 2 else 'them'} from one"
            )
        taken |= dict.fromkeys(scenes[kind], relative[kind])
        if not scenes[kind] and not faults:
            faults.append(f"{relative[kind]} names no scene; add names to it")
    return {role: (lists[kind], scenes[kind]) for role, kind in used.items()}


def _scenes(path: Path, name: str, known: Names, faults: list[str]) -> list[str]:
    """The scenes of a list, each once; names that are none are one fault."""
    found, absent = [], []
    try:
        lines = entries(path)
    except InputError as error:
        faults.append(str(error))
        return []
    for line in lines:
        if frames := _sequence(line, known):
            found += frames
            continue
        try:
            scene = _scene(line, known)
        except InputError as error:
            faults.append(f"{name}: {error}")
            continue
        if scene is None:
            absent.append(line)
        else:
            found.append(scene)
    if absent:
        faults.append(f"{name} names {shown(map(repr, absent))}, which images/ does not hold; correct the list")
    return list(dict.fromkeys(found))


def _sequence(line: str, known: Names) -> list[str]:
    """The frames of the sequence that a line names; none where it names a scene, or nothing."""
    start = f"{line.strip('/')}/"
    return [] if stem_of(line) in known.known else [one for one in known.known if one.startswith(start)]


def _scene(line: str, known: Names) -> str | None:
    """The scene of a line: a name or path, or what its words name, as in lists of images and masks, or numbered ones.

    Raises:
        InputError: its words name several scenes.
    """
    words = [word for word in re.split(r"[\s,;]+", line) if word]
    if len(words) < 2 or stem_of(line) in known.known:
        return known.find(line, exact=True)
    # A file says more than a scene's name as it stands, and that more than a number that may be one.
    files = [word for word in words if stem_of(word) != word or "/" in word]
    named = [word for word in files if known.find(word, exact=True)] or [word for word in words if word in known.known]
    scenes = {scene for word in named or words if (scene := known.find(word, exact=True)) is not None}
    if len(scenes) > 1:
        one, other, *_ = sorted(scenes)
        raise InputError(f"{line!r} names {one!r} and {other!r} in one line; put one scene in a line")
    return scenes.pop() if scenes else known.find(line, exact=True)


def _refuse_strange(paths: Iterable[Path], known: Names, folder: Path) -> None:
    """Raises InputError for text files that name scenes but are no list of a known name."""
    for path in paths:
        if _names_scenes(path, known):
            name = path.relative_to(folder).as_posix()
            raise InputError(
                f"{folder.name}: {name} lists scenes, but for which role is not clear; name the lists train.txt and "
                "test.txt, or take it out"
            )
