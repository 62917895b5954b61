"""A table for a paper: rows of the board, the best and the second best of each score marked, ties by interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas import DataFrame

from irstd.tables import NONE
from irstd.tables.board import PUBLISHED

TITLES = {
    "iou": ("IoU %", 100.0, 2), "niou": ("nIoU %", 100.0, 2), "pd": ("Pd %", 100.0, 2),
    "fa_per_million": ("Fa ×1e-6", 1.0, 2),
    "f1": ("F1 %", 100.0, 2), "point_f1": ("point F1 %", 100.0, 2), "parameters": ("parameters, 1e6", 1e-6, 2),
}  # fmt: skip
LOWER = ("fa_per_million",)  # is better
UNRANKED = ("parameters",)
ESCAPED = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_", "$": r"\$", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "×": r"$\times$", "±": r"$\pm$",
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """Rows of a table. words: of each, what stands before its scores. scores: title to the cells. marks: title to 1
    for the best and what does not differ significantly from it, 2 for the second best likewise, else 0.
    """

    words: DataFrame
    scores: dict[str, list[str]]
    marks: dict[str, list[int]]


def ranks(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> list[int]:
    """1 for the highest value and those whose interval reaches it, 2 for the highest of the rest and theirs, else 0.

    What is higher than one that reaches is tied as well, so that no lower value has a better mark than a higher one.

    >>> values, reach = np.array([0.9, 0.88, 0.7, np.nan]), np.array([0.05, 0.03, 0.1, np.nan])
    >>> ranks(values, values - reach, values + reach)
    [1, 1, 2, 0]
    >>> values, reach = np.array([0.38, 0.32, 0.31]), np.array([0.08, 0.05, 0.08])
    >>> ranks(values, values - reach, values + reach)
    [1, 1, 1]

    Args:
        low, high: ends of the intervals; nan where there is none, and then a value is tied with its equals alone.
    """
    marks = np.zeros(len(values), int)
    for mark in (1, 2):
        left = np.where(marks == 0, values, np.nan)
        if np.isnan(left).all():
            break
        best = np.nanmax(left)
        reaches = (np.nan_to_num(low, nan=np.inf) <= best) & (best <= np.nan_to_num(high, nan=-np.inf))
        tied = (marks == 0) & ~np.isnan(values) & ((values == best) | reaches)
        marks[(marks == 0) & (values >= values[tied].min())] = mark
    return marks.tolist()


def table(rows: DataFrame, scores: list[str], words: list[str], *, intervals: bool = False) -> Table:
    """A table of rows of the board.

    Args:
        rows: as of `irstd.tables.board`; those that papers state are not ranked, since each has a rule of its own.
        scores: keys of `TITLES`. words: columns that stand before them.
        intervals: whether they are printed.
    """
    cells, marks = {}, {}
    for score in scores:
        title, factor, digits = TITLES[score]
        nothing = pd.Series(np.nan, rows.index)
        low, high = (rows.get(f"{score}_{end}", nothing).astype(float) for end in ("low", "high"))
        values = rows[score].astype(float)
        compared = values.where(rows["made by"] != PUBLISHED)
        cells[title] = [
            _cell(value, a, b, factor, digits, intervals=intervals)
            for value, a, b in zip(values, low, high, strict=True)
        ]
        if score in LOWER:
            marks[title] = ranks(-compared.to_numpy(), -high.to_numpy(), -low.to_numpy())
        else:
            marks[title] = ranks(compared.to_numpy(), low.to_numpy(), high.to_numpy())
        if score in UNRANKED or compared.notna().sum() < 2:
            marks[title] = [0] * len(rows)
    return Table(rows[words].reset_index(drop=True), cells, marks)


def _cell(value: float, low: float, high: float, factor: float, digits: int, *, intervals: bool) -> str:
    if np.isnan(value):
        return NONE
    ends = f" [{factor * low:.1f}, {factor * high:.1f}]" if intervals and not np.isnan(low) else ""
    # Tables hold six significant digits; more would be made up.
    scaled = factor * value
    places = digits if scaled < 1e4 else 1 if scaled < 1e5 else 0
    return f"{scaled:.{places}f}{ends}"


def latex(table: Table, caption: str = "") -> str:
    r"""A table for `booktabs`, the best in bold, the second best underlined.

    Args:
        caption: of a floating table around it; none if empty.
    """
    head = [*table.words.columns, *table.scores]
    lines = [
        [
            *map(_escaped, words),
            *(_marked(table, title, place, (r"\textbf{%s}", r"\underline{%s}")) for title in table.scores),
        ]
        for place, words in enumerate(table.words.astype(str).to_numpy().tolist())
    ]
    body = [
        rf"\begin{{tabular}}{{{'l' * len(table.words.columns)}{'r' * len(table.scores)}}}",
        r"\toprule",
        " & ".join(map(_escaped, head)) + r" \\",
        r"\midrule",
        *(" & ".join(line) + r" \\" for line in lines),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if caption:
        body = [r"\begin{table}", r"\centering", rf"\caption{{{_escaped(caption)}}}", *body, r"\end{table}"]
    return "\n".join(body)


def _escaped(words: object) -> str:
    return "".join(ESCAPED.get(c, c) for c in str(words))


def _marked(table: Table, title: str, place: int, forms: tuple[str, str]) -> str:
    words, mark = _escaped(table.scores[title][place]), table.marks[title][place]
    return forms[mark - 1] % words if mark else words


def markdown(table: Table) -> str:
    """The same in Markdown, the best in bold, the second best underlined."""
    shown = table.words.astype(str)
    for title, cells in table.scores.items():
        forms = ("{}", "**{}**", "<u>{}</u>")
        shown = shown.assign(**{title: [forms[m].format(c) for c, m in zip(cells, table.marks[title], strict=True)]})
    return shown.to_markdown(index=False, disable_numparse=True)


def plain(table: Table) -> DataFrame:
    """The same without marks."""
    return table.words.assign(**table.scores)
