"""What made a result: its commit, and digests of inputs and sources."""

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

# What checks, carries or names values: editing one of these changes no result, and must not look as if it did.
CARRIERS = ("irstd.config", "irstd.errors", "irstd.results")


def commit(folder: Path) -> str:
    """The commit checked out in `folder`, with `+` if a tracked file differs from it; empty outside git.

    What runs themselves write, `dvc.lock` and `reports/`, does not count; nor does the section `train` of params.yaml,
    which is the machine's and stands in the provenance itself.
    """
    ours = ["--", ".", ":!dvc.lock", ":!reports", ":!params.yaml"]
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True)
        clean = subprocess.run(["git", "diff", "--quiet", "HEAD", *ours], cwd=folder, check=False)
        then = subprocess.run(["git", "show", "HEAD:./params.yaml"], cwd=folder, capture_output=True, check=False)
    except (OSError, subprocess.CalledProcessError):
        return ""
    now = Path(folder, "params.yaml")
    differs = clean.returncode or _of_runs(then.stdout) != _of_runs(now.read_bytes() if now.exists() else b"")
    return head.stdout.strip()[:12] + ("+" if differs else "")


def _of_runs(params: bytes) -> Any:
    """What params.yaml says of runs, but not of the machine."""
    given = yaml.safe_load(params)
    return {k: v for k, v in given.items() if k != "train"} if isinstance(given, dict) else given


def digest(values: Any) -> str:
    """First 16 hex digits of the SHA-256 of plain values."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def imports(source: str, module: str, package: str) -> set[str]:
    """Modules of `package` that the source code of `module` (of a package: `NAME.__init__`) may import."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                inside = module.split(".")[:-1]
                base = ".".join([*inside[: len(inside) - node.level + 1], base]).rstrip(".")
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return {name for name in found if name == package or name.startswith(f"{package}.")}


def sources(module: str, without: Sequence[str] = CARRIERS) -> dict[str, Path]:
    """Source files of `module` and of all it imports from its own package and from irstd, directly or not, by module.

    The packages' `__init__` files count too. Nothing is imported.

    Args:
        without: modules and packages that are left out, with all that only they import.
    """
    todo, files = [module], {}
    packages = {module.split(".", maxsplit=1)[0], "irstd"}
    while todo:
        name = todo.pop()
        if name in files or any(name == one or name.startswith(f"{one}.") for one in without):
            continue
        path = _source_of(name)
        if path is None:
            continue
        files[name] = path
        inside = f"{name}.__init__" if path.name == "__init__.py" else name
        todo += {m for package in packages for m in imports(path.read_text(), inside, package)}
    return dict(sorted(files.items()))


@cache
def _source_of(module: str) -> Path | None:
    """The file of a module, found without importing it; None for a name inside a module."""
    top, *inside = module.split(".")
    spec = find_spec(top)
    if spec is None or not spec.origin:
        return None
    if not inside:
        return Path(spec.origin)
    stem = Path(spec.origin).parent.joinpath(*inside)
    return next((path for path in (stem / "__init__.py", stem.with_name(f"{stem.name}.py")) if path.is_file()), None)


@cache
def code_digest(source: str) -> str:
    r"""First 16 hex digits of the SHA-256 of what Python code does: comments, docstrings and layout do not count.

    >>> code_digest('def f(x):\n    "Twice."\n    return 2 * x  # px') == code_digest("def f(x): return 2*x")
    True
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:16]


def code_digests(module: str, without: Sequence[str] = CARRIERS) -> dict[str, str]:
    """Digest of the code of `module` and of all it imports, by module; arguments as of `sources`."""
    return {name: code_digest(path.read_text()) for name, path in sources(module, without).items()}


def source_digest(module: str) -> str:
    """One digest of the code of `module` and of all it imports."""
    return digest(code_digests(module))
