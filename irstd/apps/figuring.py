"""`irstd figure`: scenes by methods, surfaces of score maps and operating curves, as a paper prints them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irstd.apps import scoring
from irstd.errors import InputError, hint

if TYPE_CHECKING:
    from numpy import ndarray

    from irstd.formats.given import Given
    from irstd.plots.paper import Panel
    from irstd.scoring.truth import Truth

KINDS = ("grid", "surfaces", "curves")
SUFFIXES = (".pdf", ".svg", ".png")
MOST_SCENES = 12  # of a grid


def add(commands: Any) -> None:
    """Adds the command to a parser's."""
    parser = commands.add_parser("figure", help="scenes by methods, surfaces or curves of predictions, for a paper")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument(
        "predictions", nargs="+", metavar="NAME=FOLDER", help="of each method, as `irstd score` reads them"
    )
    truth = parser.add_mutually_exclusive_group(required=True)
    truth.add_argument("--dataset", help="of the catalogue; its test scenes")
    truth.add_argument("--truth", type=Path, metavar="FOLDER", help="your own masks; give --images as well")
    parser.add_argument("--split", help="of the dataset; see `irstd score`")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="the pictures, beside --truth")
    parser.add_argument(
        "--scenes", nargs="+", metavar="SCENE", help="of grid and surfaces; the first three if not given"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=f"{', '.join(SUFFIXES)}")


def run(given: argparse.Namespace, root: Path) -> str:
    """Draws the figure, and returns where it is.

    Raises:
        InputError: a name, a scene or a prediction is not there; the message says which.
    """
    if given.out.suffix not in SUFFIXES:
        raise InputError(f"--out {given.out.name} is of no known format; give {', '.join(SUFFIXES)}")
    named = _named(given.predictions)
    truth, picture = _truth(given, root)
    from irstd.plots import paper  # noqa: PLC0415 - matplotlib, and `--help` needs none of these

    paper.for_print()
    notes: list[str] = []
    if given.kind == "curves":
        figure = paper.curves({name: _sweep(name, path, truth, notes) for name, path in named.items()})
    else:
        scenes = _scenes(given.scenes, truth)
        found = {name: _read(name, path, truth, scenes, notes) for name, path in named.items()}
        surface = given.kind == "surfaces"
        rows = {scene: _panels(scene, truth, picture(scene), found, surface=surface) for scene in scenes}
        figure = paper.surfaces(rows) if surface else paper.grid(rows)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    when = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(given.out.suffix)
    figure.savefig(given.out, metadata=when)
    return "\n".join([*notes, f"Written to {given.out}."])


def _named(words: list[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for word in words:
        name, mark, path = word.partition("=")
        if not (mark and name and path):
            raise InputError(f"{word!r} is no NAME=FOLDER; give the method's name, an equals sign and its predictions")
        if name in found:
            raise InputError(f"{name!r} is given twice; give each method a name of its own")
        found[name] = Path(path)
    return found


def _truth(given: argparse.Namespace, root: Path) -> tuple[Truth, Any]:
    """Truth, and what gives the picture of a scene."""
    from irstd.formats import images  # noqa: PLC0415
    from irstd.formats.names import listing, own_names  # noqa: PLC0415
    from irstd.scoring import truth as truths  # noqa: PLC0415

    if given.dataset:
        dataset = scoring.dataset(given.dataset, given.split, root)
        return dataset.truth, dataset.image
    if given.images is None:
        raise InputError("--images is missing: the folder with the pictures of these masks")
    truth = truths.of_folder(given.truth, given.images)
    pictures = own_names(listing(given.images).files, given.images, "images", strip=str)

    def picture(scene: str) -> ndarray:
        if scene not in pictures:
            raise InputError(f"{given.images} has no picture of {scene!r}; {hint(scene, pictures)}")
        return images.read(pictures[scene]).levels

    return truth, picture


def _scenes(wanted: list[str] | None, truth: Truth) -> list[str]:
    scenes = wanted or list(truth.sizes)[:3]
    for scene in scenes:
        if scene not in truth.sizes:
            raise InputError(f"there is no scene {scene!r} among these; {hint(scene, truth.sizes)}")
    if len(scenes) > MOST_SCENES:
        raise InputError(f"{len(scenes)} scenes do not fit a page; give at most {MOST_SCENES}")
    return scenes


def _read(name: str, path: Path, truth: Truth, scenes: list[str], notes: list[str]) -> Given:
    """Predictions of some scenes; others may have none. All are read, since what their values mean shows in all."""
    from irstd.formats import predictions  # noqa: PLC0415

    found = predictions.read(
        path, truth.sizes, predictions.Reading(loose=truth.loose, below=truth.below, as_given=True)
    )
    absent = [scene for scene in found.problems.pop("missing", []) if scene in scenes]
    if absent:
        found.problems["missing"] = absent
    found.refuse(["extra"])
    notes += [f"{name}: {note}" for note in found.notes]
    found.maps = {scene: found.maps[scene] for scene in scenes if scene in found.maps}
    return found


def _sweep(name: str, path: Path, truth: Truth, notes: list[str]) -> Any:
    from irstd.scoring import submission  # noqa: PLC0415

    found = _read(name, path, truth, list(truth.sizes), notes)
    if not found.maps:
        raise InputError(f"{name} gives points, which have no curve of pixels; leave it out, or give score maps")
    return submission.score(name, truth, found).scored.sweep


def _panels(scene: str, truth: Truth, image: ndarray, found: Mapping[str, Given], *, surface: bool) -> list[Panel]:
    """The picture, and for each method what it says, with what became of every target and region."""
    from irstd.metrics.conventions import CONVENTIONS  # noqa: PLC0415
    from irstd.metrics.counts import count  # noqa: PLC0415
    from irstd.metrics.regions import regions  # noqa: PLC0415
    from irstd.plots.paper import Panel  # noqa: PLC0415
    from irstd.scoring import submission  # noqa: PLC0415

    targets = regions(truth.mask(scene) > submission.WHITE // 2)
    zoom = None
    if len(targets):
        row, col = targets.centroids[0].tolist()
        zoom = (row, col)
    boxes = [("target", tuple(map(float, box))) for box in targets.boxes.tolist()]
    panels = [Panel("image", image, boxes=boxes, zoom=zoom)]  # type: ignore[arg-type]
    for name, given in found.items():
        pair = next(iter(submission.pairs(truth, given, [scene])))
        scored = count(pair, CONVENTIONS["irstd"])
        hit, right = {t for t, _, _ in scored.matches}, {r for _, r, _ in scored.matches}
        marks = [
            ("target found" if n in hit else "target missed", box) for n, box in enumerate(scored.truth.boxes.tolist())
        ]
        if scored.found is not None:
            marks += [("false alarm", box) for n, box in enumerate(scored.found.boxes.tolist()) if n not in right]
        else:
            marks += [
                ("false alarm", [r - 0.5, c - 0.5, 1, 1])
                for n, (r, c) in enumerate(scored.points.tolist())
                if n not in right
            ]
        shown = given.maps.get(scene)
        if shown is None and surface:
            raise InputError(f"{name} gives points, which have no surface; leave it out, or give score maps")
        panels.append(
            Panel(
                name,
                image if shown is None else shown,
                [(kind, tuple(map(float, box))) for kind, box in marks],
                zoom,
                scores=shown is not None,
            )  # type: ignore[misc]
        )
    return panels
