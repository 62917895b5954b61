"""params.yaml as frozen, validated objects; every wrong key or value is named by its full path.

Functions receive the small object they need, never the whole. What a network's options may be is said by
its method; everything else is said here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Discriminator, Field, Tag, TypeAdapter, ValidationError

from irstd.config import consistency
from irstd.config.messages import sentence
from irstd.config.recipe import (
    Augment,
    Count,
    Name,
    NonNegative,
    Optimiser,
    Phase,
    Positive,
    Recipe,
    Schedule,
    Share,
    record,
)
from irstd.errors import InputError, hint

__all__ = ["Augment", "Optimiser", "Phase", "Recipe", "Schedule"]  # of recipes, used by these names


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
    skip_broken: bool = False  # go on without scenes whose files cannot be used


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
    budget_times: Count = 1  # its epochs times so many: where images are few, for the same hours
    clicks: Path | None = None  # CSV of name, row, col: point labels to train with instead of centroids


@record
class Row:
    """One row of the tables: a method with its options and recipe.

    A variant is another row: it names the row it is a variant `of`, and holds what differs.
    """

    options: dict[str, Any] = Field(default_factory=dict)
    recipe: dict[str, Any] = Field(default_factory=dict)
    budgets: dict[str, dict[str, Any]] = Field(default_factory=dict)  # one may be `of` another, and say what differs
    method: str | None = None  # file in irstd/methods; that of the original, or the row's own name, if not given
    of: str | None = None  # the row whose recipe, budgets and, of the same method, options are inherited, key by key


@record
class Train:
    """Where and how trainings run; nothing that a recipe says."""

    device: str  # auto, cpu, cuda, cuda:1, ...
    precision: Literal["auto", "32", "bf16", "16"]
    threads: Annotated[int, Field(ge=0)]  # of torch on the CPU; 0: as many as it likes
    checkpoint_s: NonNegative  # between checkpoints, at ends of epochs; a kill loses no more
    devices: Annotated[int, Field(ge=1)] = 1  # that share each batch of a training


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
    """Cells whose weights are published, by a card with their SHA-256; they are scored on each other's datasets."""

    datasets: tuple[Name, ...]
    methods: tuple[Name, ...]
    seeds: Annotated[tuple[int, ...], Field(max_length=1)]  # the files of two would have one name
    in_git: tuple[str, ...] = ()  # of them, DATASET/METHOD, those whose weights themselves are in git


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
        """The row called `name`, with what it inherits, and its method's name.

        Raises:
            InputError: params.yaml has no such row, or its originals lead back to it.
        """
        line = [name]  # from the row to the original of all
        while (parent := _entry(self.method, line[-1], "method").of) is not None:
            if parent in line:
                raise InputError(f"params.yaml: method.{line[-1]}.of: {parent!r} is a variant of it; break the circle")
            if parent not in self.method:
                raise InputError(
                    f"params.yaml: method.{line[-1]}.of: there is no row {parent!r}; {hint(parent, self.method)}"
                )
            line.append(parent)
        found = Row(method=line[-1])  # type: ignore[call-arg] # mypy does not see fields behind `record`
        for one in (self.method[row] for row in reversed(line)):
            budgets = {
                budget: {**found.budgets.get(budget, {}), **one.budgets.get(budget, {})}
                for budget in (*found.budgets, *one.budgets)
            }
            found = Row(  # type: ignore[call-arg]
                # Another method has options of its own.
                options={**({} if one.method else found.options), **one.options},
                recipe={**found.recipe, **one.recipe},
                budgets=budgets,
                method=one.method or found.method,
            )
        budgets = {budget: _whole(found.budgets, budget, f"method.{name}.budgets") for budget in found.budgets}
        return replace(found, budgets=budgets)  # type: ignore[type-var] # as above

    def data(self, name: str) -> Dataset:
        """How the dataset `name` is used.

        Raises:
            InputError: params.yaml has no such dataset.
        """
        return _entry(self.dataset, name, "dataset")

    def is_synthetic(self, name: str) -> bool:
        """Whether the scenes of the dataset `name` are drawn here, for trying things: the record has no results of it.

        Raises:
            InputError: params.yaml has no such dataset.
        """
        return isinstance(self.data(name).source, Made)

    def full_recipe(self, row: str) -> Recipe:
        """The row's own recipe, as `budget: full` takes it.

        Raises:
            InputError: an unknown row or key, or a value out of range.
        """
        return check(Recipe, self.row(row).recipe, f"method.{row}.recipe")

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
            if "epochs" in changes:
                changes = {**changes, "epochs": changes["epochs"] * self.data(dataset).budget_times}
        return check(Recipe, {**entry.recipe, **changes}, path)

    def rows(self) -> list[str]:
        """Every row that is used: methods, baselines, and those of studies."""
        of_studies = [row for study in self.studies.values() for row in study.methods]
        return list(dict.fromkeys([*self.methods, *self.baselines, *of_studies]))

    def cells(self) -> dict[str, dict[str, Any]]:
        """Every dataset, row and seed that is trained, by the name of its stages: what cells.yaml holds."""
        every = {(d, m, s): None for d in self.datasets for m in self.methods for s in self.seeds}
        every |= {(d, m, 0): None for d in self.datasets for m in self.baselines}
        for rows in self.studies.values():
            every |= {(d, m, s): None for d in rows.datasets for m in rows.methods for s in rows.seeds}
        return {f"{d}-{m}-{s}": {"dataset": d, "method": m, "seed": s} for d, m, s in every}

    def cells_text(self) -> str:
        """cells.yaml as it should be: `rows` and `cells`, over which dvc.yaml repeats its stages."""
        lines = [f"  {name}: {yaml.safe_dump(cell, default_flow_style=True)}" for name, cell in self.cells().items()]
        rows = "".join(f"  - {row}\n" for row in self.rows())
        return (
            "# Made from params.yaml by `make cells`: dvc.yaml repeats its stages over these.\n"
            f"rows:\n{rows}cells:\n{''.join(lines)}"
        )


