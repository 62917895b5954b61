"""A submission: predictions with what they score, in a folder that anyone can compute again from scratch.

submission.json   what was predicted and how, scores under every convention, and the SHA-256 of every prediction
predictions/      a map of 16 bits for each scene, or points.csv
environment.txt   versions of what computed the scores
README.md         the card, for people, with the scores as the Hub's model cards have them
.eval_results/    the scores as the Hub's leaderboards read them, where the card names a dataset there
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import platform
import shutil
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jaxtyping import UInt16
from numpy import ndarray
from PIL import Image
from pydantic import ValidationError

from irstd import tables
from irstd.errors import InputError
from irstd.formats import pixels
from irstd.formats.given import Given
from irstd.formats.known import STATED
from irstd.formats.names import shown
from irstd.metrics.levels import TOP, encode
from irstd.results import records, store
from irstd.scoring import submission
from irstd.scoring.truth import Truth

FORMAT = 1
CARD, MAPS, POINTS = "submission.json", "predictions", "predictions/points.csv"
README, ENVIRONMENT, HUB = "README.md", "environment.txt", ".eval_results/irstd.yaml"
KEYS = {"format", "name", "dataset", "split", "checksum", "points_above", "scores", "files", *STATED}
SAME = 1e-9  # by how much a stated score may differ from the one that is computed: rounding of another processor


def make(folder: Path, truth: Truth, found: Given, above: float, stated: Mapping[str, Any]) -> submission.Report:
    """Writes the folder of a submission, and returns what was scored.

    Args:
        folder: new. above: what the score of a point must exceed. stated: of the method, see `irstd submit`; with name,
            dataset, split and checksum.

    Raises:
        InputError: there is something in the folder, or a scene has no prediction.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty; name a new folder with --out")
    absent = [name for name in truth.sizes if name not in found.maps and name not in found.points]
    if absent:
        raise InputError(f"a submission has every test scene, and {shown(absent)} have no prediction; add them")
    report = submission.score(str(stated["name"]), truth, found, points_above=above)
    building = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(building, ignore_errors=True)
    (building / MAPS).mkdir(parents=True)
    for name, scores in found.maps.items():
        path = building / MAPS / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(encode(scores)).save(path, optimize=True)
    if not found.maps:
        _write_points(building / POINTS, found.points)
    files = {path.relative_to(building).as_posix(): _digest(path) for path in sorted((building / MAPS).rglob("*.*"))}
    card = {
        "format": FORMAT,
        **stated,
        "points_above": above,
        "scores": submission.as_json(report.scored.conventions),
        "files": files,
    }
    store.write_json(card, building / CARD)
    (building / ENVIRONMENT).write_text(_environment(), encoding="utf-8")
    (building / README).write_text(_card(card), encoding="utf-8", newline="\n")
    if entries := _hub(card):
        (building / HUB).parent.mkdir()
        (building / HUB).write_text(entries, encoding="utf-8", newline="\n")
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)
    return report


def read_card(folder: Path) -> dict[str, Any]:
    """What a submission says of itself.

    Raises:
        InputError: the folder is no submission, of another version, or a value in it is none that it can have.
    """
    path = folder / CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        version = card["format"]
    except FileNotFoundError:
        raise InputError(f"{folder} is no submission, it has no {CARD}; `irstd submit` makes one") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({type(error).__name__}: {error}); make it again") from None
    if version != FORMAT:
        raise InputError(f"{path} is of format {version!r}, and this version reads {FORMAT}; make it again")
    try:
        records.Submission.model_validate(card)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg'].lower()}; make it again") from None
    return card


