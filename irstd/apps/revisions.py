"""The results of a commit as a folder, and a report on what differs between two of them."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from irstd.errors import InputError
from irstd.reports import notebooks, page

RESULTS = "reports/results"
NOTEBOOK = Path("notebooks/15_revisions.ipynb")


def extract(root: Path, revision: str, folder: Path) -> Path:
    """Writes the results of a commit below `folder`; returns where they are.

    Args:
        root: of the checkout. revision: whatever git takes: a commit, a tag, HEAD~3.

    Raises:
        InputError: git does not know the revision, or it has no results.
    """
    known = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"],
        cwd=root,
        capture_output=True,
        check=False,
    )
    if known.returncode:
        raise InputError(f"git knows no revision {revision!r}; `git log --oneline` lists them")
    packed = subprocess.run(["git", "archive", revision, RESULTS], cwd=root, capture_output=True, check=False)
    if packed.returncode:
        raise InputError(f"revision {revision!r} has no {RESULTS}; name a later one")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder / RESULTS


def difference(root: Path, before: str, after: str | None, folder: Path) -> Path:
    """Writes a report on what differs between two revisions: Markdown, HTML, figures and tables below `folder`.

    Args:
        after: a revision; None for what lies in the working folder.

    Returns:
        The page.

    Raises:
        InputError: as `extract`, or there is nothing in the working folder.
    """
    if not (root / NOTEBOOK).is_file():
        raise InputError(f"{NOTEBOOK} is not here; run this in the root of a checkout")
    with TemporaryDirectory() as scratch:
        one = extract(root, before, Path(scratch, "before"))
        other = (root / RESULTS).resolve() if after is None else extract(root, after, Path(scratch, "after"))
        above = f"{folder.resolve().as_posix()}/"
        made = notebooks.execute(
            root / NOTEBOOK, Path(scratch, "executed.ipynb"), before=str(one), after=str(other),
            names=[before, after or "the working folder"], figures=f"{above}figures", tables=f"{above}tables",
        )  # fmt: skip
    text = notebooks.markdown(made, above)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(text)
    target = folder / "html" / "index.html"
    target.parent.mkdir(exist_ok=True)
    target.write_text(page.html(text, f"{before} to {after or 'the working folder'}", folder=folder, home=True))
    return target
