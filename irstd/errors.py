"""The one exception whose text is meant for the user, and the help it gives with names."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MOST = 40  # options that a message lists


class InputError(ValueError):
    """Something the user gave cannot be used; the message is one sentence that ends in the fix."""


def hint(name: str, options: Iterable[str]) -> str:
    """What to try instead of `name`: the nearest option, or all of them, or the first of many.

    >>> hint("epoch", ["epochs", "batch"])
    "did you mean 'epochs'?"
    >>> hint("zzz", ["epochs", "batch"])
    'known are batch, epochs'
    """
    options = sorted(options)
    lowered = {option.lower(): option for option in options}
    near = [o for o in options if name and o.startswith(name)]
    near = near or [lowered[one] for one in get_close_matches(name.lower(), lowered, n=1)]
    if near:
        return f"did you mean {near[0]!r}?"
    more = f" and {len(options) - MOST} more" if len(options) > MOST else ""
    return f"known are {', '.join(options[:MOST]) or 'none'}{more}"