def verify(folder: Path, truth: Truth, checksum: str) -> list[str]:
    """What is wrong with a submission, computed from scratch: files, scenes, and every number; nothing if it is right.

    Args:
        truth: of its dataset and split. checksum: of the dataset that truth is from.

    Raises:
        InputError: as `read_card`.
    """
    card = read_card(folder)
    if card["checksum"] != checksum:
        return [f"it was scored on another {card['dataset']}: checksum {card['checksum'][:16]}…, here {checksum[:16]}…"]
    around = _around(folder, card)
    if wrong := _files(folder, card["files"]):
        return [*wrong, *around]
    found = Given()
    if POINTS in card["files"]:
        found.points = _read_points(folder / POINTS, truth)
    else:
        maps = {name: folder / MAPS / f"{name}.png" for name in truth.sizes}
        absent = [name for name, path in maps.items() if not path.is_file()]
        if absent:
            return [f"no prediction for {shown(absent)}"]
        found.maps = {name: _levels(path) / TOP for name, path in maps.items()}
        sizes = [name for name, scores in found.maps.items() if scores.shape != tuple(truth.sizes[name])]
        if sizes:
            return [f"another size than the image in {shown(sizes)}"]
    report = submission.score(card["name"], truth, found, points_above=float(card["points_above"]))
    return [*_differences(card["scores"], submission.as_json(report.scored.conventions)), *around]


def _files(folder: Path, stated: Mapping[str, str]) -> list[str]:
    """What differs between the files stated and those there."""
    here = {path.relative_to(folder).as_posix() for path in (folder / MAPS).rglob("*") if path.is_file()}
    wrong = []
    if gone := sorted(set(stated) - here):
        wrong.append(f"missing: {shown(gone)}")
    if more := sorted(here - set(stated)):
        wrong.append(f"not listed: {shown(more)}")
    if changed := [name for name in stated if name in here and _digest(folder / name) != stated[name]]:
        wrong.append(f"changed since it was scored: {shown(changed)}")
    return wrong


def _around(folder: Path, card: Mapping[str, Any]) -> list[str]:
    """What is wrong beside the predictions: the page that people and the Hub read, and files that do not belong."""
    wrong = []
    if unknown := sorted(set(card) - KEYS):
        wrong.append(f"{CARD} has {shown(unknown)}, which no submission has")
    known = {CARD, README, ENVIRONMENT, Path(MAPS).parts[0]}
    here = [path.name for path in folder.iterdir() if not path.name.startswith((".", "LICENSE"))]
    if others := sorted(set(here) - known):
        wrong.append(f"no part of a submission: {shown(others)}")
    try:
        stated = {README: _card(card), HUB: _hub(card)}
    except (KeyError, TypeError) as error:  # a score is missing
        return [*wrong, f"{CARD} has no scores that {README} could state ({type(error).__name__}: {error})"]
    for name, text in stated.items():
        path = folder / name
        try:
            same = (path.read_text(encoding="utf-8") if path.exists() else "") == text
        except (OSError, UnicodeDecodeError):
            same = False
        if not same:
            wrong.append(f"{name} is missing, or does not say what {CARD} does")
    if more := sorted(path.name for path in (folder / HUB).parent.glob("*") if path.name != Path(HUB).name):
        wrong.append(f"no part of a submission: {shown(f'{Path(HUB).parent}/{one}' for one in more)}")
    return wrong