def _whole(budgets: Mapping[str, dict[str, Any]], name: str, path: str) -> dict[str, Any]:
    """A budget with what it inherits from the budget that it is `of`."""
    line = [name]
    while (parent := budgets[line[-1]].get("of")) is not None:
        if parent in line or parent not in budgets:
            wrong = "leads back to it" if parent in line else f"is no budget of this row; {hint(parent, budgets)}"
            raise InputError(f"params.yaml: {path}.{line[-1]}.of: {parent!r} {wrong}")
        line.append(parent)
    merged = {key: value for one in reversed(line) for key, value in budgets[one].items()}
    return {key: value for key, value in merged.items() if key != "of"}


def _entry(entries: Mapping[str, Any], name: str, kind: str) -> Any:
    if name not in entries:
        raise InputError(f"params.yaml: `{kind}` has no entry {name!r}; {hint(name, entries)}")
    return entries[name]


def check(kind: type, values: Mapping[Any, Any], path: str) -> Any:
    """An object of dataclass `kind` from plain `values`.

    Raises:
        InputError: a key is unknown or missing, or a value has another type or is out of range; the message
            gives the key's full path and what is accepted.
    """
    try:
        # JSON mode, since its strictness takes a list for a tuple and still no string for a number.
        text = json.dumps(values)
    except (TypeError, ValueError, RecursionError) as error:  # dates, bytes, what holds itself
        raise InputError(f"params.yaml: {path or 'top level'}: {error}; give numbers, words, lists and keys") from None
    try:
        return TypeAdapter(_closed(kind)).validate_json(text)
    except ValidationError as error:
        raise InputError(sentence(error.errors(), kind, path)) from None


def _closed(kind: type) -> type:
    """`kind`, refusing unknown keys and lax conversions; a method's plain dataclass does not say so itself."""
    if is_dataclass(kind) and not hasattr(kind, "__pydantic_config__"):
        kind.__pydantic_config__ = {"extra": "forbid", "strict": True}  # type: ignore[attr-defined]
    return kind


def _values(text: str) -> dict[Any, Any]:
    """What a YAML file holds.

    Raises:
        InputError: it is no YAML, or holds no keys.
    """
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        raise InputError(f"params.yaml: line {where.line + 1 if where else '?'} is not YAML; fix it there") from None
    except (ValueError, OverflowError, RecursionError) as error:  # of dates that are none, and endless nesting
        raise InputError(f"params.yaml cannot be read ({error}); correct it") from None
    if values is not None and not isinstance(values, dict):
        raise InputError(f"params.yaml is a {type(values).__name__}, and no keys with values; take it from git again")
    return values or {}


def parse(text: str) -> Params:
    """Params from the text of a params.yaml.

    Raises:
        InputError: not YAML, or a wrong key or value anywhere in it.
    """
    params = check(Params, _values(text), "")
    for name in params.method:
        row = params.row(name)
        if row.recipe:
            check(Recipe, row.recipe, f"method.{name}.recipe")
        for budget, changes in row.budgets.items():
            check(Recipe, {**row.recipe, **changes}, f"method.{name}.budgets.{budget}")
    consistency.studies(params)
    consistency.baselines(params)
    for run in (params, *params.studies.values()):
        for dataset in run.datasets:
            params.data(dataset)
            for name in run.methods:
                params.recipe(dataset, name)
    for dataset in params.datasets:
        for name in params.baselines:
            params.recipe(dataset, name)
    consistency.pictures(params)
    return params


def load(path: Path | str = "params.yaml") -> Params:
    """Params from a file.

    Raises:
        InputError: as `parse`, or the file is missing or no text in UTF-8.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path.name} is missing; run this in the root of the repository")
    try:
        return parse(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise InputError(f"{path.name} is not UTF-8; save it as UTF-8") from None
