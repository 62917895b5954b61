"""Whether a recipe can be trained by, known before anything is."""

from __future__ import annotations

from typing import Any

from irstd.data.batches import steps
from irstd.errors import InputError
from irstd.inference import tiles
from irstd.methods import Method


def suits(method: Method, recipe: Any) -> None:
    """Raises InputError unless the recipe suits the method, and its parts each other."""
    for size in (recipe.size, *(p.size for p in recipe.phases)):
        if size % method.multiple:
            raise InputError(
                f"the recipe's size is {size} px, but {method.title} needs a multiple of {method.multiple}"
            )
    if recipe.geometry == "tiles" and 2 * tiles.margin(recipe.size, method.multiple) >= recipe.size:
        what = f"margins of tiles leave nothing of {recipe.size} px; {method.title} needs {3 * method.multiple} or more"
        raise InputError(f"the recipe's geometry is `tiles`, and {what}")
    if recipe.mined and recipe.geometry == "resize":
        raise InputError("mined says where crops are placed, and with geometry `resize` there are none; set it to 0")
    if recipe.augment.paste and method.supervision == "point":
        raise InputError(f"augment.paste cuts targets out by their masks, which {method.title} never sees; set it to 0")


def shared_evenly(recipe: Any, scenes: int, count: int) -> None:
    """Raises InputError unless `count` devices can share every batch evenly."""
    for number in range(recipe.epochs):
        batch = steps(scenes, recipe, number)[1]
        if batch % count:
            raise InputError(
                f"params.yaml: train.devices: a batch of {batch} images cannot be shared evenly by {count} devices; "
                "choose a number that divides the recipe's batches"
            )
