"""Check params.yaml and resolve it: what each run and each stage depends on -> runs/plan.

    cells/RUN.json      a run's options, merged recipe, split, precision, digest of its method's code
    methods/ROW.json    a row's method and options, digest of the method's code
    evaluate.json       how predictions are scored; a file, since DVC reads params.yaml again for each stage of which
                        it is a parameter
    code/STAGE.json     the modules that a stage imports, a digest of what the code of each does, and the columns of
                        the tables that it names

DVC clears what a stage made before it runs the stage, so whatever is wrong in params.yaml is said here, first.
"""

import ast
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from irstd import methods
from irstd.config import params
from irstd.errors import InputError
from irstd.inference import devices
from irstd.results import SCHEMAS, provenance, store
from irstd.training import steps
from pipelines import CELLS, PLAN, run
from pipelines.lookup import Run, method_of

# Not counted as a stage's code. Every stage looks its run up, and what it finds is in its own file of the plan.
SHARED = (*provenance.CARRIERS, "pipelines.lookup", "pipelines.plan", "irstd.methods")
# What there is to obtain, and how it is laid out, is no matter of what has been prepared: its pixels are a dependency.
SOURCES = (
    "irstd.data.catalogue",
    "irstd.data.download",
    "irstd.data.own",
    "irstd.data.raw",
    "irstd.data.synthetic",
    "irstd.formats",
)
READS_SOURCES = ("download", "prepare")


def write_cells() -> None:
    """Rewrites cells.yaml from params.yaml."""
    CELLS.write_text(params.load().cells_text())


def code(stage: str) -> dict[str, str]:
    """Digest of the code of each module that a stage imports, but for those that change no result; tables' columns.

    The columns are no code of the stage, but a result that was made with others cannot be read.
    """
    without = SHARED if stage in READS_SOURCES else (*SHARED, *SOURCES)
    found = {k: v for k, v in provenance.code_digests(f"pipelines.{stage}", without).items() if k != "pipelines"}
    tree = ast.parse(Path(__file__).with_name(f"{stage}.py").read_text())
    named = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return found | {f"table {kind}": " ".join(columns) for kind, columns in SCHEMAS.items() if kind in named}


def _check(given: params.Params) -> None:
    if not CELLS.is_file() or CELLS.read_text() != given.cells_text():
        raise InputError(f"{CELLS} is not what params.yaml asks for now; run `make cells`, which rewrites it")
    steps.precision(given.train.precision, devices.device(given.train.device))


def resolve(given: params.Params) -> dict[str, dict[str, Any]]:
    """Every file of the plan: its path below the plan's folder, without suffix, to its content."""
    found: dict[str, dict[str, Any]] = {}
    for name, cell in given.cells().items():
        resolved = Run(given, cell["dataset"], cell["method"], cell["seed"]).resolved()
        # The recipe decides, whatever the budget is called that it is of.
        found[f"cells/{name}"] = {key: value for key, value in resolved.items() if key != "budget"}
    for row in given.rows():
        module = given.row(row).method or row
        _, options = method_of(given, row)
        sources = provenance.source_digest(methods.module_name(module))
        found[f"methods/{row}"] = {"method": module, "options": asdict(options), "sources": sources}
    found["evaluate"] = asdict(given.evaluate)
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem != "__init__":
            found[f"code/{path.stem}"] = code(path.stem)
    return found


def main() -> None:
    given = params.load()
    _check(given)
    files = resolve(given)
    shutil.rmtree(PLAN, ignore_errors=True)
    for name, content in files.items():
        store.write_json(content, PLAN / f"{name}.json")


if __name__ == "__main__":
    run(main)
