"""`irstd submit` and `irstd verify`: a row that others can compute again."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from irstd.apps import scoring
from irstd.errors import InputError
from irstd.formats.known import STATED

SIZES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}


def count(word: str) -> int:
    """A number of parameters, as people write it.

    >>> [count(word) for word in ("240000", "1,234,567", "4.1M", "2.4e5")]
    [240000, 1234567, 4100000, 240000]
    """
    found = re.fullmatch(r"([0-9][0-9.,_ ]*(?:e[0-9]{1,2})?) ?([kmb]?)", word.strip().lower())
    try:
        value = float(re.sub(r"[,_ ](?=[0-9]{3}(?![0-9]))", "", found[1])) * SIZES[found[2]] if found else -1.0
    except ValueError:
        value = -1.0
    if value < 0 or abs(value - round(value)) > 1e-3:  # of 4.1 million there is no exact double
        raise argparse.ArgumentTypeError(f"{word!r} is no number of parameters; give 4100000, 4,100,000 or 4.1M")
    return round(value)


def add(commands: Any) -> None:
    """Adds the commands to a parser's."""
    parser = commands.add_parser("submit", help="make a folder of predictions and their scores that others can verify")
    parser.add_argument("--dataset", required=True, help="of the catalogue; its test scenes, every one")
    scoring.add_reading(parser)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="new; runs/submissions/DATASET-NAME if not given")
    for key, what in STATED.items():
        kind = {"type": count, "metavar": "NUMBER"} if key == "parameters" else {"default": "", "metavar": "TEXT"}
        parser.add_argument(f"--{key.replace('_', '-')}", help=what, **kind)
    parser = commands.add_parser("verify", help="compute every number of submissions again")
    parser.add_argument("submissions", type=Path, nargs="+", metavar="FOLDER", help="that `irstd submit` made")


def _line(value: str | int) -> str | int:
    """Text in one line, as a table of the card has it."""
    return " ".join(value.split()) if isinstance(value, str) else value


def submit(given: argparse.Namespace, root: Path) -> str:
    """Makes a submission, and returns where it is and what it scores."""
    from irstd import tables  # noqa: PLC0415 - slow to load, and `--help` needs none
    from irstd.scoring import entry  # noqa: PLC0415

    if given.hub_dataset and not re.fullmatch(r"[\w.-]+/[\w.-]+", given.hub_dataset):
        raise InputError(f"--hub-dataset {given.hub_dataset!r} names no dataset of the Hub; give OWNER/NAME")
    if given.skip:
        raise InputError("a submission leaves nothing out; fix the predictions, and leave out --skip")
    one, dataset = scoring.read(given, root), scoring.dataset(given.dataset, given.split, root)
    stated = {
        "name": one.name,
        "dataset": given.dataset,
        "split": dataset.split,
        "checksum": dataset.prepared.checksum(),
        **{key: _line(value) for key in STATED if (value := getattr(given, key)) not in ("", None)},
    }
    plain = "".join(c if c.isalnum() or c in "._-" else "-" for c in one.name)
    folder = given.out or root / "runs/submissions" / f"{given.dataset}-{plain}"
    report = entry.make(folder, one.truth, one.found, one.above, stated)
    row = report.conventions.loc["irstd"]
    shown = ", ".join(
        f"{title} {tables.percent(row[key])} %" for key, title in (("iou", "IoU"), ("pd", "Pd"), ("f1", "F1"))
    )
    return f"{shown}.\n\nWritten to {folder}. `irstd verify {folder}` computes it again."


def verify(given: argparse.Namespace, root: Path) -> str:
    """Computes submissions again, and returns that they are right.

    Raises:
        InputError: one is not; the message says what of it.
    """
    from irstd.scoring import entry  # noqa: PLC0415

    wrong, right = [], []
    for folder in given.submissions:
        card = entry.read_card(folder)
        dataset = scoring.dataset(card["dataset"], card["split"], root)
        found = entry.verify(folder, dataset.truth, dataset.prepared.checksum())
        wrong += [f"{folder}: {one}" for one in found[:20]]
        if len(found) > 20:
            wrong.append(f"{folder}: and {len(found) - 20} more")
        if not found:
            count = len(card["scores"])
            right.append(f"{folder}: right, {len(dataset.truth.sizes)} scenes and {count} conventions computed again.")
    if wrong:
        raise InputError("\n       ".join([*wrong, "not verified; make the submission again from the predictions"]))
    return "\n".join(right)
