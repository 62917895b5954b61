"""`irstd submit` and `irstd verify`: a row that others can compute again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from irstd.apps import scoring
from irstd.errors import InputError

TOLD = {  # of a method, in a submission's card
    "paper": "address or doi of the paper",
    "code": "address of the code, with its commit",
    "authors": "who submits",
    "labels": "what it was trained with: masks, points, boxes or none",
    "trained_on": "what it was trained on, where that is not the dataset's training scenes alone",
    "parameters": "how many it learns",
    "note": "anything else",
}


def add(commands: Any) -> None:
    """Adds the commands to a parser's."""
    parser = commands.add_parser("submit", help="make a folder of predictions and their scores that others can verify")
    parser.add_argument("--dataset", required=True, help="of the catalogue; its test scenes, every one")
    scoring.add_reading(parser)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="new; runs/submissions/DATASET-NAME if not given")
    for key, what in TOLD.items():
        parser.add_argument(f"--{key.replace('_', '-')}", default="", metavar="TEXT", help=what)
    parser = commands.add_parser("verify", help="compute every number of submissions again")
    parser.add_argument("submissions", type=Path, nargs="+", metavar="FOLDER", help="that `irstd submit` made")


def submit(given: argparse.Namespace, root: Path) -> str:
    """Makes a submission, and returns where it is and what it scores."""
    from irstd import tables  # noqa: PLC0415 - slow to load, and `--help` needs none
    from irstd.scoring import entry  # noqa: PLC0415

    if given.skip:
        raise InputError("a submission leaves nothing out; mend the predictions, and leave out --skip")
    one, dataset = scoring.read(given, root), scoring.dataset(given.dataset, given.split, root)
    told = {
        "name": one.name,
        "dataset": given.dataset,
        "split": dataset.split,
        "checksum": dataset.prepared.checksum(),
        **{key: getattr(given, key) for key in TOLD if getattr(given, key)},
    }
    plain = "".join(c if c.isalnum() or c in "._-" else "-" for c in one.name)
    folder = given.out or root / "runs/submissions" / f"{given.dataset}-{plain}"
    report = entry.make(folder, one.truth, one.found, one.above, told)
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
