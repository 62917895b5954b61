"""Result tables and records as files: what writers and readers share. `irstd.results.schemas` says what is in each."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from irstd.errors import InputError
from irstd.results.schemas import ADDED, EMPTY, SCHEMAS, SIGNED, TEXT, TEXT_OF

REMEDY = "take it from git again, or run its stage again"


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
    """A table that `write` wrote.

    Raises:
        InputError: it is no CSV, its columns are not those of `kind`, or a value is missing or no number where one
            belongs, not finite, negative where it cannot be, or a share above 1.
    """
    words, may_be_empty = (*TEXT, *TEXT_OF.get(kind, ())), {*EMPTY.get(kind, ()), *ADDED.get(kind, ())}
    try:
        # Scene names may look like numbers; they are not.
        table = check(pd.read_csv(path, dtype=dict.fromkeys(words, str)), kind)
    except FileNotFoundError:
        raise InputError(f"{path} is missing; {REMEDY}") from None
    except (ValueError, OSError) as error:  # pandas' errors of reading are ValueErrors
        raise InputError(f"{path} is damaged ({str(error).strip().splitlines()[0]}); {REMEDY}") from None
    for column in table:
        empty = table[column].isna()
        if column not in may_be_empty and empty.any():
            row = int(np.flatnonzero(empty)[0]) + 1
            raise InputError(f"{path} is damaged: {column} in row {row} is empty; {REMEDY}")
        if column not in words:
            _check_numbers(table[column], SCHEMAS[kind][str(column)], path)
    return table


def _check_numbers(values: pd.Series, holds: str, path: Path) -> None:
    """Raises InputError unless the column holds numbers that it can hold."""
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    wrong = numbers.isna() & values.notna() | numbers.abs().eq(math.inf)
    words = "is no number"
    if not wrong.any() and values.name not in SIGNED:
        wrong, words = numbers < 0, "is negative"
    if not wrong.any() and holds.startswith(("in [0, 1]", "share")):
        wrong, words = numbers > 1, "is above 1"
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        value = values.iloc[row]
        got = repr(value) if isinstance(value, str) else f"{value:g}"
        raise InputError(f"{path} is damaged: {values.name} in row {row + 1}, {got}, {words}; {REMEDY}")


def write_json(values: Mapping[str, Any], path: Path) -> None:
    """Writes a record as JSON; a number that is not finite, at any depth, becomes null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_finite(values), indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
