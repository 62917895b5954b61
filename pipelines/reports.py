"""Write the reports whose inputs changed -> runs/site: pages, Markdown, figures and tables. No data, weights or torch.

They show the record, reports/results, and over it what was computed here, runs/results. A page of the record that is
made of the same as here is taken from there. With names of reports, these alone are written, whether something changed
or not.
"""

import hashlib
import json
import os
import re
import shutil
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

import nbformat
from papermill.exceptions import PapermillExecutionError

from irstd.apps import board
from irstd.config import params
from irstd.errors import InputError, hint
from irstd.reports import notebooks, page
from irstd.results import provenance, records
from irstd.results.overlaid import overlay
from pipelines import RECORD, RESULTS, RUNS, SITE, WEIGHTS, alone, run
from pipelines.report_list import UP, Report, reports

OF_ALL = ("methods", "cost", "analysis")  # results that a report of one dataset may read besides that dataset's
STAMPS = RECORD / "stamps.json"  # of each page of the record: what it was made of, and its own digest
EVERY = "all datasets"  # what the menu calls reports of no dataset alone
LEAST_FILES = 256  # that may be open at once: kernels of notebooks fail with less, and do not say why
LONGEST = ("12_failures", "04_pinwheel_orientation", "07_conventions", "01_comparison")


def render(name: str, one: Report, results: Path, target: Path) -> str:
    """Executes a notebook; writes NAME.md and folders NAME of figures and tables below `target`."""
    parameters = dict(one.parameters)
    if one.public:
        parameters["results"] = str(UP / results)
        parameters |= {kind: str(UP / target / kind / name) for kind in ("figures", "tables")}
    if one.notebook == "17_transfer":
        parameters["cards"] = str(UP / target)
    executed = _executed(name, target)
    start = time.time_ns()
    made = notebooks.execute(one.path, executed, **parameters)
    executed.unlink()
    text = notebooks.markdown(made, f"{(UP / target).as_posix()}/")
    target.mkdir(parents=True, exist_ok=True)
    (target / f"{name}.md").write_text(text)
    for path in (path for kind in ("figures", "tables") for path in (target / kind / name).glob("*")):
        if path.stat().st_mtime_ns < start:
            path.unlink()  # of an earlier version of the notebook
    return f"the report: {target / name}.md"


def inputs(one: Report, results: Path) -> str:
    """Digest of whatever a report is made of: notebook, parameters, code, and the results that it may read."""
    cells = nbformat.read(one.path, as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    modules = {"irstd.reports.notebooks", *provenance.imports(code, "notebook", "irstd")}
    found = {m: d for module in modules for m, d in provenance.code_digests(module, ()).items()}
    library = Path(notebooks.__file__).parents[1]
    folders = [results] if one.dataset is None else [results / name for name in (*OF_ALL, one.dataset)]
    if not one.public and one.dataset:
        folders = [RUNS / "gallery" / one.dataset]
    others = {p.parent.name for p in results.glob("*/scenes.csv") if one.dataset not in (None, p.parent.name)}
    files = [p for folder in folders for p in sorted(folder.rglob("*")) if not _of_another(p, results, others)]
    read = [p for p in (*files, *sorted((library / "results").glob("*.csv"))) if p.is_file()]
    read_digests = [(p.name, hashlib.sha256(p.read_bytes()).hexdigest()) for p in read]
    return provenance.digest([[c.source for c in cells], asdict(one), found, read_digests])


def _of_another(path: Path, results: Path, others: set[str]) -> bool:
    """Whether a file is of an analysis, analysis/KIND-DATASET, of one of the `others`."""
    place = results / "analysis"
    if place not in path.parents:
        return False
    kind = Path(path.relative_to(place).parts[0]).stem
    return any(kind.endswith(f"-{other}") for other in others)


def _page(folder: Path, name: str) -> list[Path]:
    """Files of a report that was written to `folder`, if it is there."""
    parts = [p for kind in ("figures", "tables") for p in sorted((folder / kind / name).glob("*"))]
    return [p for p in (folder / f"{name}.md", *parts) if p.is_file()]


def _page_digest(folder: Path, name: str) -> str:
    """Digest of a report as it was written."""
    files = [(p.name, hashlib.sha256(p.read_bytes()).hexdigest()) for p in _page(folder, name)]
    return provenance.digest(files)


def recorded(digests: dict[str, str]) -> set[str]:
    """Reports that the record has, whole and made of what there is here; not that which links to cards of weights."""
    stamps = json.loads(STAMPS.read_text()) if STAMPS.exists() else {}
    same = {name for name, made in digests.items() if stamps.get(name, {}).get("made_of") == made}
    return {name for name in same - {"transfer"} if stamps[name]["page"] == _page_digest(RECORD, name)}


def _take(name: str, target: Path) -> None:
    """Copies a report from the record."""
    for path in _page(target, name):
        path.unlink()
    for path in _page(RECORD, name):
        copied = target / path.relative_to(RECORD)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copied)


