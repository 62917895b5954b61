"""What pydantic finds wrong, as one sentence that names the key's full path and what is accepted."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

from irstd.errors import hint


def _keys(kind: Any, location: tuple[Any, ...]) -> list[str]:
    """Names of the keys accepted where `location` points to."""
    for part in location:
        if is_dataclass(kind) and part in get_type_hints(kind):
            kind = get_type_hints(kind, include_extras=True)[part]
        else:  # a key of a mapping, an index of a list, or the tag of a union
            inside = _dataclasses_in(kind)
            tagged = [c for c in inside if c.__name__.lower() == str(part)]
            kind = next(iter(tagged or inside), object)
    kind = next(iter(_dataclasses_in(kind)), None)
    return [f.name for f in fields(kind)] if kind else []


def _dataclasses_in(kind: Any) -> list[type]:
    if isinstance(kind, type) and is_dataclass(kind):
        return [kind]
    return [c for argument in get_args(kind) for c in _dataclasses_in(argument)]


def sentence(errors: list[Any], kind: type, path: str) -> str:
    """One sentence for the first of pydantic's errors; a mistyped key explains the key then missing."""
    unknown = ("unexpected_keyword_argument", "extra_forbidden")
    error = min(errors, key=lambda e: e["type"] not in unknown)
    location = tuple(error["loc"])
    # The tag of a union is in the location, but not in the file.
    written = [str(p) for p in location if str(p) not in ("catalogue", "folder", "made") or p == location[-1]]
    *above, key = [*([path] if path else []), *written]
    place = ".".join(above) or "top level"
    if error["type"] in unknown:
        return f"params.yaml: {place}: unknown key {key!r}; {hint(str(key), _keys(kind, location[:-1]))}"
    if error["type"] in ("missing", "missing_argument"):
        return f"params.yaml: {place}: the key {key!r} is missing; add it"
    message = error["msg"][0].lower() + error["msg"][1:]
    full = ".".join(p for p in (*above, key) if p not in ("catalogue", "made"))
    return f"params.yaml: {full}: {message}, but it is {json.dumps(error['input'])}"
