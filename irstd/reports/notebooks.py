"""Executes a notebook with parameters, and exports what is reproducible of it, as Markdown without clocks."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
import papermill
from nbconvert import MarkdownExporter
from traitlets.config import Config

from irstd.errors import InputError, hint

ANSWER = "\n## The answer\n"  # the heading of what a report comes to
VOLATILE = ("papermill", "execution")  # metadata that differs in every run


def without_clocks(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drops times and random cell ids, in place, so that equal runs are equal bytes."""
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index}"
        for key in VOLATILE:
            cell.metadata.pop(key, None)
    notebook.metadata.pop("papermill", None)
    return notebook


def execute(source: Path, target: Path, **parameters: Any) -> nbformat.NotebookNode:
    """Runs the notebook `source` in its own folder, as JupyterLab would, and returns it with its outputs.

    Args:
        target: where the executed notebook is written; if a cell fails, it stays there with the traceback.
        parameters: of its cell tagged `parameters`.

    Raises:
        InputError: the notebook has no such parameter.
        papermill.PapermillExecutionError: a cell failed.
    """
    known = papermill.inspect_notebook(source)
    for name in parameters:
        if name not in known:
            raise InputError(f"{source.name} has no parameter {name!r}; {hint(name, known)}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="irstd-") as sockets:
        executed = papermill.execute_notebook(
            source,
            target,
            parameters,
            cwd=source.parent,
            progress_bar=False,
            kernel_name="python3",
            log_output=False,
            start_timeout=180,  # s; a loaded machine takes more than the usual 60
            extra_arguments=["--log-level=CRITICAL"],  # of the kernel, which else warns of its own ports
            config=_private(Path(sockets)),
        )
    return without_clocks(executed)


def _private(folder: Path) -> Config:
    """The kernel is reached through sockets in `folder`, where the system has such.

    TCP ports are chosen before the kernel takes them, so that another program, such as the kernel of the notebook
    beside it, may be first.
    """
    if os.name != "posix":
        return Config()
    return Config({"KernelManager": {"transport": "ipc", "ip": str(folder / "kernel")}})


def markdown(notebook: nbformat.NotebookNode, above: str = "../reports/") -> str:
    """The notebook as Markdown without code; figures and tables are links to the files that it saved.

    Args:
        above: where those links start in the notebook, which runs in a folder of its own; they are cut by it.
    """
    config = Config(
        {
            "MarkdownExporter": {"exclude_input": True},
            "ExtractOutputPreprocessor": {"enabled": False},  # the files are there; the outputs name them
            "NbConvertBase": {"display_data_priority": ["text/markdown", "image/png", "text/plain"]},
        }
    )
    body, _ = MarkdownExporter(config=config).from_notebook_node(notebook, {"output_files_dir": ""})
    # The text for readers who cannot see a figure is what `irstd.plots.style` says of it.
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = [one.get("metadata", {}) for one in outputs if "image/png" in one.get("data", {})]
    said = iter([one.get("image/png", {}).get("alt", "a figure") for one in shown])
    named = re.sub(r"!\[png\]\(", lambda _: f"![{next(said, 'a figure')}](", body)
    # Notebooks link reports from where they lie, so that these links work in Jupyter too.
    for start in (quote(above), above, "../reports/"):
        named = named.replace(f"]({start}", "](")
    text = "\n".join(line.rstrip() for line in named.splitlines())
    # One empty line is enough, but in code.
    parts = [re.sub(r"\n{3,}", "\n\n", part) if n % 2 == 0 else part for n, part in enumerate(text.split("```"))]
    return answer_first("```".join(parts).strip() + "\n")


def answer_first(text: str) -> str:
    """A report with its last section, the answer, before the others: a notebook finds it, a page begins with it."""
    before, found, answer = text.rpartition(ANSWER)
    opening, first, others = before.partition("\n## ")
    if not found or not first or "\n## " in answer:
        return text
    return f"{opening}\n{found.strip()}\n{answer.rstrip()}\n\n{first.strip()} {others.strip()}\n"


def question(notebook: Path) -> str:
    """What a notebook asks: its first heading."""
    first = nbformat.read(notebook, as_version=4).cells[0].source
    return first.splitlines()[0].removeprefix("# ")
