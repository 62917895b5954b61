"""Published weights: files at hand, and those that are published by their card and fetched. Needs no torch."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from irstd.config.places import cache
from irstd.errors import InputError


def published(*folders: Path) -> dict[str, Path]:
    """Cards and files of weights below folders, by `DATASET/ROW`: the file, or where there is none, its card.

    Args:
        folders: the first that has a file, or else a card, of a name decides.
    """
    found: dict[str, Path] = {}
    for suffix in (".safetensors", ".md"):
        for folder in folders:
            for path in sorted(folder.glob(f"*/*{suffix}")):
                found.setdefault(f"{path.parent.name}/{path.stem}", path)
    return dict(sorted(found.items()))


def at_hand(root: Path) -> dict[str, Path]:
    """What `published` finds of the runs and the record below `root`, and of the checkout that is installed."""
    ours = Path(__file__).parents[2]  # a checkout that is installed as it lies, whatever the folder one works in
    return published(*(base / place for base in (root, ours) for place in ("runs/weights", "reports/weights")))


def find(name: str, known: Mapping[str, Path]) -> Path:
    """The file of weights called `name`: one at hand, or one fetched from the place that IRSTD_WEIGHTS names.

    What is fetched is kept in `~/.cache/irstd/weights` (below XDG_CACHE_HOME where that is set) by its SHA-256, which
    is in its card; nothing else is taken for it.

    Args:
        name: `DATASET/ROW`, or a file.
        known: as `published` gives it.

    Raises:
        InputError: there are no such weights, or they are not at hand and cannot be fetched, or differ from their card.
    """
    if Path(name).is_file():
        return Path(name)
    if name not in known:
        if not known:
            raise InputError(
                f"there are no weights {name!r} here; they come with a checkout of the workbench: run this in one, or "
                "give a file"
            )
        raise InputError(f"there are no weights {name!r}; there are {', '.join(known)}, or give a file")
    path = known[name]
    card = path.with_suffix(".md")
    stated = re.search(r"\b[0-9a-f]{64}\b", card.read_text()) if card.is_file() else None
    if path.suffix != ".md":
        if stated and hashlib.sha256(path.read_bytes()).hexdigest() != stated[0]:
            raise InputError(f"{path} is not what its card, {card.name}, says; take both from git again")
        return path
    if not stated:
        raise InputError(f"{path} does not state the SHA-256 of its weights; write it again by `dvc repro model-card`")
    kept = cache("weights") / f"{stated[0]}.safetensors"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        beside = _fetched(name, os.environ.get("IRSTD_WEIGHTS", ""), kept.with_suffix(f".{os.getpid()}"))
        if hashlib.sha256(beside.read_bytes()).hexdigest() != stated[0]:
            beside.unlink()
            raise InputError(
                f"{name}.safetensors in the place that IRSTD_WEIGHTS names is not what its card says; replace it"
            )
        beside.replace(kept)
    return kept


def _fetched(name: str, place: str, to: Path) -> Path:
    """A file of weights from a folder or URL, copied to `to`."""
    how = (
        f"set IRSTD_WEIGHTS to a folder or URL that holds {name}.safetensors, or make them here: "
        f"`dvc repro pack-weights@{name.replace('/', '-')}-0`"
    )
    if not place:
        raise InputError(f"the weights {name} are published by their card only; {how}")
    try:
        if "://" in place:
            from irstd.data.fetching import fetch  # noqa: PLC0415 - slow to load, and most weights are at hand

            return fetch(f"{place.rstrip('/')}/{name}.safetensors", to.parent, to.name)
        shutil.copyfile(Path(place, f"{name}.safetensors"), to)
    except (OSError, InputError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"the weights {name} could not be had from {place} ({reason}); {how}") from None
    return to
