"""Weights and predictions as the stages that made them left them: SHA-256 written there, checked where they are read.

A file that was changed in between would change every score in silence.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from irstd.errors import InputError

SEAL = "sha256.json"  # of each file of a folder, by its path below it


def weights(trained: Path) -> bytes:
    """The weights of a training.

    Args:
        trained: its folder below runs/train.

    Raises:
        InputError: they are not those that its provenance names.
    """
    path = trained / "best.safetensors"
    packed = path.read_bytes()
    made = json.loads((trained / "provenance.json").read_text())
    if hashlib.sha256(packed).hexdigest() != made.get("weights_sha256"):
        raise InputError(f"{path} is not what its provenance.json names; train it again")
    return packed


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != SEAL)
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def seal(folder: Path) -> None:
    """Writes down what every file of a folder is."""
    (folder / SEAL).write_text(json.dumps(_digests(folder), indent=1) + "\n")


def unsealed(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file of a folder, as `seal` wrote them down.

    Raises:
        InputError: the files are others now.
    """
    path = folder / SEAL
    if not path.is_file():
        raise InputError(f"{path} is missing; predict it again")
    stated, found = json.loads(path.read_text()), _digests(folder)
    for name in sorted({*stated, *found}):
        if stated.get(name) != found.get(name):
            raise InputError(f"{folder / name} is not what {SEAL} beside it names; predict it again")
    return found
