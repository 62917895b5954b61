"""Result tables and records as files: what writers and readers share. `irstd.results.schemas` says what is in each."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from irstd.results.schemas import ADDED, SCHEMAS


def check(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    """`table` with its columns in the order of the schema `kind`.

    Raises:
        ValueError: a column is missing or unknown.
    """
    wanted = list(SCHEMAS[kind])
    table = table.assign(**{name: None for name in ADDED.get(kind, ()) if name not in table})
    if set(table.columns) != set(wanted):
        lacks, unknown = sorted(set(wanted) - set(table.columns)), sorted(set(table.columns) - set(wanted))
        raise ValueError(
            f"a {kind} table lacks {lacks} and has unknown {unknown}; irstd/results/schemas.py says what it holds"
        )
    return table[wanted]


def write(table: pd.DataFrame, path: Path, kind: str) -> None:
    """Writes a table as CSV; its columns must be those of `kind`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    check(table, kind).to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


def read(path: Path, kind: str) -> pd.DataFrame:
    """A table that `write` wrote; its columns must be those of `kind`."""
    # Scene names may look like numbers; they are not.
    return check(pd.read_csv(path, dtype={"name": str, "group": str}), kind)


def write_json(values: Mapping[str, Any], path: Path) -> None:
    """Writes a record as JSON; a number that is not finite, at any depth, becomes null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_finite(values), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
