"""One training of params.yaml, looked up: its dataset, method, options and recipe, as every stage of it needs them."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irstd.config import params
from irstd.errors import InputError
from irstd.results import provenance

if TYPE_CHECKING:
    from torch import nn

    from irstd.methods import Method


def method_of(given: params.Params, name: str) -> tuple[Method, Any]:
    """The method of the row `name`, and its options.

    Raises:
        InputError: no such row or method, or an option that the method does not have.
    """
    from irstd import methods  # noqa: PLC0415 - loads torch, which a stage that scores does without

    row = given.row(name)
    method = methods.get(row.method or name)
    return method, params.check(method.options, row.options, f"method.{name}.options")


def changed_options(method: Method, options: Any) -> dict[str, Any]:
    """The options that are not the method's own."""
    usual = asdict(method.options())
    return {key: value for key, value in asdict(options).items() if value != usual[key]}


def network_of(given: params.Params, name: str) -> nn.Module:
    """The network of the row `name`, with new weights.

    Raises:
        InputError: as `method_of`; or the network cannot be built with the row's options. What a method raises with
            its own defaults is a fault of its code, and stays as it is.
    """
    method, options = method_of(given, name)
    changed = ", ".join(f"{key} {value!r}" for key, value in changed_options(method, options).items())

    def refusal(why: str) -> InputError:
        place = f"params.yaml: method.{name}.options"
        return InputError(f"{place}: {method.title} cannot be built with {changed} ({why}); change them")

    try:
        network = method.build(options)
    except InputError:
        raise
    except Exception as error:
        if not changed:
            raise
        raise refusal(f"{type(error).__name__}: {error}".splitlines()[0]) from error
    empty = [label for label, weight in network.named_parameters() if weight.numel() == 0]
    if empty and changed:
        raise refusal(f"{empty[0]} has no elements")
    return network


@dataclass(frozen=True)
class Run:
    """A dataset, a row of params.yaml and a seed, with everything that params.yaml says of them.

    Raises:
        InputError: params.yaml has no such dataset or row, or something in them is wrong.
    """

    given: params.Params
    dataset: str
    row: str
    seed: int

    @classmethod
    def load(cls, dataset: str, row: str, seed: str) -> Run:
        """From the words of a command line, and params.yaml in the working folder."""
        if not seed.isdigit():
            raise InputError(f"{seed!r} is no seed; give a whole number")
        found = cls(params.load(), dataset, row, int(seed))
        _ = found.entry, found.recipe  # whatever is wrong with them is said first
        return found

    @property
    def name(self) -> str:
        """As stages are called: DATASET-ROW-SEED."""
        return f"{self.dataset}-{self.row}-{self.seed}"

    def below(self, folder: Path) -> Path:
        """Where this run's files are below `folder`."""
        return folder / self.dataset / self.row / str(self.seed)

    @cached_property
    def entry(self) -> params.Dataset:
        """How the dataset is used."""
        return self.given.data(self.dataset)

    @cached_property
    def recipe(self) -> params.Recipe:
        """The row's recipe, changed by the budget that the dataset names."""
        return self.given.recipe(self.dataset, self.row)

    @cached_property
    def module(self) -> str:
        """Name of the method, as `irstd.methods.get` takes it."""
        return self.given.row(self.row).method or self.row

    @cached_property
    def method(self) -> Method:
        """The method."""
        return method_of(self.given, self.row)[0]

    @cached_property
    def options(self) -> Any:
        """Options of the method."""
        return method_of(self.given, self.row)[1]

    def network(self) -> nn.Module:
        """The network, with new weights."""
        return network_of(self.given, self.row)

    @property
    def threads(self) -> int:
        """Of torch on a CPU; 0 for as many as it likes."""
        return self.recipe.threads or self.given.train.threads

    @property
    def clicks(self) -> Path | None:
        """File of the points to train with instead of centroids, if the method is supervised by points."""
        return self.entry.clicks if self.method.supervision == "point" else None

    def resolved(self) -> dict[str, Any]:
        """Whatever of params.yaml, and of the method's code, decides what this run computes: plain values."""
        from irstd import methods  # noqa: PLC0415 - as in `method_of`

        clicks = self.clicks
        if clicks is not None and not clicks.is_file():
            raise InputError(f"params.yaml: dataset.{self.dataset}.clicks: there is no file {str(clicks)!r}")
        return {
            "dataset": self.dataset,
            "method": self.row,
            "seed": self.seed,
            "module": self.module,
            "options": asdict(self.options),
            "split": self.entry.split,
            "held_out": self.entry.validation,
            "clicks_sha256": None if clicks is None else hashlib.sha256(clicks.read_bytes()).hexdigest(),
            "budget": self.entry.budget,
            "recipe": asdict(self.recipe),
            "full_epochs": self.given.full_recipe(self.row).epochs,
            "device": self.given.train.device,
            "precision": self.given.train.precision,
            "threads": self.threads,
            "sources": provenance.source_digest(methods.module_name(self.module)),
        }
