"""Points and boxes in any format: a table, COCO, or a folder of YOLO, VOC or LabelMe labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from irstd.errors import InputError
from irstd.formats import coco, labels, tables
from irstd.formats.known import ANNOTATIONS
from irstd.formats.marks import Marks, Size
from irstd.formats.names import Names, shown

TABLES = (".csv", ".tsv")


def holds(path: Path) -> bool:
    """Whether a path is a file of annotations, or a folder that has labels."""
    if path.is_dir():
        return bool(labels.files(path)[1])
    return path.suffix.lower() in (*TABLES, ".json")


def coco_file(path: Path) -> Path | None:
    """The COCO JSON that a path is, or that a folder holds in place of labels; None where there is none."""
    if not path.is_dir():
        return path if path.suffix.lower() == ".json" else None
    suffix, paths = labels.files(path)
    return paths[0] if suffix == ".json" and len(paths) == 1 and not labels.is_labelme(paths[0]) else None


def read(
    path: Path,
    sizes: Mapping[str, Size] | None,
    names: Names | None = None,
    images: Path | str | None = None,
) -> Marks:
    """The points and boxes of a file or folder.

    Args:
        sizes: of scenes, px; None where the files are to say them.
        names: of scenes; None to take names as they are written.
        images: see `irstd.formats.coco.read`.

    Raises:
        InputError: it is of no known format, or damaged.
    """
    found = _read(path, sizes, names, images)
    if len(found.classes) > 1:
        several = shown(sorted(found.classes))
        found.notes.append(f"{len(found.classes)} classes ({several}): all are taken as targets, without distinction")
    return found


def _read(path: Path, sizes: Mapping[str, Size] | None, names: Names | None, images: Path | str | None) -> Marks:
    if not path.exists():
        raise InputError(f"{path} does not exist; give {ANNOTATIONS}")
    if (one := coco_file(path)) is not None:
        return coco.read(one, sizes, names, images)
    if path.is_dir():
        if not labels.files(path)[1]:
            raise InputError(f"{path} has no labels; give {ANNOTATIONS}")
        return labels.read(path, sizes, names)
    if path.suffix.lower() in TABLES:
        return tables.read(path, sizes, names)
    raise InputError(f"{path.name} is of no known format; give {ANNOTATIONS}")
