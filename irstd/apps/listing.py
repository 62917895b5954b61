"""`irstd datasets` and `irstd methods`: what there is.

Sizes of methods stand in a table beside this file, with a digest of the code they were counted from, so that they are
printed at once and without torch; what has changed since, and what others install, is counted when it is printed.
`python -m irstd.apps.listing` writes the table.
"""

from __future__ import annotations

import csv
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from irstd.errors import InputError

SIZES = Path(__file__).with_name("sizes.csv")
COLUMNS = ("name", "title", "supervision", "parameters", "gmac_256", "paper", "code")
UNKNOWN, MISSING, BROKEN = "torch is not installed", "`make detectors` first", "cannot be built here"


def datasets(root: Path) -> str:
    """The catalogue, and what of it is on disk below `root`."""
    import pandas as pd  # noqa: PLC0415 - slow to load, and `--help` needs none

    from irstd.data import catalogue, own, raw  # noqa: PLC0415

    blocks, rows = [], []
    for name, entry in catalogue.ENTRIES.items():
        splits = catalogue.split_sizes(name)
        lines = [f"{entry.title}  ({name})", f"  images    {entry.images or 'as params.yaml says'}, {entry.sizes}"]
        if entry.targets:
            lines.append(f"  targets   {entry.targets}")
        for split, users in entry.splits.items():
            sizes = "/".join(str(n) for n in splits.get(split, {}).values())
            lines.append(f"  split     {split}{f' ({sizes} images)' if sizes else ''}: {users}")
        lines += [f"  part      {part}, split {split}" for part, split in entry.parts.items()]
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
            said = own.notes(folder)
            if said.get("labels", "masks") == "masks":
                files = raw.pairs(folder)
                row |= {"images": len(files), "masks": len(files)}
            else:
                row |= {"images": said["scenes"], "masks": f"{said['labels']} only"}
            row["splits"] = ", ".join(sorted({k for r in raw.read_splits(folder / "splits.csv").values() for k in r}))
            row["verified"] = _verified(folder, name)
        if prepared.is_dir():
            row["targets"] = len(pd.read_csv(prepared / "targets.csv"))
        rows.append(row)
    blocks.append(pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True))
    return "\n\n".join(blocks)


def _verified(folder: Path, name: str) -> str:
    from irstd.data import catalogue, raw  # noqa: PLC0415

    if not catalogue.manifest(name) if name in catalogue.ENTRIES else True:
        return "nothing to verify against"
    try:
        raw.verify(folder, name)
    except InputError as error:
        return f"no: {error}"
    return "yes, every pixel"


def methods() -> str:
    """Each method's name, paper, supervision, exact parameter count and multiply-adds at 256×256."""
    import tabulate  # noqa: PLC0415

    rows = []
    for row in sizes():
        size, gmac = row["parameters"], row["gmac_256"] or "–"
        shown = f"{int(size):,}" if size.isdigit() else size
        rows.append((row["name"], row["title"], row["supervision"], shown, gmac, row["paper"]))
    heads = ("name", "title", "supervision", "parameters", "GMAC at 256×256", "paper")
    return tabulate.tabulate(rows, heads, tablefmt="pipe", disable_numparse=True)


def sizes() -> list[dict[str, str]]:
    """What `COLUMNS` names of each method, from the table where its code is as it was then, else from the code."""
    from irstd.results import provenance  # noqa: PLC0415

    known = {row["name"]: row for row in read()}
    rows = []
    for name, module in modules().items():
        row = known.get(name)
        if row is None or row["code"] != provenance.source_digest(module):
            row = counted(name, module) or row
        rows.append(row or dict.fromkeys(COLUMNS, "") | {"name": name, "parameters": UNKNOWN})
    return rows


def modules() -> dict[str, str]:
    """The module of each method, ours and those that other packages register; none is imported."""
    folder = Path(__file__).parents[1] / "methods"
    ours = {m.name: f"irstd.methods.{m.name}" for m in iter_modules([str(folder)]) if not m.name.startswith("_")}
    return dict(sorted({**ours, **{e.name: e.module for e in entry_points(group="irstd.methods")}}.items()))


def counted(name: str, module: str) -> dict[str, str] | None:
    """A method's row, counted from its network; None without torch."""
    from irstd.results import provenance  # noqa: PLC0415

    try:
        from irstd import methods as registry  # noqa: PLC0415
        from irstd.inference import profiling  # noqa: PLC0415
    except ModuleNotFoundError:
        return None
    method = registry.get(name)
    row: dict[str, Any] = {"name": name, "title": method.title, "supervision": method.supervision}
    try:
        parameters, gmac = profiling.size_of(lambda: method.build(method.options()))
        size = {"parameters": str(parameters), "gmac_256": "" if gmac is None else f"{gmac:.3f}"}
    except InputError as error:  # an extra is not installed, or an adopted network's clone is not there
        size = {"parameters": MISSING if MISSING.split("`")[1] in str(error) else BROKEN, "gmac_256": ""}
    return {**row, **size, "paper": method.paper, "code": provenance.source_digest(module)}


def read(path: Path = SIZES) -> list[dict[str, str]]:
    """Rows of the table of sizes."""
    with path.open(newline="") as opened:
        return list(csv.DictReader(opened))


def write(path: Path = SIZES) -> None:
    """Rewrites the table of sizes of our own methods; rows of methods whose extra is not installed are kept."""
    before = {row["name"]: row for row in read(path)} if path.is_file() else {}
    with path.open("w", newline="") as opened:
        out = csv.DictWriter(opened, COLUMNS, lineterminator="\n")
        out.writeheader()
        for name, module in modules().items():
            if module.startswith("irstd.methods."):
                row = counted(name, module)
                assert row is not None
                kept = before.get(name)
                if row["parameters"] == MISSING and kept is not None:
                    row |= {"parameters": kept["parameters"], "gmac_256": kept["gmac_256"]}
                out.writerow(row)


if __name__ == "__main__":
    write()
