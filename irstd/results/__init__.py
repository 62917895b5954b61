"""Results as files: what is in each table, how they are read and written, what made them; and published figures."""

from irstd.results.literature import published, published_costs
from irstd.results.overlaid import overlay
from irstd.results.reading import cells, crops, described, gather, on_training, robustness, titles, transfer
from irstd.results.schemas import SCHEMAS
from irstd.results.store import read

__all__ = [
    "SCHEMAS",
    "cells", "crops", "described", "gather", "on_training", "overlay", "published", "published_costs", "read",
    "robustness", "titles", "transfer",
]  # fmt: skip
