"""Which scenes of a dataset of one's own train, and which test."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from irstd.data.prepared import read_splits
from irstd.errors import InputError
from irstd.formats import lists
from irstd.formats.names import shown

ROLES = {"train": "train", "trainval": "train", "origin": "train", "training": "train", "test": "test",
         "testing": "test",
         "val": "val", "valid": "val", "validation": "val"}  # fmt: skip
OTHER = re.compile(r".*split.*\.(json|csv|tsv|ya?ml|xlsx?|mat|pkl|npy|npz)", re.IGNORECASE)


@dataclass
class Roles:
    """Which scenes train, which test. of: of each scene in each split. used: files that say so. notes: how they were
    taken.
    """

    of: dict[str, dict[str, str]]
    used: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find(
    folder: Path, names: Mapping[str, Path], role_of: Mapping[str, str], split: str, used: Collection[Path] = ()
) -> Roles:
    """Roles by a table, by lists, by folders; or else by a hash.

    Args:
        names: of the scenes, to their images. role_of: of each scene the role of its part of the dataset, or empty.
        used: files that were read for something else.
        split: what to call the split where there is one.

    Raises:
        InputError: what is there is incomplete, or contradicts itself.
    """
    if (folder / "splits.csv").is_file():
        return Roles(_of_table(folder / "splits.csv", names), [folder / "splits.csv"])
    listed = lists.find(folder, names, split)
    if listed.roles:
        used = [path for kinds in listed.roles.values() for path, _ in kinds.values()]
        return Roles(listed.of_scenes(names), used, listed.notes)
    if any(role_of.values()):
        return Roles(_of_folders(role_of, split), notes=listed.notes)
    by_folder = {name: ROLES.get(name.split("/")[0].lower(), "") if "/" in name else "" for name in names}
    if all(by_folder.values()) and len(set(by_folder.values())) > 1:
        said = "no lists: the folders of images say which train and which test"
        return Roles(_of_folders(by_folder, split), notes=[*listed.notes, said])
    if other := [p.name for p in sorted(folder.iterdir()) if OTHER.fullmatch(p.name) and p not in used]:
        raise InputError(
            f"{shown(other)} may say which scenes train, and is not read; give train.txt and test.txt, or splits.csv "
            "with a column `name` and for each split one of train, val, test or nothing; or take it out"
        )
    of = by_hash(names, split)
    what = "sequences, whole," if len(_sequences(names)) > 1 else "scenes"
    tested = sum(row[split] == "test" for row in of.values())
    said = f"no lists: every fifth of the {what} tests, by a hash of its name: {tested} of {len(of)} scenes"
    return Roles(of, notes=[*listed.notes, said])


def _sequences(names: Iterable[str]) -> set[str]:
    """The folders of scenes called SEQUENCE/FRAME; an empty word stands for that of scenes without one."""
    return {name.rpartition("/")[0] for name in names}


def _of_folders(role_of: Mapping[str, str], split: str) -> dict[str, dict[str, str]]:
    roles = set(role_of.values())
    if not {"train", "test"} <= roles and not {"train", "val"} <= roles:
        raise InputError(f"there are images of {' and '.join(sorted(roles))} only; add those to train and to test with")
    last = "test" if "test" in roles else "val"
    return {name: {split: "test" if role == last else role} for name, role in role_of.items()}


def _of_table(path: Path, names: Mapping[str, Path]) -> dict[str, dict[str, str]]:
    """Roles in several splits, from a table as the datasets of the catalogue have it.

    Raises:
        InputError: it is another table.
    """
    try:
        table = read_splits(path)
    except (KeyError, ValueError, csv.Error):
        table = {}
    cells = {cell for row in table.values() for cell in row.values()}
    if not cells or not cells <= {"train", "val", "test", ""}:
        raise InputError("splits.csv is to have a column `name`, and one of train, val, test or nothing for each split")
    if strangers := [name for name in table if name not in names]:
        raise InputError(f"splits.csv names {shown(strangers)}, of which there are no images")
    none = dict.fromkeys(next(iter(table.values())), "")
    return {name: table.get(name, none) for name in names}


def by_hash(names: Collection[str], split: str) -> dict[str, dict[str, str]]:
    """Every fifth scene, by a hash of its name, tests: stable when scenes are added, and never none.

    Where scenes are of several sequences, every fifth sequence: frames of one are too alike to train and to test with.

    Raises:
        InputError: there is one scene only.
    """
    several = len(_sequences(names)) > 1
    of = {name: name.rpartition("/")[0] or name if several else name for name in names}
    digests = {one: int(hashlib.sha256(one.encode()).hexdigest(), 16) for one in of.values()}
    if len(digests) < 2:
        raise InputError("one scene cannot be split; add others, to train and to test with")
    held = {one for one, digest in digests.items() if digest % 5 == 0}
    if not held or len(held) == len(digests):
        held = {min(digests, key=digests.__getitem__)}
    return {name: {split: "test" if one in held else "train"} for name, one in of.items()}
