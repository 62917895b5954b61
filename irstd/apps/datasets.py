"""`irstd.datasets`: a dataset of the catalogue in one line, fetched, verified and prepared when first asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from irstd.config.places import cache
from irstd.data import catalogue
from irstd.errors import InputError, hint

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Bool, UInt8
    from numpy import ndarray

    from irstd.data.prepared import Prepared, Role
    from irstd.scoring.truth import Truth

__all__ = ["Dataset", "available", "load"]


def available() -> list[str]:
    """Names that `load` takes.

    >>> [name for name in available() if name.startswith("n")]
    ['nuaa-sirst', 'nudt-sirst']
    """
    return [name for name, entry in catalogue.ENTRIES.items() if entry.sources or entry.parts]


def load(name: str, split: str | None = None, folder: str | Path | None = None) -> Dataset:
    """A dataset of the catalogue, `nuaa-sirst` for example.

    What a checkout's pipeline prepared in the working folder is taken as it is. Else the dataset is fetched (from the
    folder or URL that the environment variable IRSTD_MIRROR names, or where it is published), verified pixel by pixel,
    and kept for the next time.

    Args:
        split: one that papers use, see `irstd datasets`; if not given the first one there.
        folder: of a prepared dataset, to read that and no other.

    Raises:
        InputError: there is no such dataset or split, or it cannot be had; the message says how to bring it by hand.
    """
    from irstd.data.prepared import Prepared  # noqa: PLC0415 - loads NumPy, which `--help` does without

    if folder is None:
        if name not in available():
            raise InputError(f"there is no dataset {name!r}; {hint(name, available())}")
        here = Path("data/prepared") / name
        folder = here if (here / "scenes.csv").is_file() else _kept(name)
    prepared = Prepared(Path(folder))
    if not (prepared.folder / "scenes.csv").is_file():
        raise InputError(f"{folder} is no prepared dataset; leave folder out, and it is made")
    listed = catalogue.ENTRIES[name].splits if name in catalogue.ENTRIES else {}
    known = next(iter(prepared.splits.values()), {})
    chosen = split or next((one for one in listed if one in known), next(iter(known), ""))
    prepared.roles(chosen, 0.0)
    return Dataset(name, chosen, prepared)


def _kept(name: str) -> Path:
    """The prepared dataset in the cache, made if it is not there."""
    folder = cache("datasets") / "prepared" / name
    if not (folder / "scenes.csv").is_file():
        from irstd.data import download, prepare  # noqa: PLC0415 - only to fetch

        source = cache("datasets") / "raw" / name
        folder.parent.mkdir(parents=True, exist_ok=True)
        if not source.is_dir():
            archives = cache("datasets") / "archives"
            archives.mkdir(parents=True, exist_ok=True)
            source.parent.mkdir(parents=True, exist_ok=True)
            download.obtain(name, source, archives, mirror=os.environ.get("IRSTD_MIRROR"), progress=True)
        prepare.prepare(source, folder, progress=True)
    return folder


@dataclass(frozen=True)
class Dataset:
    """A dataset and one of its splits. prepared: as training and scoring read it, by numbers of scenes."""

    name: str
    split: str
    prepared: Prepared

    def __len__(self) -> int:
        """Scenes, of all roles."""
        return len(self.prepared.names)

    def __repr__(self) -> str:
        roles = ", ".join(f"{len(self.names(role))} {role}" for role in ("train", "test"))
        return f"<{self.name}, split {self.split}: {roles}>"

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.prepared.names)}

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            raise InputError(f"{self.name} has no scene {name!r}; {hint(name, list(self._numbers)[:5])}, …")
        return self._numbers[name]

    def names(self, role: Role = "test") -> list[str]:
        """Scenes of a role of the split: `train` or `test`; none is held out of the training scenes here."""
        return [self.prepared.names[number] for number in self.prepared.roles(self.split, 0.0)[role]]

    def image(self, name: str) -> UInt8[ndarray, "H W"]:
        """Grey levels of a scene."""
        return self.prepared.image(self._number(name))

    def mask(self, name: str) -> Bool[ndarray, "H W"]:
        """True on a scene's targets."""
        return self.prepared.mask(self._number(name))

    @cached_property
    def targets(self) -> pd.DataFrame:
        """A row for each target: its scene, centre (row, col; px), area and contrast."""
        import pandas as pd  # noqa: PLC0415 - slow to load

        return pd.read_csv(self.prepared.folder / "targets.csv")

    @property
    def truth(self) -> Truth:
        """The test scenes, as `irstd.score` compares with them."""
        from irstd.scoring import truth  # noqa: PLC0415

        return truth.of_dataset(self.prepared.folder, self.split, self.name)
