"""Records as they are read: whether a run's JSON and tables are whole, in range, and agree with each other.

A record that is damaged would change a page in silence; here it is refused in a sentence that names the file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from irstd.errors import InputError
from irstd.results import agreement, store
from irstd.results.schemas import SCHEMAS
from irstd.results.store import REMEDY

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Size = Annotated[float, Field(ge=0)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
NEEDED = ("per_image", "per_target", "history", "watched")  # tables of every run


class Record(BaseModel):
    """Keys that are not named here are let through: records grow."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)


class Metrics(Record):
    """metrics.json of a run. Scores are null where there is nothing to divide by: a run may find nothing."""

    convention: str
    threshold: Share
    iou: Share | None
    niou: Share | None
    pixel_precision: Share | None
    pixel_recall: Share | None
    pixel_f1: Share | None
    fa_per_million: Annotated[float, Field(ge=0, le=1e6)] | None
    pd: Share | None
    precision: Share | None
    f1: Share | None
    false_regions_per_image: Size
    distance_px: Size | None
    images: Annotated[int, Field(ge=1)]
    targets: Count
    point_f1_3px: Share | None
    point_f1_5px: Share | None
    interval: dict[str, tuple[Size, Size] | None]
    selection: Literal["validation", "last", "test"]

    @field_validator("interval")
    @classmethod
    def _ordered(cls, value: dict[str, tuple[float, float] | None]) -> Any:
        for name, ends in value.items():
            if ends is not None and ends[0] > ends[1]:
                raise ValueError(f"the interval of {name} ends before it begins")
        return value


class Scenes(Record):
    """How many scenes had which role."""

    train: Count
    validation: Count
    test: Annotated[int, Field(ge=1)]


class Recipe(Record):
    """Of the recipe, what tables read."""

    epochs: Count


class Provenance(Record):
    """provenance.json of a run."""

    split: str
    scenes: Scenes
    budget: str
    recipe: Recipe
    full_epochs: Count
    options: dict[str, Any]
    data_sha256: Digest
    versions: dict[str, str]
    best_epoch: Count
    threshold: Share
    hardware: str | None
    wall_s: Size | None
    commit: str | None

    @model_validator(mode="after")
    def _trained(self) -> Provenance:
        if self.best_epoch > self.recipe.epochs:
            raise ValueError(f"epoch {self.best_epoch} of {self.recipe.epochs} was chosen")
        return self


class Summary(Record):
    """summary.json of a run: of its curves; empty for a method that gives points alone."""

    roc_auc: Share | None = None
    pr_auc: Share | None = None
    pd_fa_area: Share | None = None
    pd_at_fa: dict[str, Share | None] = Field(default_factory=dict)
    lowest_fa_per_million: Size | None = None
    at_chosen_threshold: dict[str, Size | None] | None = None


Stated = Annotated[float, Field(ge=-1e18, le=1e18)] | Annotated[int, Field(ge=-(10**18), le=10**18)] | None


class Submission(Record):
    """submission.json of `irstd submit`: what of it is computed with; whatever else is in it is shown as it is."""

    model_config = ConfigDict(strict=True)

    name: str
    dataset: str
    split: str
    checksum: str
    points_above: Annotated[float, Field(ge=0, le=1)] | Annotated[int, Field(ge=0, le=1)]
    parameters: int | None = None
    scores: dict[str, dict[str, Stated]]
    files: dict[str, str]


class Card(Record):
    """methods/ROW.json."""

    method: str
    title: str
    paper: str
    supervision: Literal["mask", "point"]
    parameters: Count


def load(path: Path, kind: type[Record]) -> dict[str, Any]:
    """A record as plain values.

    Raises:
        InputError: it is missing, no JSON, or has a value that it cannot have.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        kind.model_validate(values)
    except FileNotFoundError:
        raise InputError(f"{path} is missing; {REMEDY}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        got = f", but it is {first['input']!r}" if isinstance(first["input"], (str, int, float)) else ""
        raise InputError(f"{path} is damaged: {where}: {first['msg'].lower()}{got}; {REMEDY}") from None
    except (ValueError, RecursionError) as error:  # no JSON, or no UTF-8
        raise InputError(f"{path} is damaged ({str(error).splitlines()[0]}); {REMEDY}") from None
    return values


def check_run(folder: Path) -> None:
    """Whether the files of a run are whole and its scores those of its images.

    Args:
        folder: DATASET/ROW/SEED.

    Raises:
        InputError: they are not.
    """
    metrics, made = load(folder / "metrics.json", Metrics), load(folder / "provenance.json", Provenance)
    tables = {path.stem: store.read(path, path.stem) for path in sorted(folder.glob("*.csv")) if path.stem in SCHEMAS}
    wanted = (*NEEDED, "conventions") if (folder / "summary.json").exists() else NEEDED
    for name in wanted:
        if name not in tables:
            raise InputError(f"{folder / name}.csv is missing; {REMEDY}")
    if "conventions" in tables:
        load(folder / "summary.json", Summary)
    agreement.check(folder, metrics, made, tables)


def check(folder: Path) -> None:
    """Whether all results below `folder` are whole.

    Raises:
        InputError: the first that is not.
    """
    runs = {path.parent for name in ("metrics.json", "provenance.json") for path in folder.glob(f"*/*/*/{name}")}
    for run in sorted(runs):
        check_run(run)
        card = folder / "methods" / f"{run.parent.name}.json"
        load(card, Card)
    for path in sorted(folder.glob("*/*.csv")):
        if path.stem in SCHEMAS:
            store.read(path, path.stem)
