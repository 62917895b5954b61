"""Where things are kept between runs that no checkout holds."""

from __future__ import annotations

import os
from pathlib import Path


def cache(kind: str) -> Path:
    """The folder of `kind` in the user's cache: below `~/.cache/irstd`, or XDG_CACHE_HOME where that is set."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "irstd" / kind
