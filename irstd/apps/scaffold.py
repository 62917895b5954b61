"""A new method, ready to run: one file, its test, and its entry in params.yaml."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from yaml import safe_load

from irstd.config import params
from irstd.errors import InputError

TEMPLATES = Environment(  # noqa: S701 - Python is written here, not HTML
    loader=PackageLoader("irstd.apps"), undefined=StrictUndefined, keep_trailing_newline=True
)
FILES = {"irstd/methods/{}.py": "method.py.j2", "tests/test_{}.py": "test_method.py.j2"}
ENTRY = """\
  {name}:
    options: {options} # see irstd/methods/{name}.py
    recipe:
      epochs: 300
      batch: 16
      size: 256 # px
      optimiser: {{ name: adamw, lr: 1.0e-3, weight_decay: 0.01 }}
      schedule: {{ name: cosine, warmup_epochs: 1 }}
      augment: {{ flip: 0.5, transpose: 0.5, affine: 0.5, colour: 0.2, noise: 0.2 }}
      validate_every: 5
    budgets: # what to change in the recipe when less time is at hand
      night:
        epochs: 150
        batch: 8
        size: 128
        schedule: {{ name: cosine, warmup_epochs: 0.5 }}
      night-256: {{ of: night }} # of many images of 256 px
      night-512: {{ of: night }} # of 512 px
      cpu: {{ of: night, epochs: 50 }}
      gpu: {{ of: night, epochs: 300, batch: 16, size: 256 }}
      gpu-512: {{ of: gpu, epochs: 200, size: 512, batch: 8 }}
      quick:
        epochs: 12
        batch: 8
        size: 64
        optimiser: {{ name: adamw, lr: 2.0e-3, weight_decay: 0.01 }}
        schedule: {{ name: cosine, warmup_epochs: 0.5 }}
        augment: {{ flip: 0.5, transpose: 0.5 }}
        validate_every: 2
"""


def text(name: str) -> dict[str, str]:
    """The files of a new method: path below the root to content."""
    title = name.replace("_", " ").capitalize()
    return {
        path.format(name): TEMPLATES.get_template(template).render(name=name, title=title)
        for path, template in FILES.items()
    }


def listed(yaml: str, name: str, options: str = "{}") -> str:
    """params.yaml with a new row: its name appended to `methods`, its entry at the end of `method`; comments stay.

    Raises:
        InputError: it is not laid out as ours is, or would not be right afterwards.
    """
    found = re.search(r"^methods: \[([^\]]*)\]", yaml, re.MULTILINE)
    section = re.search(r"^method:.*\n((?:[ #].*\n|\n)*)", yaml, re.MULTILINE)
    if not found or not section:
        raise InputError(
            f"params.yaml: `methods: [...]` or `method:` is not there; add {name!r} by hand as CONTRIBUTING.md says"
        )
    end = section.start(1) + len(section.group(1).rstrip("\n")) + 1
    yaml = yaml[:end] + ENTRY.format(name=name, options=options) + yaml[end:]
    yaml = f"{yaml[: found.end(1)]}{', ' if found.group(1).strip() else ''}{name}{yaml[found.end(1) :]}"
    params.parse(yaml)
    return yaml


def refuse(name: str, root: Path) -> None:
    """Raises InputError where `name` is no module's, or taken, or `root` is no checkout."""
    if not (root / "irstd/methods/__init__.py").is_file():
        raise InputError("irstd/methods is not here; run this in the root of a checkout")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or safe_load(name) != name:
        raise InputError(f"{name!r} cannot name a module; take small letters, digits and _, a letter first")
    if name in params.load(root / "params.yaml").method:
        raise InputError(
            f"params.yaml has a row {name!r} already; take another name, or take that row out, from `methods` too"
        )


def new_method(name: str, root: Path) -> list[Path]:
    """Writes the files of a new method below `root`; returns those written or changed.

    Raises:
        InputError: as `refuse`, or a file is there already; nothing is written then.
    """
    refuse(name, root)
    return write(name, text(name), root)


def write(name: str, files: Mapping[str, str], root: Path, options: str = "{}") -> list[Path]:
    """Writes a method's files, path below `root` to content, and its entry; returns those written or changed.

    Args:
        options: of the entry, as YAML.

    Raises:
        InputError: one is there already, or params.yaml is not laid out as ours; nothing is written then.
    """
    for path in files:
        if (root / path).exists():
            raise InputError(f"{path} is there already; take another name, or remove it")
    # Checked whole before anything is written.
    entry = listed((root / "params.yaml").read_text(), name, options)
    every = {**files, "params.yaml": entry, "cells.yaml": params.parse(entry).cells_text()}
    for path, content in every.items():
        (root / path).write_text(content)
    return [Path(path) for path in every]
