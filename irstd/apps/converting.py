"""`irstd convert`: truth from one form to another, saying what is lost."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from irstd.errors import InputError
from irstd.formats import known

FORMS = ("masks", "points", "coco", "yolo", "voc", "basicirstd", "pal", "croissant")


def add(commands: Any) -> None:
    """Adds the command to a parser's."""
    parser = commands.add_parser("convert", help="masks, points and boxes into each other, and layouts of datasets")
    parser.add_argument(
        "source",
        type=Path,
        help=f"a folder of masks, or {known.ANNOTATIONS}; for the last three, a dataset with images/",
    )
    parser.add_argument("out", type=Path, help="a new folder; for points a new CSV, for coco a new JSON")
    parser.add_argument("--to", required=True, choices=FORMS, help="what to write")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="the pictures, for files that do not say sizes")
    parser.add_argument(
        "--coco-images", metavar="JSON", help="names the images of integer image_ids, see `irstd score`"
    )


def run(given: argparse.Namespace) -> str:
    """Converts, and returns what was written and what is lost."""
    from irstd.apps import scoring  # noqa: PLC0415 - slow to load, and `--help` needs none
    from irstd.data import convert  # noqa: PLC0415

    if given.to in convert.LAYOUTS:
        for option, value in (("--images", given.images), ("--coco-images", given.coco_images)):
            if value is not None:
                raise InputError(f"{option} is for files of labels, and {given.to} is made of a dataset; leave it out")
        lost, notes, what = convert.LAYOUTS[given.to](given.source, given.out), [], "the dataset"
    else:
        scoring.refuse_idle(given.coco_images, given.images, None, given.source)
        truth = convert.read(given.source, given.images, given.coco_images)
        lost = [*truth.lost, *convert.FORMS[given.to](truth, given.out)]
        notes = truth.notes
        what = f"{sum(map(len, truth.marks.values()))} targets of {len(truth.sizes)} scenes"
    losses = "; ".join(lost) if lost else "nothing"
    return "\n".join([*notes, f"{what} written to {given.out} as {given.to}. Lost: {losses}."])