def build(target: Path, results: Path, names: tuple[str, ...] = ()) -> None:
    """Writes reports, several at once.

    Args:
        names: of those to write; if none is given, all whose inputs changed since they were written to `target`.

    Raises:
        InputError: there is no such report, one could not be made, or a result is damaged.
    """
    record = target == RECORD
    known = reports(params.load(), results, private=not record)
    for name in names:
        if name not in known:
            raise InputError(f"there is no report {name!r}; {hint(name, known)}")
    stamps = RUNS / "stamps" / target.name
    digests = {name: inputs(one, results) for name, one in known.items()}
    wanted = {n: known[n] for n in names} or {n: one for n, one in known.items() if not _written(n, digests, target)}
    if wanted:
        records.check(results)
    cards = {} if record else _cards(target)  # before the notebooks run: one of them links to those there are
    stamps.mkdir(parents=True, exist_ok=True)
    taken = set() if record or names else recorded(digests) & set(wanted)
    for name in sorted(taken):
        _take(name, target)
        (stamps / f"{name}.json").write_text(json.dumps(digests[name]))
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as many notebooks as cores run at a time
    failed = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        # The longest first, so that no core waits at the end.
        order = sorted(((n, one) for n, one in wanted.items() if n not in taken), key=lambda item: _place(item[1]))
        jobs = {pool.submit(render, name, one, results, target): name for name, one in order}
        for job in as_completed(jobs):
            name = jobs[job]
            if (error := job.exception()) is None:
                print(job.result(), flush=True)
                (stamps / f"{name}.json").write_text(json.dumps(digests[name]))
            else:
                failed.append(f"{name}: {_why(error, _executed(name, target))}")
    _drop_others(target, known)
    if not record:
        site(target, known, cards, results)
    if failed:
        raise InputError(f"{len(failed)} of {len(wanted)} reports could not be made: {'; '.join(failed)}")
    if record:
        made = {name: {"made_of": digest, "page": _page_digest(RECORD, name)} for name, digest in digests.items()}
        STAMPS.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n")
    alike = f"{len(taken)} of them from the record, which has them alike; " if taken else ""
    print(f"{len(wanted)} of {len(known)} reports written, {alike}the others are as they were.")


def _executed(name: str, target: Path) -> Path:
    """The notebook of a report, with what its cells came to."""
    return RUNS / "notebooks" / target.name / f"{name}.ipynb"


def _why(error: BaseException, executed: Path) -> str:
    """In a line, why a report could not be made."""
    if isinstance(error, PapermillExecutionError):  # its text ends with a traceback, which may be empty
        why = " ".join(f"{error.ename}: {error.evalue}".split())
        return f"{why} (cell {error.exec_count} of {executed})"
    return (str(error).strip() or type(error).__name__).splitlines()[-1]


def _place(one: Report) -> int:
    return LONGEST.index(one.notebook) if one.notebook in LONGEST else len(LONGEST)


def _written(name: str, digests: dict[str, str], target: Path) -> bool:
    """Whether a report is there, made of what there is now."""
    stamp, page_there = RUNS / "stamps" / target.name / f"{name}.json", (target / f"{name}.md").exists()
    return page_there and stamp.exists() and json.loads(stamp.read_text()) == digests[name]


