"""The command line, for what is no pipeline stage: what is there, predictions, scores, new methods, revisions."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

from irstd import __version__
from irstd.apps import (
    adopting,
    board,
    converting,
    exporting,
    figuring,
    listing,
    predicting,
    scoring,
    submitting,
    tabling,
)
from irstd.errors import InputError, hint

EXTRAS = {  # what the light installation lacks, and what brings it
    "cv2": "predict", "onnxruntime": "predict", "torch": "train", "kornia": "train", "lightning_fabric": "train",
    "safetensors": "train", "psutil": "train", "itables": "figures", "matplotlib": "figures", "seaborn": "figures",
    "nbformat": "pipeline", "nbconvert": "pipeline", "papermill": "pipeline", "dvc": "pipeline",
}  # fmt: skip


EXAMPLES = """examples:
  irstd predict PICTURES                              find targets, with weights that are in Git
  irstd score PREDICTIONS --dataset nuaa-sirst        score masks, score maps, points or boxes
  irstd score PREDICTIONS --truth MASKS               on data of your own
  irstd adopt ../CLONE:CLASS --name theirs            add somebody's network
  irstd table nudt-sirst --latex                      rows for a paper

`irstd COMMAND --help` says what each takes; training and reports are `dvc repro` and `make report` in a checkout."""
ELSEWHERE = {  # what is asked for here, and where it is
    "train": "`dvc repro train@DATASET-METHOD-SEED` trains, in a checkout",
    "report": "`make report` writes the reports, in a checkout; `irstd score` writes one of your predictions",
}


def new_method(name: str, root: Path) -> str:
    """Writes a new method, and returns what to do next."""
    from irstd.apps import scaffold

    method, test, changed, cells = scaffold.new_method(name, root)
    return f"""{method}  written: a small network that works; replace it by yours
{test}  written: its own test
{changed}  changed: {name!r} is in `methods`, its recipe at the end of `method`
{cells}  changed: what is trained, made from it

Next, from here:
  pytest tests/test_methods.py {test} -k {name}   the contract, and its own test
  make quickstart   trains it on the drawn scenes, and nothing else; its row is in every report of them
  dvc repro score@nuaa-sirst-{name}-0 method-card@{name} && make report   the same on real scenes"""


def diff_of(before: str, after: str | None, out: Path | None) -> str:
    """Reports on two revisions, and returns where and in short what."""
    from irstd.apps import revisions

    folder = out or Path("runs/diff") / re.sub(r"[^\w.~-]", "-", f"{before}..{after or ''}")
    page = revisions.difference(Path(), before, after, folder)
    answer = (folder / "report.md").read_text().rstrip().rpartition("\n")[2]
    return f"{answer}\n\nOpen the report: {page}"


def main(words: list[str] | None = None) -> None:
    """Runs the command line; what the user must fix is one sentence and exit 1."""
    parser = argparse.ArgumentParser(
        "irstd", description="Infrared small target detection: datasets, methods, and scores that can be compared.",
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"irstd {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("datasets", help="the catalogue, and what is on disk")
    commands.add_parser("methods", help="each method's paper, supervision, size and multiply-adds")
    predicting.add(commands)
    converting.add(commands)
    scoring.add(commands)
    submitting.add(commands)
    board.add(commands)
    tabling.add(commands)
    figuring.add(commands)
    exporting.add(commands)
    adopting.add(commands)
    new = commands.add_parser("new-method", help="write a method's file, its test and its entry in params.yaml")
    new.add_argument("name", help="of its module: small letters, digits and _")
    diff = commands.add_parser("diff", help="report on what differs between the results of two revisions")
    diff.add_argument("before", help="a commit, tag or branch")
    diff.add_argument("after", nargs="?", help="another; the working folder if not given")
    diff.add_argument("--out", type=Path, metavar="FOLDER", help="where the report goes; runs/diff/BEFORE..AFTER")
    words = sys.argv[1:] if words is None else words
    if words and words[0] in ELSEWHERE:
        parser.error(f"there is no command {words[0]!r} here: {ELSEWHERE[words[0]]}")
    if words and not words[0].startswith("-") and words[0] not in commands.choices:
        parser.error(f"there is no command {words[0]!r}; {hint(words[0], commands.choices)}")
    given = parser.parse_args(scoring.normal(words) if words[:1] in (["score"], ["submit"]) else words)
    try:
        run = {
            "datasets": lambda: listing.datasets(Path()),
            "methods": listing.methods,
            "predict": lambda: predicting.run(given, Path()),
            "convert": lambda: converting.run(given),
            "score": lambda: scoring.run(given, Path()),
            "submit": lambda: submitting.submit(given, Path()),
            "verify": lambda: submitting.verify(given, Path()),
            "board": lambda: board.run(given, Path()),
            "table": lambda: tabling.run(given, Path()),
            "figure": lambda: figuring.run(given, Path()),
            "export": lambda: exporting.run(given, Path()),
            "adopt": lambda: adopting.run(given, Path()),
            "new-method": lambda: new_method(given.name, Path()),
            "diff": lambda: diff_of(given.before, given.after, given.out),
        }
        print(run[given.command](), flush=True)
    except InputError as error:
        sys.exit(f"error: {error}")
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        sys.exit(f"error: {error.name} is not installed; pip install 'irstd-workbench[{extra}]' brings it")
    except BrokenPipeError:  # the reader, `head` for example, has what it wants
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        sys.exit(f"error: {error.filename or 'a file'}: {error.strerror or error}; fix that and run the command again")


if __name__ == "__main__":
    main()
