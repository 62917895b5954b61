"""params.yaml as frozen, validated objects; every wrong key or value is named by its full path.

Functions receive the small object they need, never the whole. What a network's options may be is said by
its method; everything else is said here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Discriminator, Field, Tag, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from irstd.config.messages import sentence
from irstd.errors import InputError, hint

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]

record = dataclass(frozen=True, config={"extra": "forbid", "strict": True})


@record
class Scenes:
    """Synthetic scenes; see `irstd.data.synthetic`."""

    seed: int
    train: Count
    test: Count
    size: Annotated[int, Field(ge=32, le=2048)]  # px, both sides
    targets: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]  # fewest and most in a scene
    scr: tuple[Positive, Positive]  # signal-to-clutter ratio, lowest and highest
    sigma_px: tuple[Positive, Positive]  # of the target's spread, smallest and largest


@record
class Folder:
    """A dataset of the user's own, in a layout that `irstd.data.own` takes: `folder` holds `images/` and `masks/`,
    points or boxes, and perhaps lists of a split.
    """

    folder: Path
    levels: tuple[float, float] | None = None  # that become black and white in images of more than 8 bits
    skip_broken: bool = False  # go on without scenes whose files cannot be decoded


@record
class Made:
    """The synthetic dataset."""

    scenes: Scenes


def _kind_of_source(source: Any) -> str:
    """Which kind of source was meant, so that a mistake in it is explained as that kind's."""
    if not isinstance(source, dict):
        return "catalogue"
    return "made" if "scenes" in source else "folder"


Source = Annotated[
    Annotated[Literal["catalogue"], Tag("catalogue")] | Annotated[Folder, Tag("folder")] | Annotated[Made, Tag("made")],
    Discriminator(_kind_of_source),
]


@record
class Dataset:
    """How one dataset is used."""

    source: Source
    split: str  # which of its published splits
    validation: Annotated[float, Field(ge=0, lt=1)]  # share of the training images held out to choose the epoch
    budget: str  # which of each method's budgets its cells train with
    clicks: Path | None = None  # CSV of name, row, col: point labels to train with instead of centroids
    portable: bool = False  # one instruction set for any x86 CPU with AVX2; hardware and time not recorded


@record
class Optimiser:
    """Optimiser and learning rate."""

    name: Literal["adam", "adamw", "adagrad", "sgd"]
    lr: Positive
    weight_decay: NonNegative = 0.0
    momentum: Share = 0.9  # sgd only


@record
class Schedule:
    """Learning rate over the training: linear rise over `warmup_epochs`, then constant or cosine to zero."""

    name: Literal["constant", "cosine"] = "constant"
    warmup_epochs: NonNegative = 0.0


@record
class Augment:
    """Random changes of a training crop; `irstd.data.augment` says what each does."""

    flip: Share = 0.5
    transpose: Share = 0.5
    affine: Share = 0.0  # probability of rotation, shift and scale together
    rotate_deg: NonNegative = 45.0
    shift: Share = 0.1  # of the crop's side
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.2
    colour: Share = 0.0  # probability of brightness and contrast together
    brightness: NonNegative = 0.2
    contrast: Annotated[float, Field(ge=0, lt=1)] = 0.2
    noise: Share = 0.0  # probability of sensor noise
    noise_std: tuple[NonNegative, NonNegative] = (0.0124, 0.0277)  # grey levels of 1, least and most


@record
class Recipe:
    """How a method trains."""

    epochs: Annotated[int, Field(ge=0)]  # 0: nothing is trained, only a threshold chosen; for `baselines`
    batch: Count
    optimiser: Optimiser
    schedule: Schedule = Schedule()
    augment: Augment = Augment()
    geometry: Literal["crop", "resize"] = "crop"
    size: Annotated[int, Field(ge=32, le=4096)] = 256  # px: side of a crop, or of the resized square
    target_share: Share = 0.5  # of the crops, at least so many contain a target
    crops: Count = 1  # from each image in an epoch
    validate_every: Count = 1  # epochs
    selection: Literal["validation", "last", "test"] = "validation"
    grad_clip: NonNegative = 0.0  # norm; 0 for none
    threads: Annotated[int, Field(ge=0)] = 0  # of torch on a CPU, if other than train.threads; 0: as train.threads
    jitter: NonNegative = 0.0  # deviation of point labels from centroids, in halves of the target's box


