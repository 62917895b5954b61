"""The command line, for what is no pipeline stage: `irstd datasets`, `irstd methods`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from irstd.errors import InputError


def datasets(root: Path) -> str:
    """The catalogue, and what of it is on disk below `root`."""
    from irstd.data import catalogue, raw

    blocks, rows = [], []
    for name, entry in catalogue.ENTRIES.items():
        splits = catalogue.split_sizes(name)
        lines = [f"{entry.title}  ({name})", f"  images    {entry.images or 'as params.yaml says'}, {entry.sizes}"]
        if entry.targets:
            lines.append(f"  targets   {entry.targets}")
        for split, users in entry.splits.items():
            sizes = "/".join(str(n) for n in splits.get(split, {}).values())
            lines.append(f"  split     {split}{f' ({sizes} images)' if sizes else ''}: {users}")
        lines += [f"  source    {source.page}" for source in entry.sources]
        if catalogue.checksum(name):
            lines.append(f"  checksum  {catalogue.checksum(name)} (SHA-256 over decoded pixels)")
        lines += [f"  licence   {entry.licence}", f"  cite      {entry.cite}"]
        lines += [f"  quirk     {quirk}" for quirk in entry.quirks]
        blocks.append("\n".join(lines))
    places = sorted(
        {*catalogue.ENTRIES, *(p.name for p in (root / "data/raw").glob("*") if p.is_dir() and p.suffix != ".part")}
    )
    for name in places:
        folder, prepared = root / "data/raw" / name, root / "data/prepared" / name
        row = {"on disk": name, "images": "–", "masks": "–", "targets": "–", "splits": "–", "verified": "–"}
        if folder.is_dir():
            files = raw.pairs(folder)
            row |= {"images": len(files), "masks": len(files)}
            row["splits"] = ", ".join(sorted({k for r in raw.read_splits(folder / "splits.csv").values() for k in r}))
            row["verified"] = _verified(folder, name)
        if prepared.is_dir():
            row["targets"] = len(pd.read_csv(prepared / "targets.csv"))
        rows.append(row)
    blocks.append(pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True))
    return "\n\n".join(blocks)


def _verified(folder: Path, name: str) -> str:
    from irstd.data import catalogue, raw

    if not catalogue.manifest(name) if name in catalogue.ENTRIES else True:
        return "nothing to verify against"
    try:
        raw.verify(folder, name)
    except InputError as error:
        return f"no: {error}"
    return "yes, every pixel"


def methods() -> str:
    """Each method's name, paper, supervision, exact parameter count and multiply-adds at 256×256."""
    from irstd import methods as registry
    from irstd import profiling

    rows = []
    for name in registry.available():
        method = registry.get(name)
        row = {"name": name, "title": method.title, "supervision": method.supervision}
        try:
            network = method.build(method.options())
            size, gmac = f"{profiling.parameters(network):,}", f"{profiling.gmac(network):.3f}"
        except InputError:  # an extra is not installed
            size, gmac = "`make detectors` first", "–"
        rows.append({**row, "parameters": size, "GMAC at 256×256": gmac, "paper": method.paper})
    return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)


def main(words: list[str] | None = None) -> None:
    """Runs the command line; what the user must mend is one sentence and exit 1."""
    parser = argparse.ArgumentParser("irstd", description="Infrared small target detection: datasets and methods.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("datasets", help="the catalogue, and what is on disk")
    commands.add_parser("methods", help="each method's paper, supervision, size and multiply-adds")
    chosen = parser.parse_args(words)
    try:
        print(datasets(Path()) if chosen.command == "datasets" else methods())
    except InputError as error:
        sys.exit(f"error: {error}")
