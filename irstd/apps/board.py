"""`irstd board`: one page of every row there is, to search, sort, compare and copy."""

from __future__ import annotations

import argparse
import base64
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irstd.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from irstd.reports.page import Menu

CHOICES = ("dataset", "split", "convention", "size", "labels", "budget", "made by")
FIRST = {"convention": "irstd"}  # what is shown when the page is opened
IDS = {  # how sources name what they are: where it is, and its field in BibTeX
    r"arXiv (\d{4}\.\d{4,5})": ("https://arxiv.org/abs/", "eprint = {{{}}}, archiveprefix = {{arXiv}}"),
    r"\b(10\.\d{4,}/[^\s,;)]+)": ("https://doi.org/", "doi = {{{}}}"),
    r"\b(github\.com/[\w.-]+/[\w-]+)": ("https://", ""),
}


def add(commands: Any) -> None:
    """Adds the command to a parser's."""
    parser = commands.add_parser("board", help="one page of every row: runs, published figures and submissions")
    parser.add_argument("submissions", type=Path, nargs="*", metavar="FOLDER", help="that `irstd submit` made")
    parser.add_argument("--out", type=Path, metavar="FILE", help="of HTML; runs/board.html if not given")


def run(given: argparse.Namespace, root: Path) -> str:
    """Writes the board, and returns where."""
    out = given.out or root / "runs/board.html"
    from irstd.results.overlaid import of_checkout  # noqa: PLC0415 - loads NumPy, which `--help` does without

    rows = every(of_checkout(root), given.submissions)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page_of(rows), encoding="utf-8")
    kinds = rows["made by"].value_counts()
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return f"{len(rows)} rows: {counts}.\n\nOpen {out}: it needs no network."


def every(results: Path, submissions: list[Path]) -> pd.DataFrame:
    """Rows of runs, of papers, and of submissions.

    Args:
        results: a folder of them, see `irstd.results.reading`; it need not exist.

    Raises:
        InputError: a submission cannot be read.
    """
    import pandas as pd  # noqa: PLC0415 - slow to load, and `--help` needs none of these

    from irstd.results import literature, reading  # noqa: PLC0415
    from irstd.scoring import entry  # noqa: PLC0415
    from irstd.tables import board  # noqa: PLC0415

    parts = [board.of_submissions([entry.read_card(folder) for folder in submissions])]
    if results.is_dir() and any(results.glob("*/*/*/metrics.json")):
        sizes = {"native": "conventions", "256×256": "squared"}
        cards = {path.stem: json.loads(path.read_text()) for path in results.glob("methods/*.json")}
        tables = {size: reading.gather(results, kind) for size, kind in sizes.items()}
        parts.append(board.of_runs(reading.cells(results), tables, cards, reading.titles(results)))
    parts.append(board.of_papers(literature.published()))
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def page_of(rows: pd.DataFrame, menu: Menu | None = None) -> str:
    """The page of a board's rows.

    Args:
        menu: of the site that it is a page of.

    Raises:
        InputError: the library of tables is not installed.
    """
    from irstd.reports import page  # noqa: PLC0415
    from irstd.tables.board import STATED  # noqa: PLC0415

    try:
        library = files("itables") / "html"
    except ModuleNotFoundError:
        raise InputError("itables is not installed; `pip install 'irstd-workbench[figures]'` brings it") from None
    script = base64.b64encode((library / "dt_bundle.js").read_bytes()).decode()
    plain = rows.astype(object).where(rows.notna(), None)
    content = {
        "columns": list(rows.columns),
        "rows": [[round(v, 6) if isinstance(v, float) else v for v in row] for row in plain.to_numpy().tolist()],
        "start": {key: word for key, word in FIRST.items() if (rows[key] == word).any()},
        "sources": bibliography(rows),
        "stated": STATED,
    }
    return page.TEMPLATES.get_template("board.html").render(
        title="Board", linked=menu is not None, menu=menu or {}, here="board", count=len(rows), choices=CHOICES,
        library=f"data:text/javascript;base64,{script}",
        library_css=(library / "dt_bundle.css").read_text(encoding="utf-8"),
        rows=json.dumps(content, ensure_ascii=False).replace("</", "<\\/"),
    )  # fmt: skip


def bibliography(rows: pd.DataFrame) -> dict[str, str]:
    """BibTeX of what sources name by an arXiv number, a DOI or a repository: what it is called there to its entry.

    An entry says what the source says: its words as the title, the year that it is dated, the commit that was read.
    """
    found: dict[str, str] = {}
    for source in rows["source"].unique():
        dated = re.search(r"\bdated (\d{4})", source)
        for part in source.split("; "):
            words = re.split(r"\s+\(|, (?=arXiv|doi |10\.)", part)[0].removeprefix("base ")
            commit = re.search(r"github\.com/[^,)]+, ([0-9a-f]{7,})", part)
            for pattern, (start, field) in IDS.items():
                for one in re.findall(pattern, part):
                    lines = [f"title = {{{{{words}}}}}", *([f"year = {{{dated[1]}}}"] if dated else [])]
                    lines += [field.format(one)] if field else []
                    lines += [f"note = {{commit {commit[1]}}}"] if commit else []
                    lines += [f"url = {{{start}{one}}}"]
                    entry = f"@misc{{{re.sub(r'[^a-zA-Z0-9]+', '-', one)},\n  " + ",\n  ".join(lines) + "\n}"
                    found[one] = max(found.get(one, ""), entry, key=len)  # several rows name it, some with less
    return found