@record
class Row:
    """One row of the tables: a method with its options and recipe. A variant is another row."""

    options: dict[str, Any] = Field(default_factory=dict)
    recipe: dict[str, Any] = Field(default_factory=dict)
    budgets: dict[str, dict[str, Any]] = Field(default_factory=dict)
    method: str | None = None  # file in irstd/methods, if the row's name is not it


@record
class Train:
    """Where and how trainings run; nothing that a recipe says."""

    device: str  # auto, cpu, cuda, cuda:1, ...
    precision: Literal["auto", "32", "bf16", "16"]
    threads: Annotated[int, Field(ge=0)]  # of torch on the CPU; 0: as many as it likes
    checkpoint_s: NonNegative  # between checkpoints, at ends of epochs; a kill loses no more


@record
class Evaluate:
    """How predictions are scored; `irstd.metrics` says what each means."""

    threshold: Literal["chosen"] | Share  # chosen: one half of a map, else what the validation scenes gave
    match_px: Positive
    connectivity: Literal[4, 8]
    pictures: Count  # scenes kept for the report's gallery


@record
class Cost:
    """What the cost of a method is measured at."""

    sizes: tuple[Count, ...]
    batches: tuple[Count, ...]
    forms: tuple[
        Literal["torch", "compiled", "onnxruntime", "graph"], ...
    ]  # irstd.inference.profiling says what each is
    repeats: Count
    threads: Annotated[int, Field(ge=0)]


@record
class Study:
    """Further rows, run on some datasets only, with a report of their own."""

    datasets: tuple[Name, ...]
    methods: tuple[Name, ...]
    seeds: tuple[int, ...]


@record
class Orientation:
    """Which trained network the pictures of oriented kernels are made of."""

    datasets: tuple[Name, ...]
    method: Name
    seed: int


@record
class Publish:
    """Cells whose weights are in git; they are scored on each other's datasets."""

    datasets: tuple[Name, ...]
    methods: tuple[Name, ...]
    seeds: Annotated[tuple[int, ...], Field(max_length=1)]  # the files of two would have one name


@record
class Robustness:
    """How published weights are tried on changed images; `irstd.analysis.corruptions` says what each change is."""

    scenes: Count  # of the test split, evenly spaced
    changes: dict[Literal["noise", "stripes", "blur", "contrast", "scr"], tuple[Positive, ...]]


@record
class Params:
    """The whole of params.yaml."""

    datasets: tuple[Name, ...]
    methods: tuple[Name, ...]
    baselines: tuple[Name, ...]  # rows without anything to train
    studies: dict[Name, Study]
    public: tuple[Name, ...]  # datasets whose images may be in git
    publish: Publish
    robustness: Robustness
    orientation: Orientation
    seeds: tuple[int, ...]
    dataset: dict[Name, Dataset]
    method: dict[Name, Row]
    train: Train
    evaluate: Evaluate
    cost: Cost

    def row(self, name: str) -> Row:
        """The row called `name`.

        Raises:
            InputError: params.yaml has no such row.
        """
        return _entry(self.method, name, "method")

    def data(self, name: str) -> Dataset:
        """How the dataset `name` is used.

        Raises:
            InputError: params.yaml has no such dataset.
        """
        return _entry(self.dataset, name, "dataset")

    def recipe(self, dataset: str, row: str) -> Recipe:
        """The recipe of a cell: the row's own, changed by the budget that the dataset names.

        Raises:
            InputError: an unknown dataset, row, budget or key, or a value out of range.
        """
        budget, entry = self.data(dataset).budget, self.row(row)
        path = f"method.{row}.recipe"
        changes: dict[str, Any] = {}
        if budget != "full":
            if budget not in entry.budgets:
                known = [*entry.budgets, "full"]
                raise InputError(
                    f"params.yaml: dataset.{dataset}.budget: method.{row}.budgets has no {budget!r}; "
                    f"{hint(budget, known)}"
                )
            changes, path = entry.budgets[budget], f"method.{row}.budgets.{budget}"
        return check(Recipe, {**entry.recipe, **changes}, path)


def _entry(entries: Mapping[str, Any], name: str, kind: str) -> Any:
    if name not in entries:
        raise InputError(f"params.yaml: `{kind}` has no entry {name!r}; {hint(name, entries)}")
    return entries[name]


