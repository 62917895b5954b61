"""Somebody's clone of a repository: where it begins, what it defines, and what is known of public ones."""

from __future__ import annotations

import ast
import csv
import sys
from importlib.util import find_spec
from pathlib import Path

from irstd.errors import InputError, hint

NAMED = (ast.ClassDef, ast.FunctionDef)
DEEPEST = 5  # folders above a file in which its imports are looked for
NETWORKS = Path(__file__).with_name("networks.csv")  # of public repositories: where they are, and how they are built


def networks() -> list[dict[str, str]]:
    """Facts on networks of public repositories: repository, commit, network, file, class and how it is built."""
    with NETWORKS.open(newline="") as opened:
        return list(csv.DictReader(opened))


def place(word: str) -> tuple[Path, str, str]:
    """Root of the clone, file below it, and name, of `PLACE:CLASS`.

    Raises:
        InputError: there is no such place, or no file of it defines the class, or several do.
    """
    path_word, _, name = word.rpartition(":")
    path = Path(path_word).expanduser().resolve()
    if not path_word or not name.isidentifier():
        raise InputError(f"{word!r} is no PLACE:CLASS; give a file or folder, a colon, and a class in it")
    if path.is_file():
        root = _root(path, name)
        return root, path.relative_to(root).as_posix(), name
    if not path.is_dir():
        raise InputError(f"{path_word} does not exist; give the file of the network, or the folder of its clone")
    classes: dict[str, list[Path]] = {}
    functions: dict[str, list[Path]] = {}
    for source in sorted(path.rglob("*.py")):
        for one, is_class in _defined(source).items():
            (classes if is_class else functions).setdefault(one, []).append(source)
    files = classes.get(name) or functions.get(name, [])
    if not files:
        raise InputError(f"no file below {path_word} defines {name!r}; {hint(name, classes)}")
    if len(files) > 1:
        several = ", ".join(one.relative_to(path).as_posix() for one in files)
        raise InputError(f"{name!r} is defined in {several}; give the file in place of the folder")
    return path, files[0].relative_to(path).as_posix(), name


def _root(file: Path, name: str) -> Path:
    """Of the clone that a file lies in: where Git says; else, as of an archive, where a known network's file lies, or
    from where the file's imports are found.
    """
    for folder in file.parents:
        if (folder / ".git").exists():
            return folder
    for row in networks():
        parts = Path(row["file"]).parts
        if row["name"] == name and file.parts[-len(parts) :] == parts:
            return file.parents[len(parts) - 1]
    wanted = {one for one in _imported(file) if not _installed(one)}
    places = [[p for p in file.parents[:DEEPEST] if (p / f"{one}.py").exists() or (p / one).is_dir()] for one in wanted]
    return min((found[0] for found in places if found), key=lambda folder: len(folder.parts), default=file.parent)


def _installed(name: str) -> bool:
    """Whether a name is of Python's own library, or of an installed package."""
    if name in sys.stdlib_module_names:
        return True
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return False
    return spec is not None and "site-packages" in str(spec.origin)


def _imported(source: Path) -> set[str]:
    """Packages and modules that a file imports by their whole names."""
    found = set()
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.Import):
            found |= {one.name.split(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def _parsed(source: Path) -> ast.Module:
    """A file of Python; an empty one, if it is none."""
    try:
        return ast.parse(source.read_text(encoding="utf-8", errors="replace"))
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def _defined(source: Path) -> dict[str, bool]:
    """Classes and functions of a file, and whether each is a class."""
    return {node.name: isinstance(node, ast.ClassDef) for node in _parsed(source).body if isinstance(node, NAMED)}
