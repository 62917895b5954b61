"""`irstd score`: anyone's predictions under every convention; and how `irstd submit` reads them too."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irstd.apps import datasets
from irstd.errors import InputError, hint
from irstd.formats.known import ANNOTATIONS, LEFT_OUT, STRETCHES

if TYPE_CHECKING:
    from irstd.formats.given import Given
    from irstd.scoring.truth import Truth


LEAST_SIDE, MOST_SIDE = 8, 8192  # of a square to score at, px


def side(word: str) -> int:
    """A side in px."""
    if not word.isdigit() or not LEAST_SIDE <= int(word) <= MOST_SIDE:
        raise argparse.ArgumentTypeError(
            f"{word!r} is no side in px; give a whole number from {LEAST_SIDE} to {MOST_SIDE}"
        )
    return int(word)


def share(word: str) -> float:
    """A number from 0 to 1."""
    try:
        value = float(word)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no threshold; give a number from 0 to 1")
    return value


def kinds(word: str) -> list[str]:
    """Kinds of problems, separated by commas."""
    found = [part.strip() for part in word.split(",") if part.strip()]
    wrong = [part for part in found if part not in LEFT_OUT]
    if wrong:
        raise argparse.ArgumentTypeError(f"{wrong[0]!r} is no kind of problem; known are {', '.join(LEFT_OUT)}")
    return found


def normal(words: list[str]) -> list[str]:
    """Words in which an option's values cannot be taken for the predictions, nor these for its values.

    `--skip missing size PRED` becomes `--skip missing,size PRED`, and `--stretch PRED` `--stretch range PRED`.
    """
    out, rest = [], list(words)
    while rest:
        word = rest.pop(0)
        out.append(word)
        if word == "--skip":
            found = []
            while rest and all(part in LEFT_OUT for part in rest[0].split(",")):
                found.append(rest.pop(0))
            out += [",".join(found)] if found else []
        elif word == "--stretch" and not (rest and rest[0] in STRETCHES):
            out.append(STRETCHES[0])
    return out


def add(commands: Any) -> None:
    """Adds the command to a parser's."""
    parser = commands.add_parser("score", help="score anyone's predictions under every convention")
    truth = parser.add_mutually_exclusive_group(required=True)
    truth.add_argument("--dataset", help="of the catalogue; its test scenes")
    truth.add_argument("--truth", type=Path, help=f"your own truth: a folder of masks, or {ANNOTATIONS}")
    parser.add_argument(
        "--images", type=Path, metavar="FOLDER", help="the pictures, where truth of boxes says no sizes"
    )
    add_reading(parser)
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="where the report goes; runs/score/NAME if not given"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write {convention: numbers} there as well")
    parser.add_argument(
        "--size", type=side, metavar="PX", help="score at a square of this side, as codes that resize do"
    )


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Adds the predictions, and how they are read."""
    parser.add_argument(
        "predictions",
        type=Path,
        help="folder of masks, score maps (PNG, TIFF, NPY, NPZ, MAT …) or labels (YOLO, VOC, LabelMe); an archive of "
        "maps (.npz, .mat); CSV of points or boxes; or COCO JSON",
    )
    parser.add_argument(
        "--split",
        help="of the dataset; if not given that of params.yaml, or else the first that `irstd datasets` lists",
    )
    parser.add_argument("--name", help="of the row; the folder's name if not given")
    parser.add_argument("--fit", action="store_true", help="stretch predictions of another size to the image's")
    parser.add_argument("--logits", action="store_true", help="floats are logits")
    parser.add_argument(
        "--as-given",
        action="store_true",
        help="score maps in which most pixels count as found; else refused, since inverted ones look so",
    )
    parser.add_argument(
        "--stretch",
        choices=STRETCHES,
        help="maps are responses of any range: each one's range becomes 0 to 1 (range), or each is divided by its "
        "highest (max), as the field does for classical methods",
    )
    parser.add_argument(
        "--threshold",
        type=share,
        help="what a score must exceed; 0.5 for points and boxes if not given, and each convention's own for maps",
    )
    parser.add_argument("--key", help="name of the array in .npz and .mat files with several")
    parser.add_argument(
        "--coco-images",
        metavar="JSON",
        help="the COCO JSON that names the images of integer image_ids; `names` if the ids are the scenes' names",
    )
    parser.add_argument(
        "--missing",
        choices=("error", "nothing"),
        default="error",
        help="what a scene without a prediction means: an error, or that nothing was found there",
    )
    parser.add_argument(
        "--skip", type=kinds, default=[], metavar="KIND", help=f"problems to go on without: {', '.join(LEFT_OUT)}"
    )


@dataclass(frozen=True)
class Read:
    """What was given: truth, predictions, the row's name, and what a point's score must exceed."""

    truth: Truth
    found: Given
    name: str
    above: float


def read(given: argparse.Namespace, root: Path) -> Read:
    """Truth and predictions of a command line.

    Raises:
        InputError: they cannot be read, or have problems that may not be skipped.
    """
    from irstd.formats import predictions  # noqa: PLC0415 - slow to load, and `--help` needs none
    from irstd.scoring import truth as truths  # noqa: PLC0415

    own = getattr(given, "truth", None)
    if not own and getattr(given, "images", None):
        raise InputError("--images goes with --truth: a dataset has its own pictures; leave it out")
    if own and given.split is not None:
        raise InputError("--split is of a dataset, and --truth names truth of one's own; leave one out")
    refuse_idle(given.coco_images, getattr(given, "images", None), given.predictions, own)
    truth = (
        truths.of_folder(own, given.images, given.coco_images)
        if own
        else dataset(given.dataset, given.split, root).truth
    )
    how = predictions.Reading(
        given.fit,
        given.logits,
        given.stretch,
        given.threshold,
        given.key,
        given.coco_images,
        loose=truth.loose,
        below=truth.below,
        as_given=given.as_given,
    )
    found = predictions.read(given.predictions, truth.sizes, how)
    found.settle(truth.sizes, given.missing, given.skip)
    return Read(
        truth, found, given.name or title(given.predictions), 0.5 if given.threshold is None else given.threshold
    )


def refuse_idle(coco_images: object, images: object, predictions: Path | None, truth: Path | None) -> None:
    """Raises InputError for options that would do nothing.

    Args:
        predictions, truth: their places; None for what is no file.
    """
    from irstd.formats import annotations, names  # noqa: PLC0415 - slow to load, and `--help` needs none

    places = [place for place in (predictions, truth) if place is not None]
    if coco_images is not None and not any(map(annotations.coco_file, places)):
        raise InputError("--coco-images names the images of COCO JSON, and nothing given is that; leave it out")
    if images is not None and truth is not None and truth.is_dir() and names.listing(truth).files:
        raise InputError(f"--images is for truth of boxes and points, and {truth.name} has masks; leave it out")


def title(predictions: Path) -> str:
    """What a row of predictions is called by itself: its folder, or its file without suffix."""
    path = predictions.resolve()
    return path.name if path.is_dir() else path.stem


def dataset(name: str, split: str | None, root: Path) -> datasets.Dataset:
    """A dataset as a checkout's pipeline prepared it; fetched and kept where there is no checkout.

    Args:
        split: if not given that of params.yaml, or else the first that the catalogue lists.

    Raises:
        InputError: it is not prepared in this checkout, or there is none of this name, or no such split.
    """
    if Path(name).name != name:  # of a submission's card, say, which is not to choose its own truth
        raise InputError(f"there is no dataset {name!r}; {hint(name, datasets.available())}")
    here = root / "data/prepared" / name
    if (root / "params.yaml").is_file():
        from irstd.config import params  # noqa: PLC0415 - slow to load, and `--help` needs none
        from irstd.scoring import truth as truths  # noqa: PLC0415

        split = split or params.load(root / "params.yaml").data(name).split
        truths.prepared_at(here)
    return datasets.load(name, split, here if (here / "scenes.csv").is_file() else None)


def run(given: argparse.Namespace, root: Path) -> str:
    """Scores predictions, writes the report, and returns what to print."""
    from irstd.results import overlaid, store  # noqa: PLC0415
    from irstd.scoring import submission  # noqa: PLC0415

    one = read(given, root)
    others, said = overlaid.of_checkout_or_none(root)
    report = submission.score(
        one.name, one.truth, one.found, side=given.size, points_above=one.above, results_folder=others
    )
    report.words.extend(said)
    folder = report.write(given.out or root / "runs/score" / one.name)
    if given.json:
        store.write_json(submission.as_json(report.scored.conventions), given.json)
    return f"{report}\n\nWritten to {folder}: report.html, report.md, CSV and JSON."
