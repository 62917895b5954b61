"""Settings of the documentation's site: `make docs` builds it in runs/docs, from what is in Git and without network."""

import json
import os
import re
import shutil
from pathlib import Path

import irstd

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
FIELD = re.compile(r"[a-z_]\w*(, [a-z_]\w*)*: ")  # of a dataclass

project, author, release = "IRSTD Workbench", "the authors of IRSTD Workbench", irstd.__version__
extensions = ["sphinx.ext.apidoc", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "myst_nb"]
root_doc = "README"
pages = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**", "reports/*.md", "reports/weights/**"]
include_patterns = [*pages, "notebooks/*.ipynb"]
exclude_patterns = [".*", "data", "runs", "tests", "irstd", "pipelines", "docs/conf.py"]
apidoc_modules = [
    {
        "path": "../irstd",
        "destination": "docs/api",
        "separate_modules": True,
        "module_first": True,
        "automodule_options": {"members", "show-inheritance"},
    }
]
html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False
nb_execution_mode = "off"  # the reports are these notebooks, run
myst_heading_anchors = 4
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
# Tables of records have no heading, and their wide cells no language.
suppress_warnings = ["myst.header", "misc.highlighting_failure", "ref.python"]

TREE = """

```{toctree}
:hidden:
:caption: How to

docs/guide
docs/faq
docs/scaling
docs/numbers
CONTRIBUTING
```

```{toctree}
:hidden:
:caption: Tutorials
:glob:

notebooks/*
```

```{toctree}
:hidden:
:caption: Results
:glob:

reports/index
reports/*
```

```{toctree}
:hidden:
:caption: Model cards
:glob:

reports/weights/*/*
```

```{toctree}
:hidden:
:caption: Reference

docs/api/modules
CHANGELOG
```
"""


def _read(_app: object, name: str, source: list[str]) -> None:
    """Has every link lead somewhere here, and gives the home page its menu.

    A folder has no page, nor has what is made on the reader's machine.
    """
    folder = (ROOT / name).parent

    def led(link: re.Match[str]) -> str:
        _, text, target, _ = link.groups()
        if "://" in target:
            return link[0]
        there = Path(os.path.normpath(folder / target))
        if there.is_dir():
            return f"{text} (`{there.relative_to(ROOT)}`)"
        return link[0] if there.exists() else text

    if source[0].startswith("{"):
        notebook = json.loads(source[0])
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = LINK.sub(led, "".join(cell["source"]))
        source[0] = json.dumps(notebook)
        return
    source[0] = LINK.sub(led, source[0])
    if name == root_doc:
        source[0] += TREE


def _docstring(_app: object, kind: str, _name: str, _of: object, _options: object, lines: list[str]) -> None:
    """Ours are written to be read as they stand: bars are absolute values, columns are aligned."""
    shown: list[str] = []
    for paragraph in "\n".join(lines).split("\n\n"):
        aligned = kind == "module" and paragraph.startswith("    ")
        shown += ["::", ""] if aligned else []
        code = aligned or paragraph.lstrip().startswith(">>>")
        shown += [*(paragraph if code else paragraph.replace("|", r"\|").replace("*", r"\*")).split("\n"), ""]
    lines[:] = shown
    first = next((n for n, line in enumerate(lines) if n and FIELD.match(line)), 0)
    if kind == "class" and first and not lines[first - 1]:
        end = lines.index("", first)
        lines[first:end] = ["Attributes:", *(f"    {line}" for line in lines[first:end])]


def _finished(app: object, error: Exception | None) -> None:
    """The home page under the name that servers and readers look for."""
    if error is None:
        shutil.copyfile(Path(app.outdir, f"{root_doc}.html"), Path(app.outdir, "index.html"))  # type: ignore[attr-defined]


def setup(app: object) -> None:
    app.connect("autodoc-process-docstring", _docstring, priority=100)  # before napoleon  # type: ignore[attr-defined]
    app.connect("source-read", _read)  # type: ignore[attr-defined]
    app.connect("build-finished", _finished)  # type: ignore[attr-defined]
