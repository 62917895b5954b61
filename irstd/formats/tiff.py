"""Whether a TIFF's pages end, before a library reads them."""

from __future__ import annotations

import struct
from pathlib import Path

BIG, MOST_PAGES = 43, 10_000  # what a file of 64-bit places says it is; pages of one that are read


def check(path: Path) -> None:
    """Follows the chain of pages, each of which names the next by its place in the file.

    Raises:
        ValueError: it has no end, is too long, or a page is cut short. tifffile takes the last bytes that there are for
            the next page's place, which may lead back for ever.
    """
    with path.open("rb") as file:
        order = ">" if file.read(2) == b"MM" else "<"
        size = path.stat().st_size

        def number(kind: str) -> int:
            held = file.read(struct.calcsize(kind))
            if len(held) < struct.calcsize(kind):
                raise ValueError("it is cut short")
            return struct.unpack(order + kind, held)[0]

        big = number("H") == BIG
        file.seek(8 if big else 4)
        place = number("Q" if big else "I")
        seen: set[int] = set()
        while 0 < place < size:  # a page beyond the end is not read
            if place in seen:
                raise ValueError("its pages go round in a circle")
            if len(seen) == MOST_PAGES:
                raise ValueError(f"it has more than {MOST_PAGES:,} pages; save them in several files")
            seen.add(place)
            file.seek(place)
            tags = number("Q") * 20 if big else number("H") * 12
            if tags > size:
                raise ValueError("it is cut short")
            file.seek(tags, 1)
            place = number("Q" if big else "I")