def check(kind: type, values: Mapping[str, Any], path: str) -> Any:
    """An object of dataclass `kind` from plain `values`.

    Raises:
        InputError: a key is unknown or missing, or a value has another type or is out of range; the message
            gives the key's full path and what is accepted.
    """
    try:
        # JSON mode, since its strictness takes a list for a tuple and still no string for a number.
        return TypeAdapter(_closed(kind)).validate_json(json.dumps(values))
    except ValidationError as error:
        raise InputError(sentence(error.errors(), kind, path)) from None


def _closed(kind: type) -> type:
    """`kind`, refusing unknown keys and lax conversions; a method's plain dataclass does not say so itself."""
    if is_dataclass(kind) and not hasattr(kind, "__pydantic_config__"):
        kind.__pydantic_config__ = {"extra": "forbid", "strict": True}
    return kind


def _check_studies(params: Params) -> None:
    """Raises InputError where a study needs what the pipeline does not make, or makes the same again."""
    taken = dict.fromkeys(params.methods, "methods") | dict.fromkeys(params.baselines, "baselines")
    for study, rows in params.studies.items():
        for dataset in rows.datasets:
            if dataset not in params.datasets:
                raise InputError(
                    f"params.yaml: studies.{study}.datasets: {dataset!r} is not in `datasets`; take it out, or add it "
                    "there"
                )
        for name in rows.methods:
            if name in taken:
                raise InputError(
                    f"params.yaml: studies.{study}.methods: {name!r} is in `{taken[name]}` already; take it out of one"
                )
            taken[name] = f"studies.{study}.methods"


def _check_baselines(params: Params) -> None:
    """Raises InputError where a row without anything to train is to be trained, or the other way round."""
    for name in (*params.methods, *params.baselines, *(m for study in params.studies.values() for m in study.methods)):
        epochs = check(Recipe, params.row(name).recipe, f"method.{name}.recipe").epochs
        if name in params.baselines and epochs:
            raise InputError(
                f"params.yaml: baselines: {name!r} is trained; take it out, or set epochs: 0 in its recipe"
            )
        if name not in params.baselines and not epochs:
            raise InputError(f"params.yaml: {name!r} has epochs: 0 in its recipe; list it in `baselines` only")


def _check_pictures(params: Params) -> None:
    """Raises InputError where pictures or weights are wanted of what is not there, or not trained."""
    wanted, lists = params.orientation, {kind: getattr(params, kind) for kind in ("datasets", "methods", "seeds")}
    asked = [("public", "datasets", params.public)]
    if params.publish.datasets:
        asked += [(f"publish.{kind}", kind, getattr(params.publish, kind)) for kind in lists]
    for path, kind, names in asked:
        if unknown := [name for name in names if name not in lists[kind]]:
            raise InputError(
                f"params.yaml: {path}: {unknown[0]!r} is not among `{kind}`; add it there, or drop it here"
            )
    for dataset in wanted.datasets:
        if dataset not in params.datasets or wanted.method not in params.methods or wanted.seed not in params.seeds:
            raise InputError(
                f"params.yaml: orientation: {wanted.method!r} is not trained on {dataset!r} with seed {wanted.seed}; "
                "name a cell of `datasets`, `methods` and `seeds`, or no dataset"
            )


def parse(text: str) -> Params:
    """Params from the text of a params.yaml.

    Raises:
        InputError: not YAML, or a wrong key or value anywhere in it.
    """
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        raise InputError(f"params.yaml: line {where.line + 1 if where else '?'} is not YAML; mend it there") from None
    params = check(Params, values or {}, "")
    for name, row in params.method.items():
        if row.recipe:
            check(Recipe, row.recipe, f"method.{name}.recipe")
        for budget, changes in row.budgets.items():
            check(Recipe, {**row.recipe, **changes}, f"method.{name}.budgets.{budget}")
    _check_studies(params)
    _check_baselines(params)
    for run in (params, *params.studies.values()):
        for dataset in run.datasets:
            params.data(dataset)
            for name in run.methods:
                params.recipe(dataset, name)
    for dataset in params.datasets:
        for name in params.baselines:
            params.recipe(dataset, name)
    _check_pictures(params)
    return params


def load(path: Path | str = "params.yaml") -> Params:
    """Params from a file.

    Raises:
        InputError: as `parse`, or the file is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path.name} is missing; run this in the root of the repository")
    return parse(path.read_text())
