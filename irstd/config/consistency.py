"""What one part of params.yaml must keep with another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from irstd.errors import InputError, hint

if TYPE_CHECKING:
    from irstd.config.params import Params


def studies(params: Params) -> None:
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


def baselines(params: Params) -> None:
    """Raises InputError where a row without anything to train is to be trained, or the other way round."""
    for name in (*params.methods, *params.baselines, *(m for study in params.studies.values() for m in study.methods)):
        epochs = params.full_recipe(name).epochs
        if name in params.baselines and epochs:
            raise InputError(
                f"params.yaml: baselines: {name!r} is trained; take it out, or set epochs: 0 in its recipe"
            )
        if name not in params.baselines and not epochs:
            raise InputError(f"params.yaml: {name!r} has epochs: 0 in its recipe; list it in `baselines` only")


def pictures(params: Params) -> None:
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
    if params.publish.datasets:
        known = [f"{dataset}/{method}" for dataset in params.publish.datasets for method in params.publish.methods]
        if strangers := [name for name in params.publish.in_git if name not in known]:
            raise InputError(
                f"params.yaml: publish.in_git: {strangers[0]!r} is not published; {hint(strangers[0], known)}"
            )
    for dataset in wanted.datasets:
        if dataset not in params.datasets or wanted.method not in params.methods or wanted.seed not in params.seeds:
            raise InputError(
                f"params.yaml: orientation: {wanted.method!r} is not trained on {dataset!r} with seed {wanted.seed}; "
                "name a cell of `datasets`, `methods` and `seeds`, or no dataset"
            )
