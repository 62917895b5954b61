"""What was predicted, and what is wrong with it, collected by kind: each kind is one sentence with all its names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from irstd.errors import InputError
from irstd.formats.known import FIXES, LEFT_OUT
from irstd.formats.marks import Size
from irstd.formats.names import shown

Missing = Literal["error", "nothing"]


@dataclass
class Given:
    """What was predicted. maps, points, boxes: by scene; scores of maps in [0, 1]; points are row, col, score; boxes
    are top, left, bottom, right, score. problems: kind (of `FIXES`) to names. notes: what was assumed. stretched: sizes
    of maps that were given another one. shifted: whether files seem to be numbered from another first number than
    scenes. spoiled: whether there were points, boxes or regions, and none can be used.
    """

    maps: dict[str, Float[ndarray, "_H _W"]] = field(default_factory=dict)
    points: dict[str, Float[ndarray, "_N 3"]] = field(default_factory=dict)
    boxes: dict[str, Float[ndarray, "_N 5"]] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    stretched: list[str] = field(default_factory=list)
    shifted: bool = False
    spoiled: bool = False

    @property
    def left(self) -> bool:
        """Whether any prediction can be scored."""
        return bool(self.maps or self.points) and not self.spoiled

    def wrong(self, kind: str, name: str) -> None:
        """Notes a problem."""
        names = self.problems.setdefault(kind, [])
        if name not in names:
            names.append(name)

    def refuse(self, skipped: Iterable[str] = ()) -> None:
        """Raises InputError for the problems that may not be skipped, a sentence per kind."""
        sentences = []
        for kind, names in self.problems.items():
            passable = self.left and kind in LEFT_OUT and not (self.shifted and kind in ("extra", "missing"))
            if kind in skipped and passable:
                continue
            what, fix = FIXES[kind]
            sentence = f"{what} {shown(names)}; {fix}"
            if self.shifted and kind == "extra":
                sentence += ": files seem to be numbered from another first number than scenes; rename them"
            if kind == "missing" and passable:
                sentence += ", or say with --missing nothing that nothing was found there"
            if passable:
                sentence += f", or go on without them with --skip {kind}"
            sentences.append(sentence)
        if sentences:
            raise InputError("\n       ".join(sentences))

    def settle(self, sizes: Mapping[str, Size], missing: Missing, skipped: Iterable[str]) -> None:
        """Takes scenes without a prediction as `missing` says, and refuses the problems that may not be skipped.

        Raises:
            InputError: there are some; see `refuse`.
        """
        if missing == "nothing" and self.left and not self.shifted:
            self.take_missing_as_nothing(sizes)
        self.refuse(skipped)

    def take_missing_as_nothing(self, sizes: Mapping[str, Size]) -> None:
        """Scenes without a prediction get one in which nothing is found."""
        absent = self.problems.pop("missing", [])
        for name in absent:
            if self.maps:
                self.maps[name] = np.zeros(sizes[name])
            else:
                self.points[name] = np.zeros((0, 3))
                self.boxes |= {name: np.zeros((0, 5))} if self.boxes else {}
        if absent:
            self.notes.append(f"{len(absent)} scenes have no prediction: taken as nothing found")
