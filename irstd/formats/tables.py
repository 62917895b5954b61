"""Tables of points or boxes in CSV, in the dialects that spreadsheets and programs write."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from irstd.errors import InputError
from irstd.formats import text
from irstd.formats.marks import Mark, Marks, Size
from irstd.formats.names import Names, shown, stem_of

COLUMNS = {  # by the names that people use
    "name": (
        "name",
        "image",
        "file",
        "filename",
        "file_name",
        "scene",
        "image_id",
        "img",
        "image_name",
        "path",
        "frame",
    ),
    "row": ("row", "y", "cy", "center_y", "centre_y", "y_center", "y_centre", "yc"),
    "col": ("col", "column", "x", "cx", "center_x", "centre_x", "x_center", "x_centre", "xc"),
    "score": ("score", "confidence", "conf", "prob", "probability"),
    "left": ("xmin", "x_min", "x1", "left", "bbox_xmin", "bbox_left", "x0"),
    "top": ("ymin", "y_min", "y1", "top", "bbox_ymin", "bbox_top", "y0"),
    "right": ("xmax", "x_max", "x2", "right", "bbox_xmax"),
    "bottom": ("ymax", "y_max", "y2", "bottom", "bbox_ymax"),
    "width": ("width", "w", "bbox_width", "bbox_w"),
    "height": ("height", "h", "bbox_height", "bbox_h"),
}
WANTED = {  # by kind of table
    "corners": ("top", "left", "bottom", "right"),
    "extent": ("top", "left", "height", "width"),
    "points": ("row", "col"),
    "sized": ("row", "col", "height", "width"),
}
SEPARATOR = re.compile(r"\A(\s*)sep=.(?=[ \t]*\r?\n)", re.IGNORECASE)  # first line of what Excel writes
DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d+\s*")


def read(path: Path, sizes: Mapping[str, Size] | None, names: Names | None = None) -> Marks:
    """A table with a header: name and row, col (px), or name and the corners of boxes; and perhaps score.

    Separators may be comma, semicolon or tab, with a decimal comma for the latter two. Corners are edges in px counted
    from the image's corner, so that a box around the first pixel is 0, 0, 1, 1.

    Args:
        sizes: of scenes, px; None where they are not known.
        names: of scenes; None to take names as they are written.

    Raises:
        InputError: a column is missing, or a line is not what the header says.
    """
    content = SEPARATOR.sub(r"\1", text.read(path))
    delimiter, words = _dialect(content)
    header = _header(words, path.name)
    columns = {key: next((header[n] for n in several if n in header), None) for key, several in COLUMNS.items()}
    kind = _kind(columns, header, path.name)
    if names is not None:
        columns["name"] = _named(content, delimiter, header, names, path.name)
    named = columns["name"]
    assert named is not None  # else it is no kind
    used = {columns[key] for key in (*WANTED[kind], "name", "score")}
    found, extents, width = Marks(scored=columns["score"] is not None), [], 0
    if idle := [word for word, place in header.items() if word and place not in used]:
        found.notes.append(f"columns not read: {shown(sorted(idle, key=header.__getitem__))}")
    with io.StringIO(content, newline="") as file:
        for line, cells in _lines(csv.reader(file, delimiter=delimiter), path.name):
            if not any(cell.strip() for cell in cells):
                continue
            if not width:  # the header
                width = len(cells)
                continue
            if any(cell.strip() for cell in cells[width:]):
                hint = "; a decimal comma needs semicolons or tabs between columns" if delimiter == "," else ""
                raise InputError(f"{path.name}: line {line} has {len(cells)} columns, the header {width}{hint}")
            written = cells[named].strip() if len(cells) > named else ""
            scene = stem_of(written) if names is None else names.find(written)
            if not scene:
                found.strangers.append(written or f"line {line}")
                continue
            mark, extent = _mark(cells, columns, kind, scene, line, path.name, delimiter)
            if mark is not None:
                found.every.append(mark)
                extents.append(extent)
            else:
                found.empty.append(scene)
    if kind == "sized":
        _refuse_unsized(found, extents, sizes or {}, path.name)
    _refuse_shares(found, path.name)
    return found


def _header(words: list[str], file: str) -> dict[str, int]:
    """Columns by name.

    Raises:
        InputError: one that would be read is there twice.
    """
    known = {word for several in COLUMNS.values() for word in several}
    if twice := [word for word, count in Counter(words).items() if count > 1 and word in known]:
        raise InputError(f"{file} has several columns {twice[0]!r}; keep one")
    return {word: n for n, word in reversed(list(enumerate(words)))}


def _named(content: str, delimiter: str, header: Mapping[str, int], names: Names, file: str) -> int:
    """The column of scenes: of several that may be, as `name` of a class and `image`, that in which most are known."""
    places = [header[word] for word in COLUMNS["name"] if word in header]
    if len(places) == 1:
        return places[0]
    with io.StringIO(content, newline="") as opened:
        lines = [cells for _, cells in _lines(csv.reader(opened, delimiter=delimiter), file)]

    def hits(place: int) -> int:
        tried, count = Names(names.known), 0
        for cells in lines:
            with contextlib.suppress(InputError):  # it names several
                count += len(cells) > place and tried.find(cells[place].strip()) is not None
        return count

    return max(places, key=hits)


def _lines(reader: Iterator[list[str]], name: str) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line.

    Raises:
        InputError: a cell does not end.
    """
    line = 0
    try:
        for line, cells in enumerate(reader, 1):
            yield line, cells
    except csv.Error as error:
        raise InputError(f"{name}: line {line + 1} is no line of a table ({error}); correct it") from None