def _differences(stated: Mapping[str, Mapping[str, Any]], computed: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Numbers that are not what is computed."""
    wrong = [f"scores of {name} are missing" for name in computed if name not in stated]
    wrong += [f"scores of {name} are of no convention here" for name in stated if name not in computed]
    for name, row in computed.items():
        said = stated.get(name, row)
        for key in sorted({*row, *said}):
            a, b = said.get(key), row.get(key)
            if isinstance(a, (int, float)) and isinstance(b, (int, float)):
                same = math.isclose(a, b, rel_tol=SAME, abs_tol=SAME)
            else:
                same = a == b
            if not same:
                wrong.append(f"{name} {key} is stated as {a!r}, and computed as {b!r}")
    return wrong


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _levels(path: Path) -> UInt16[ndarray, "H W"]:
    try:
        values = pixels.read(path).values
    except (pixels.UnreadableError, OSError) as error:
        raise InputError(f"{path.as_posix()} cannot be read ({error}); make the submission again") from None
    if values.ndim != 2 or values.dtype.kind not in "ui":
        raise InputError(f"{path.as_posix()} is no map of whole numbers; make the submission again")
    return values.astype(np.uint16)


def _write_points(path: Path, points: Mapping[str, ndarray]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("name", "row", "col", "score"))
        for name, every in points.items():
            table.writerows((name, *map(repr, one)) for one in every.tolist())


def _read_points(path: Path, truth: Truth) -> dict[str, ndarray]:
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in truth.sizes}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [(row["name"], [float(row[k]) for k in ("row", "col", "score")]) for row in csv.DictReader(file)]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(f"{path} is damaged ({type(error).__name__}: {error}); make the submission again") from None
    for name, place in rows:
        if name not in found:
            raise InputError(f"{path} has a point of {name!r}, which is no test scene; take it out")
        found[name].append(tuple(place))
    return {name: np.array(every, float).reshape(-1, 3) for name, every in found.items()}


def _environment() -> str:
    """Versions of Python and of every installed package."""
    every = sorted({f"{one.metadata['Name']}=={one.version}" for one in distributions()}, key=str.lower)
    return "\n".join([f"# Python {platform.python_version()}, {platform.system()} {platform.machine()}", *every]) + "\n"


def _shown(card: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """What the Hub is given: kind, name and value of scores under our convention, in percent and per million."""
    row = card["scores"]["irstd"]
    named = {"iou": "IoU", "niou": "nIoU", "pd": "Pd", "f1": "F1"}
    found = [(kind, name, round(100 * row[kind], 4)) for kind, name in named.items() if row[kind] is not None]
    alarms = row["fa_per_million"]
    return found if alarms is None else [*found, ("fa", "Fa per million px", round(alarms, 4))]


def _hub(card: Mapping[str, Any]) -> str:
    """Scores as the Hub's leaderboards read them (huggingface.co/docs/hub/eval-results); empty without a dataset."""
    if not (place := card.get("hub_dataset")):
        return ""
    notes = f"{card['dataset']} {card['split']}, native size, convention irstd; `irstd verify` computes it again"
    return yaml.safe_dump(
        [
            {"dataset": {"id": place, "task_id": kind}, "value": value, "notes": f"{name}: {notes}"}
            for kind, name, value in _shown(card)
        ],
        sort_keys=False, width=200,
    )  # fmt: skip


def _card(card: Mapping[str, Any]) -> str:
    """README.md: scores as the Hub reads them, and for people."""
    metrics = "".join(
        f"          - {{ type: {kind}, name: {name}, value: {value:.4f} }}\n" for kind, name, value in _shown(card)
    )
    lines = [f"| {key.replace('_', ' ')} | {card[key]} |" for key in card if key not in ("scores", "files", "format")]
    stated = "\n".join(
        f"| {name} | {tables.percent(one['iou'])} | {tables.percent(one['pd'])} | "
        f"{tables.number(one['fa_per_million'], '.2f')} | {tables.percent(one['f1'])} |"
        for name, one in card["scores"].items()
    )
    return f"""---
model-index:
  - name: {json.dumps(card["name"])}
    results:
      - task: {{ type: image-segmentation, name: Infrared small target detection }}
        dataset: {{ type: {card["dataset"]}, name: {card["dataset"]}, split: {json.dumps(card["split"])} }}
        metrics:
{metrics}---

# {card["name"]}

Scored by the IRSTD Workbench; `irstd verify` computes every number again from the predictions here.

| what | |
| --- | --- |
{chr(10).join(lines)}

| convention | IoU % | Pd % | Fa ×1e-6 | F1 % |
| --- | --- | --- | --- | --- |
{stated}
"""
