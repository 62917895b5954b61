"""Tables for papers: marks by hand, LaTeX that a parser reads, and the command."""

import io
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from pylatexenc.latexwalker import LatexEnvironmentNode, LatexWalker

from irstd.apps import cli
from irstd.tables import board, paper


def rows(*given):
    """Rows of the board, of which only some columns are said."""
    table = pd.DataFrame(
        [{"made by": "this workbench, record", "split": "1", "labels": "masks", **one} for one in given]
    )
    return table.reindex(columns=[*board.WORDS, *board.NUMBERS])


@pytest.fixture
def four():
    return rows(
        {"method": "A", "iou": 0.60, "iou_low": 0.55, "iou_high": 0.65, "fa_per_million": 20.0, "parameters": 2e6},
        {"method": "B_1", "iou": 0.64, "iou_low": 0.61, "iou_high": 0.67, "fa_per_million": 10.0},
        {"method": "C & D", "iou": 0.58, "iou_low": 0.56, "iou_high": 0.60, "fa_per_million": 10.0},
        {"method": "50 %", "iou": 0.99, "fa_per_million": 0.0, "made by": "published"},
    )


def test_best_and_second_are_marked_with_what_cannot_be_told_from_them(four):
    made = paper.table(four, ["iou", "fa_per_million", "parameters"], ["method"])

    assert made.scores["IoU %"] == ["60.00", "64.00", "58.00", "99.00"]
    # The interval of A reaches the 0.64 of B; C is the best of the rest. What a paper states is not ranked.
    assert made.marks["IoU %"] == [1, 1, 2, 0]
    # Fewer false alarms are better; without intervals equals are tied.
    assert made.marks["Fa ×1e-6"] == [2, 1, 1, 0]
    assert made.scores["parameters, 1e6"] == ["2.00", "–", "–", "–"] and set(made.marks["parameters, 1e6"]) == {0}


def test_one_row_alone_is_not_the_best(four):
    assert paper.table(four.iloc[[0, 3]], ["iou"], ["method"]).marks["IoU %"] == [0, 0]


def test_latex_is_read_by_a_parser_and_says_the_same(four):
    made = paper.table(four, ["iou", "fa_per_million"], ["method"], intervals=True)
    text = paper.latex(made, "Ours & theirs, 95 %")
    nodes, _, length = LatexWalker(text, tolerant_parsing=False).get_latex_nodes()

    assert length == len(text)
    outer = next(node for node in nodes if isinstance(node, LatexEnvironmentNode))
    inner = next(node for node in outer.nodelist if isinstance(node, LatexEnvironmentNode))
    assert (outer.environmentname, inner.environmentname) == ("table", "tabular")
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert [line.replace(r"\&", "").count("&") for line in lines] == [2] * 5
    assert r"B\_1 & \textbf{64.00 [61.0, 67.0]} & \textbf{10.00} \\" in lines
    assert r"C \& D & \underline{58.00 [56.0, 60.0]} & \textbf{10.00} \\" in lines
    assert r"50 \% & 99.00 & 0.00 \\" in lines


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="TeX is not installed")
def test_latex_is_set_by_tex_without_a_box_too_wide(four, tmp_path):
    text = paper.latex(paper.table(four, ["iou", "fa_per_million"], ["method"], intervals=True), "Ours & theirs, 95 %")
    head = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage[utf8]{inputenc}\usepackage{booktabs}\begin{document}"
    (tmp_path / "a.tex").write_text(head + "\n" + text + "\n" + r"\end{document}", encoding="utf-8")

    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, errors="replace")

    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout and (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


def test_markdown_marks_the_same(four):
    text = paper.markdown(paper.table(four, ["iou"], ["method"]))

    assert "**64.00**" in text and "<u>58.00</u>" in text and "| 99.00" in text


def test_ranks_without_any_value_are_none():
    nothing = np.full(3, np.nan)

    assert paper.ranks(nothing, nothing, nothing) == [0, 0, 0]


def test_the_command_prints_published_figures_where_there_is_no_checkout(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    cli.main(
        ["table", "nudt-sirst", "--published", "--methods", "MSDA-Net", "DNANet", "--split", "663-664", "--form", "csv"]
    )

    found = pd.read_csv(io.StringIO(capsys.readouterr().out))
    words = ["method", "split", "labels", "size", "source"]
    assert list(found) == [*words, "IoU %", "nIoU %", "Pd %", "Fa ×1e-6", "F1 %"]
    assert set(found["method"]) == {"MSDA-Net (stated)", "DNANet (stated)"}
    # Two sources state one network differently: which is which is said.
    assert not found.duplicated(words).any() and found.duplicated(words[:3]).any()
    assert found["source"].str.contains(r"README|TGRS|arXiv").all() and found["source"].str.contains("scored: ").all()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nudt"], "there is no row of 'nudt'; did you mean 'nudt-sirst'?"),
        (["nudt-sirst"], "no row of nudt-sirst is under 'irstd' at 'native'"),
        (["nudt-sirst", "--published", "--methods", "DNAnet"], "did you mean 'DNANet'?"),
    ],
)
def test_what_there_is_not_is_named(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SystemExit) as error:
        cli.main(["table", *words])

    assert said in str(error.value)
