"""Text files as editors, spreadsheets and shells of all systems write them."""

from __future__ import annotations

import codecs
from pathlib import Path

from irstd.errors import InputError

MARKS = (  # byte order marks; the longer first, since one of UTF-16 begins one of UTF-32
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LARGEST_BYTES = 1 << 30


def read(path: Path) -> str:
    r"""The text of a file in UTF-8 or UTF-16, with or without a byte order mark, lines ended by `\n`.

    Raises:
        InputError: it is in another encoding, or too large to be a text.
    """
    if path.stat().st_size > LARGEST_BYTES:
        raise InputError(f"{path.name} is larger than {LARGEST_BYTES >> 20} MB; give a smaller file")
    return decoded(path.read_bytes(), path.name)


def decoded(content: bytes, name: str) -> str:
    r"""Bytes as text, see `read`.

    >>> decoded("a\r\nb".encode("utf-16"), "list.txt")
    'a\nb'
    """
    encoding = next((word for mark, word in MARKS if content.startswith(mark)), None)
    start = content[:4096]
    if encoding is None and b"\0" in start:  # UTF-16 without a mark: of ASCII and line ends, every second byte is zero
        encoding = "utf-16-le" if start[1::2].count(0) > start[::2].count(0) else "utf-16-be"
    try:
        text = content.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        kind = "CSV UTF-8" if name.lower().endswith(".csv") else "UTF-8"
        raise InputError(f"{name} is not UTF-8; save it as {kind}") from None
    if "\0" in text:
        raise InputError(f"{name} is no text; give a text file")
    return text.replace("\r\n", "\n").replace("\r", "\n")
