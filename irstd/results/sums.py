"""SHA-256 of every file of the record, as `sha256sum --check SHA256SUMS` reads it: what is edited by hand is seen."""

from __future__ import annotations

import hashlib
from pathlib import Path

from irstd.errors import InputError

NAME = "SHA256SUMS"
SYSTEM = ("Thumbs.db", "desktop.ini")  # files that systems leave in folders


def write(folder: Path) -> None:
    """Writes the sums of all files below `folder` into it."""
    lines = [f"{digest}  {path}\n" for path, digest in sorted(_found(folder).items())]
    (folder / NAME).write_text("".join(lines), encoding="utf-8", newline="\n")


def check(folder: Path) -> None:
    """Whether the files below `folder` are those whose sums lie in it; a folder without sums is let through.

    Raises:
        InputError: one is missing, another, or not among them.
    """
    if not (folder / NAME).exists():
        return
    try:
        lines = (folder / NAME).read_text(encoding="utf-8").splitlines()
        known = {path: digest for digest, path in (line.split("  ", 1) for line in lines)}
    except ValueError:
        raise InputError(f"{folder / NAME} is damaged; `git checkout -- {folder}` takes it from git again") from None
    found = _found(folder)
    for path in sorted(known.keys() | found.keys()):
        if known.get(path) == found.get(path):
            continue
        what = "is missing" if path not in found else "was added" if path not in known else "was changed"
        back = "remove it" if path not in known else f"`git checkout -- {folder}` takes it back"
        raise InputError(
            f"{folder / path} {what} after it was published: see {NAME} beside it. `git status {folder}` shows what "
            f"differs, {back}; results enter the record by `make publish` alone"
        )


def _found(folder: Path) -> dict[str, str]:
    """Sums of the files below a folder, by their paths; hidden ones are not of the record."""
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {
        short.as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for short, path in files.items()
        if short != Path(NAME) and short.name not in SYSTEM and not any(part.startswith(".") for part in short.parts)
    }
