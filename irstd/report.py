"""Executes a notebook with parameters, and exports what is reproducible: HTML and Markdown, without clocks."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbconvert import HTMLExporter, MarkdownExporter
from traitlets.config import Config

from irstd.errors import InputError, hint

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
    executed = papermill.execute_notebook(
        source, target, parameters, cwd=source.parent, progress_bar=False, kernel_name="python3", log_output=False
    )
    return without_clocks(executed)


def html(notebook: nbformat.NotebookNode, title: str) -> str:
    """The notebook as one HTML file without code, pictures inside."""
    notebook = deepcopy(notebook)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.get("metadata", {}).pop("filenames", None)  # else they would be links
    exporter = HTMLExporter(
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        embed_images=True,
        # No script or style from elsewhere: the report opens without a network.
        config=Config(
            {"HTMLExporter": {"mathjax_url": "", "require_js_url": "", "jquery_url": "", "mermaid_js_url": ""}}
        ),
    )
    return exporter.from_notebook_node(notebook, {"metadata": {"name": title}})[0]


def markdown(notebook: nbformat.NotebookNode) -> str:
    """The notebook as Markdown without code; figures are links to the files that it saved."""
    config = Config(
        {
            "MarkdownExporter": {"exclude_input": True},
            "ExtractOutputPreprocessor": {"enabled": False},  # the files are there; the outputs name them
            "NbConvertBase": {"display_data_priority": ["text/markdown", "image/png", "text/plain"]},
        }
    )
    body, _ = MarkdownExporter(config=config).from_notebook_node(notebook, {"output_files_dir": ""})
    lines = [line.rstrip() for line in body.splitlines()]
    return "\n".join(line for n, line in enumerate(lines) if line or (n and lines[n - 1])).strip() + "\n"