def _drop_others(target: Path, known: dict[str, Report]) -> None:
    """Removes what is left of reports that there are no longer."""
    for path in target.glob("*.md"):
        if path.stem not in known:
            path.unlink()
    for folder in (*target.glob("figures/*"), *target.glob("tables/*")):
        if folder.name not in known:
            shutil.rmtree(folder)


def site(target: Path, known: dict[str, Report], cards: dict[str, Path], results: Path) -> None:
    """Writes the pages: each report, each card of weights, the board, and one with every figure; a menu on each.

    Takes seconds, so that all are written whenever one changed: a new report is in every menu.
    """
    there = {name: one for name, one in known.items() if (target / f"{name}.md").exists()}
    menu = _menu(there, cards)
    place = target / "html"
    place.mkdir(exist_ok=True)
    for name, one in there.items():
        home = name == "index"
        made_by = {"notebook": one.path.as_posix(), **({} if home else one.parameters)}
        title = (f"{one.dataset}: " if one.dataset else "") + notebooks.question(one.path)  # tabs show its beginning
        text = (target / f"{name}.md").read_text()
        made = page.html(
            text, title, folder=target, home=home, made=made_by, menu=menu, here=name, of=one.dataset or ""
        )
        (place / f"{name}.html").write_text(made)
    for name, card in cards.items():
        # The weights themselves are not beside the pages.
        text = re.sub(r"\[([^\]]+)\]\([^)/]+\.safetensors\)", r"`\1`", card.read_text())
        title = text.splitlines()[0].removeprefix("# ")
        made = page.html(text, title, folder=target, menu=menu, here=name, of=card.parent.name)
        (place / f"{name}.html").write_text(made)
    groups = {
        folder.name: [p.relative_to(target).as_posix() for p in sorted(folder.glob("*.svg"))]
        for folder in sorted((target / "figures").glob("*"))
    }
    words = "Each is a link to the report it is from."
    figures = page.gallery("Every figure", words, {k: v for k, v in groups.items() if v}, menu)
    (place / "figures.html").write_text(figures)
    (place / "board.html").write_text(board.page_of(board.every(results, []), menu), encoding="utf-8")
    for path in place.glob("*.html"):
        if path.stem not in {*there, *cards, "figures", "board"}:
            path.unlink()


def _menu(there: dict[str, Report], cards: dict[str, Path]) -> page.Menu:
    """Of each dataset its reports, by topic, and the weights trained on it; before them reports of all datasets."""
    menu: dict[str, list[tuple[str, str]]] = {EVERY: [("home", "index"), ("board: every row", "board")]}
    for name, one in there.items():
        if one.dataset is None and name != "index":
            menu[EVERY].append((name.replace("-", " "), name))
        elif one.dataset is not None:
            topic = name.removeprefix(one.dataset).strip("-") or "scores"
            menu.setdefault(one.dataset, []).append((topic, name))
    menu[EVERY].append(("every figure", "figures"))
    for name, card in cards.items():
        menu.setdefault(card.parent.name, []).append((f"weights: {card.stem.replace('_', ' ')}", name))
    return menu


def _cards(target: Path) -> dict[str, Path]:
    """Puts the cards of weights beside the reports, which link to them; name of its page to each."""
    found = {}
    for folder in (RECORD / "weights", WEIGHTS):
        for card in sorted(folder.glob("*/*.md")):
            copied = target / "weights" / card.relative_to(folder)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(card, copied)
            found[f"weights-{copied.parent.name}-{copied.stem}"] = copied
    return found


def _refuse_few_files() -> None:
    import resource  # noqa: PLC0415 - not everywhere

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if 0 <= most < LEAST_FILES:
        raise InputError(f"only {most} files may be open at once, and notebooks need more; `ulimit -n 1024` allows it")


def main(*names: str) -> None:
    if os.name == "posix":
        _refuse_few_files()
    with alone(RUNS / "reports.lock", "writes reports"):
        results = overlay([RECORD / "results", RESULTS])
        build(SITE, results, names)
    print(f"Open the reports: {SITE / 'html/index.html'}")


if __name__ == "__main__":
    run(main)