def _dialect(content: str) -> tuple[str, list[str]]:
    """The separator whose columns are known best, and the names of the columns, in small letters."""
    first = next((line for line in content.split("\n") if line.strip()), "")
    known = {word for several in COLUMNS.values() for word in several}
    best: tuple[int, str, list[str]] = (-1, ",", [])
    for delimiter in (",", ";", "\t", "|"):
        words = [cell.strip().lower() for cell in next(csv.reader([first], delimiter=delimiter), [])]
        if len(known & set(words)) > best[0]:
            best = len(known & set(words)), delimiter, words
    return best[1], best[2]


def _kind(columns: Mapping[str, int | None], header: Mapping[str, int], name: str) -> str:
    there = {key for key, place in columns.items() if place is not None}
    if "name" in there:
        if {"left", "top", "right", "bottom"} <= there:
            return "corners"
        if {"left", "top", "width", "height"} <= there:
            return "extent"
        if {"row", "col", "width", "height"} <= there and columns["row"] == header.get("y"):
            return "sized"
        if {"row", "col"} <= there:
            return "points"
    lacking = next(key for key in ("name", "row", "col") if key not in there)
    raise InputError(
        f"{name} has no column {lacking!r} but {', '.join(sorted(header, key=header.__getitem__)) or 'nothing'}; it "
        "needs name, row, col (px), or name, xmin, ymin, xmax, ymax, and perhaps score"
    )


def _mark(
    cells: list[str],
    columns: Mapping[str, int | None],
    kind: str,
    scene: str,
    line: int,
    file: str,
    delimiter: str,
) -> tuple[Mark | None, Size]:
    """The mark of a line, None where all its numbers are empty, as of a scene without target; and width and height."""
    wanted = WANTED[kind]
    written = {key: _cell(cells, columns[key]) for key in (*wanted, "score")}
    if not any(written[key] for key in wanted):
        return None, (0, 0)
    try:
        numbers = [_number(written[key], delimiter) for key in wanted]
        score = _number(written["score"], delimiter) if columns["score"] is not None else 1.0
        extent = (int(numbers[2]), int(numbers[3])) if kind == "sized" else (0, 0)
    except (ValueError, OverflowError):
        said = ", ".join(wanted) + (", score" if columns["score"] is not None else "")
        raise InputError(f"{file}, line {line}: {said} of {scene!r} must be numbers; correct the line") from None
    a, b, *rest = numbers
    if kind in ("points", "sized"):
        return Mark(scene, (a, b, a, b), score, where=f"line {line}"), extent
    c, d = rest if kind == "corners" else (a + rest[0], b + rest[1])
    if c < a or d < b:
        raise InputError(f"{file}: line {line} has a box whose end is before its start; give xmin, ymin, xmax, ymax")
    return Mark(scene, (a - 0.5, b - 0.5, c - 0.5, d - 0.5), score, where=f"line {line}"), (0, 0)


def _cell(cells: list[str], place: int | None) -> str:
    return cells[place].strip() if place is not None and place < len(cells) else ""


def _number(written: str, delimiter: str) -> float:
    if DECIMAL_COMMA.fullmatch(written) and delimiter != ",":
        written = written.replace(",", ".")
    return float(written)


def _refuse_unsized(found: Marks, extents: list[Size], sizes: Mapping[str, Size], name: str) -> None:
    """Raises InputError for x, y, width, height, unless the latter are the image's.

    x and y may be a corner, as in COCO, or the centre, as in YOLO; both are in use.
    """
    if any(sizes.get(mark.scene) != extent for mark, extent in zip(found.every, extents, strict=True)):
        raise InputError(
            f"{name} has x, y, width and height, where x and y may be a corner or the centre; name them left, top, "
            "width, height, or row and col for centres"
        )


def _refuse_shares(found: Marks, name: str) -> None:
    """Raises InputError where all places are shares of the sides, which would be the first pixel of each image."""
    places = [value for mark in found.every for value in mark.centre]
    if len(places) >= 4 and all(-0.5 <= v <= 1 for v in places) and any(v != int(v) for v in places):
        raise InputError(f"{name} has places from 0 to 1 only, shares of the image's sides; give row and col in px")
