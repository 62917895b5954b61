"""Whether a MATLAB file of version 5 to 7.2 is whole, since SciPy's reader ends the process on some that are not.

The format is that of "MAT-File Format" (MathWorks): a head of 128 bytes, then elements, each a tag (a type, a number of
bytes) and so many bytes. An array is an element of elements: flags, dimensions, name, values.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

MATRIX, COMPRESSED = 14, 15
HEAD = ((6,), (5, 6), (1, 16))  # types of an array's first parts, flags, dimensions and name; MATLAB's own first
BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}  # of a value, by the type of numbers
NUMBERS = range(6, 16)  # classes of arrays: double to uint64; others (cells, structures, texts) are never decoded
COMPLEX = 0x800


def check(path: Path, most: int) -> None:
    """Raises ValueError for a file that is damaged where an array of numbers is.

    Args:
        path: of version 5 to 7.2; an older one is not looked at.
        most: bytes that a compressed array may become.
    """
    data = memoryview(path.read_bytes())
    if len(data) < 128 or 0 in data[:4]:
        return  # of version 4, which SciPy reads with NumPy
    order = {b"IM": "<", b"MI": ">"}.get(bytes(data[126:128]))
    if order is None:
        raise ValueError("damaged: it says no order of bytes")
    for kind, content in _elements(data[128:], order):
        if kind == COMPRESSED:
            inflating = zlib.decompressobj()
            inflated = memoryview(inflating.decompress(content, most))
            if inflating.unconsumed_tail:
                raise ValueError(f"an array of more than {most:,} bytes; cut it into pieces")
            for inner, array in _elements(inflated, order):
                _array(inner, array, order)
        else:
            _array(kind, content, order)


def _array(kind: int, content: memoryview, order: str) -> None:
    """Checks one array."""
    parts = list(_elements(content, order)) if kind == MATRIX else []
    known = len(parts) >= 3 and all(part[0] in types for part, types in zip(parts, HEAD, strict=False))
    if not known or len(parts[0][1]) != 8:
        raise ValueError("damaged: an element is no array")
    (flags,) = struct.unpack(f"{order}I", parts[0][1][:4])
    if flags & 0xFF not in NUMBERS:
        return
    sides = struct.unpack(f"{order}{len(parts[1][1]) // 4}i", parts[1][1])
    values = parts[3:]
    if len(sides) < 2 or min(sides) < 0 or len(values) != (2 if flags & COMPLEX else 1):
        raise ValueError("damaged: the dimensions of an array")
    for its, held in values:
        if its not in BYTES or len(held) != math.prod(sides) * BYTES[its]:
            raise ValueError(f"damaged: an array of shape {sides} has {len(held):,} bytes of type {its}")


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Type and content of each element; all but compressed ones are filled up to a multiple of 8 bytes."""
    at = 0
    while at + 8 <= len(data):
        kind, count = struct.unpack(f"{order}2I", data[at : at + 8])
        begin, step = at + 8, count if kind == COMPRESSED else count + -count % 8
        if kind >> 16:  # a small one: number of bytes and type share four bytes, the content has the others
            kind, count, begin, step = kind & 0xFFFF, kind >> 16, at + 4, 4
        if begin + count > len(data) or (step == 4 and count > 4):
            raise ValueError("damaged: cut, or a number of bytes is wrong")
        yield kind, data[begin : begin + count]
        at = begin + step
