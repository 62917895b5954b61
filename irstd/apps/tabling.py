"""`irstd table`: rows of the board as a table for a paper."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from irstd.errors import InputError, hint

SCORES = ("iou", "niou", "pd", "fa_per_million", "f1", "point_f1", "parameters")
FORMS = ("markdown", "latex", "csv")


def add(commands: Any) -> None:
    """Adds the command to a parser's."""
    parser = commands.add_parser("table", help="rows of a dataset as a table for a paper, best and second best marked")
    parser.add_argument("dataset", help="of the catalogue")
    parser.add_argument("submissions", type=Path, nargs="*", metavar="FOLDER", help="that `irstd submit` made")
    parser.add_argument("--convention", default="irstd", help="that ours and submissions are scored under; %(default)s")
    parser.add_argument("--size", default="native", help="that they are scored at, native or 256×256; %(default)s")
    parser.add_argument("--split", help="this one alone")
    parser.add_argument("--methods", nargs="+", metavar="TITLE", help="these alone, in this order")
    parser.add_argument("--scores", nargs="+", choices=SCORES, default=["iou", "niou", "pd", "fa_per_million", "f1"])
    parser.add_argument(
        "--published", action="store_true", help="with figures that papers state, each by its own rule, and where"
    )
    parser.add_argument("--intervals", action="store_true", help="with 95 %% intervals over the choice of test images")
    parser.add_argument("--form", choices=FORMS, default=FORMS[0])
    parser.add_argument("--latex", dest="form", action="store_const", const="latex", help="as --form latex")
    parser.add_argument("--caption", default="", help="of a floating LaTeX table")


def run(given: argparse.Namespace, root: Path) -> str:
    """The table, in the form asked for.

    Raises:
        InputError: no row is left; the message says what there is.
    """
    from irstd.apps import board  # noqa: PLC0415 - loads pandas, which `--help` does without
    from irstd.results.overlaid import of_checkout  # noqa: PLC0415
    from irstd.tables import paper  # noqa: PLC0415
    from irstd.tables.board import PUBLISHED  # noqa: PLC0415

    rows = board.every(of_checkout(root), given.submissions)
    if given.dataset not in set(rows["dataset"]):
        raise InputError(f"there is no row of {given.dataset!r}; {hint(given.dataset, set(rows['dataset']))}")
    rows = rows[rows["dataset"] == given.dataset]
    stated = rows["made by"] == PUBLISHED
    ours = ~stated & (rows["convention"] == given.convention) & (rows["size"] == given.size)
    rows = rows[ours | (stated & given.published)]
    if given.split:
        rows = rows[rows["split"] == given.split]
    if given.methods:
        known = set(rows["method"])
        absent = [name for name in given.methods if name not in known]
        if absent:
            raise InputError(f"there is no row of {absent[0]!r} on {given.dataset}; {hint(absent[0], known)}")
        order = {name: place for place, name in enumerate(given.methods)}
        rows = rows[rows["method"].isin(order)].sort_values("method", key=lambda names: names.map(order), kind="stable")
    rows = rows[rows[given.scores].notna().any(axis=1)]
    if rows.empty:
        more = "`irstd board` shows what there is"
        if stated.any() and not given.published and given.split is None and given.size == "native":
            more += ", and --published the figures of papers"
        raise InputError(
            f"no row of {given.dataset} is under {given.convention!r} at {given.size!r}"
            f"{f' on {given.split}' if given.split else ''}; {more}"
        )
    splits = sorted(set(rows.loc[rows["made by"] != PUBLISHED, "split"]))
    if len(splits) > 1:
        raise InputError(
            f"rows of {given.dataset} are of {len(splits)} splits, whose figures are not to be ranked together; choose "
            f"one with --split: {', '.join(splits)}"
        )
    shown = rows.assign(
        method=[
            f"{name} (stated)" if one else name
            for name, one in zip(rows["method"], rows["made by"] == PUBLISHED, strict=True)
        ]
    )
    # Two sources state one method differently, or one source at two sizes.
    words = ["method", "split", "labels", *(["size"] if given.published else [])]
    if given.published and given.form != "latex":  # a source is longer than a column of a paper
        words.append("source")
    made = paper.table(shown, given.scores, words, intervals=given.intervals)
    if given.form == "latex":
        named = dict.fromkeys(f"% {one['method']}, {one['size']}: {one['source']}" for _, one in shown.iterrows())
        return "\n".join([paper.latex(made, given.caption), *(named if given.published else ())])
    return paper.markdown(made) if given.form == "markdown" else paper.plain(made).to_csv(index=False).rstrip()
