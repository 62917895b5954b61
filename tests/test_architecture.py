"""The promises between files: who imports whom, what a stage declares, how long a file may be."""

import ast
import json
import re
import subprocess
import sys

import pytest
import yaml

from irstd.config import params
from irstd.results import provenance, store
from pipelines import plan
from tests.conftest import ROOT

EVERYONE = {"errors"}  # may be imported by all
ALLOWED = {  # room: the rooms it may import besides itself and EVERYONE; a room stands below those that import it
    "": set(),
    "errors": set(),
    "__main__": {"apps"},
    "config": set(),
    "layers": set(),
    "losses": set(),
    "metrics": set(),
    "results": {"metrics"},  # what a record says is checked against the counts of its images
    "reports": set(),
    "formats": {"metrics"},  # regions of masks are counted as they are scored
    "data": {"formats", "metrics"},  # the table of targets is made of regions
    "methods": {"layers", "losses"},
    "plots": {"metrics", "results"},
    "tables": {"metrics"},
    "inference": {"config", "data", "formats", "layers", "methods", "metrics"},
    "training": {"data", "inference", "methods"},
    "scoring": {"data", "formats", "inference", "metrics", "reports", "results", "tables"},
    "analysis": {"data", "layers", "losses", "metrics", "results"},
    "apps": {
        "analysis", "config", "data", "formats", "inference", "methods", "metrics", "plots", "reports", "results",
        "scoring", "tables", "training",
    },
}  # fmt: skip
TRACKED = subprocess.run(
    ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.split()
SOURCES = [p for p in TRACKED if p.endswith(".py") and (ROOT / p).exists()]
ROOMS = {"cost": "cost", "transfer": "conventions", "on_training": "conventions", "robustness": "robustness"}
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def imported(path):
    """Modules of ours that a file imports, as files relative to the root."""
    found = set()
    module = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    inside = f"{module}.__init__" if path.endswith("__init__.py") else module
    for package in ("irstd", "pipelines"):
        for name in provenance.imports((ROOT / path).read_text(), inside, package):
            found |= as_files(name)
    return found


def as_files(module):
    stem = module.replace(".", "/")
    return {p for p in (f"{stem}.py", f"{stem}/__init__.py") if (ROOT / p).exists()}


def cells(notebook):
    return json.loads((ROOT / notebook).read_text())["cells"]


def room(path):
    """The module or package of irstd that a file is in."""
    parts = path.removesuffix(".py").split("/")[1:]
    return "" if parts == ["__init__"] else parts[0]


@pytest.mark.parametrize("path", [p for p in SOURCES if p.startswith("irstd/")])
def test_a_room_imports_only_what_it_may(path):
    mine = room(path)
    assert mine in ALLOWED, f"{path}: say in ALLOWED what this room may import"

    others = {room(p) for p in imported(path) if p.startswith("irstd/")} - {mine, ""}

    assert others <= ALLOWED[mine] | EVERYONE
    assert not any(p.startswith("pipelines/") for p in imported(path))


def test_rooms_are_few_and_no_two_import_each_other():
    inside = [p.split("/")[1:] for p in SOURCES if p.startswith("irstd/")]
    assert len({parts[0] for parts in inside if len(parts) > 1}) <= 16
    assert len({parts[0] for parts in inside if len(parts) == 1} - {"__init__.py"}) <= 3

    placed, left = set(EVERYONE), dict(ALLOWED)
    while left:
        free = {name for name, below in left.items() if below <= placed}
        assert free, f"a circle among {sorted(left)}"
        placed |= free
        left = {name: below for name, below in left.items() if name not in free}


def code_lines(path):
    """Lines of code of a file that are neither blank nor comment, docstring or import."""
    text = (ROOT / path).read_text()
    dropped = set()
    for node in ast.walk(ast.parse(text)):
        words = (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        )
        if words or isinstance(node, (ast.Import, ast.ImportFrom)):
            dropped |= set(range(node.lineno, node.end_lineno + 1))
    numbered = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    return [line for number, line in numbered if line and not line.startswith("#") and number not in dropped]


def test_no_six_lines_stand_twice_in_the_package():
    seen, twice = {}, []
    for path in (p for p in SOURCES if p.startswith("irstd/")):
        lines = code_lines(path)
        for place in range(len(lines) - 5):
            six = tuple(lines[place : place + 6])
            if (other := seen.setdefault(six, (path, place))) != (path, place):
                twice.append((other[0], path, six[0]))
    assert not twice


def test_one_method_does_not_import_another_but_for_a_variant_its_original():
    for path in SOURCES:
        if path.startswith("irstd/methods/") and not path.endswith("__init__.py"):
            shared = {"irstd/methods/__init__.py", "irstd/methods/_adopted.py", "irstd/methods/_classical.py"}
            others = {p for p in imported(path) if p.startswith("irstd/methods/")} - shared
            assert all(path.startswith(other.removesuffix(".py") + "_") for other in others)


def stage(name):
    """A stage of dvc.yaml, whether it is repeated or not."""
    return STAGES[name].get("do", STAGES[name])


def outs(one):
    """Paths that a stage writes."""
    every = [*one.get("outs", ()), *one.get("metrics", ()), *one.get("plots", ())]
    return [next(iter(out)) if isinstance(out, dict) else out for out in every]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_a_module_named_like_it_and_depends_on_its_code_in_the_plan(name):
    one = stage(name)
    module = name.replace("-", "_")

    assert one["cmd"].split()[:3] == ["python", "-m", f"pipelines.{module}"]
    assert (ROOT / f"pipelines/{module}.py").exists()
    if name != "plan":
        assert f"runs/plan/code/{module}.json" in one["deps"]
        assert not [d for d in one["deps"] if d.endswith(".py")], "code is listed by the plan, not by hand"
        assert not any(out.startswith("reports") for out in outs(one)), "stages write below data/ and runs/ only"


def test_the_graph_and_the_parameters_can_be_read_in_one_sitting():
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) < 260
    assert len((ROOT / "params.yaml").read_text().splitlines()) < 230
    assert (ROOT / "dvc.lock").stat().st_size < 150_000


def test_expensive_stages_keep_the_run_cache():
    for name in ("train", "predict", "score"):
        every = [*stage(name)["outs"], *stage(name).get("metrics", ())]
        assert all(isinstance(out, str) for out in every), (
            "an uncached or persisted output switches DVC's run cache off"
        )


def test_cells_yaml_is_what_params_yaml_asks_for():
    assert params.load(ROOT / "params.yaml").cells_text() == (ROOT / "cells.yaml").read_text(), "run `make cells`"


def test_the_plan_lists_what_a_stage_imports_and_no_more():
    code = plan.code("score")

    assert {"pipelines.score", "irstd.metrics.counts", "irstd.scoring.totals"} <= set(code)
    assert not [m for m in code if m.startswith(("irstd.training", "irstd.methods", "irstd.config", "irstd.errors"))]
    assert "irstd.data.catalogue" in plan.code("download") and "irstd.data.catalogue" not in plan.code("train")


def test_plots_and_results_import_no_torch_and_the_library_is_quick():
    code = "import sys, irstd.results.reading, irstd.tables, irstd.analysis.walk, irstd.plots.comparison, irstd.plots.scenes; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_training_needs_torch_fabric_numpy_scipy_and_kornia_only():
    code = (
        "import sys\n"
        "for absent in ('pydantic', 'dvclive', 'dvc', 'gdown', 'papermill', 'safetensors', 'pandas', 'lightning'):\n"
        "    sys.modules[absent] = None\n"
        "import irstd.training.loop, irstd.methods.ggl_net"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_clone_is_small():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    held = sum((ROOT / name).stat().st_size for name in listed.split("\0") if name and (ROOT / name).is_file())

    assert held < 25_000_000, f"{held:,} bytes"


def test_a_file_is_one_idea():
    lines = {p: len((ROOT / p).read_text().splitlines()) for p in SOURCES}

    assert {p: n for p, n in lines.items() if n > 400} == {}
    assert sorted(lines.values())[len(lines) // 2] <= 150


def test_public_functions_and_classes_say_what_they_are():
    silent = []
    for path in SOURCES:
        if path.startswith("irstd/"):
            tree = ast.parse((ROOT / path).read_text())
            assert ast.get_docstring(tree), f"{path} does not say what is in it"
            for node in tree.body:
                public = isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
                if public and not ast.get_docstring(node):
                    silent.append(f"{path}: {node.name}")

    assert silent == []


def test_schemas_name_every_column_of_the_committed_results():
    for path in (ROOT / "reports/results").rglob("*.csv"):
        room = path.relative_to(ROOT / "reports/results").parts[0]
        kind = ROOMS.get(room, path.stem.split("-")[0])
        store.read(path, kind)


def test_committed_provenance_names_no_place_on_a_disk():
    for path in (ROOT / "reports").rglob("*"):
        if path.suffix in (".json", ".csv", ".md"):
            assert not re.search(r"(^|[\s\"'(])/(home|work|tmp|root|Users)/", path.read_text()), path


def test_every_row_of_params_has_a_method_file():
    given = params.load(ROOT / "params.yaml")
    for name in given.method:
        assert (ROOT / f"irstd/methods/{given.row(name).method}.py").exists()


class TestNotebooks:
    PATHS = [p for p in TRACKED if p.startswith("notebooks/") and p.endswith(".ipynb")]

    @pytest.mark.parametrize("path", PATHS)
    def test_a_notebook_is_thin_and_has_no_outputs(self, path):
        every = cells(path)
        code = [c for c in every if c["cell_type"] == "code"]
        parameters = [c for c in code if "parameters" in c["metadata"].get("tags", [])]

        assert all(not c["outputs"] and c["execution_count"] is None for c in code)
        assert len(parameters) == 1
        for cell in code:
            source = "".join(cell["source"])
            assert not re.search(r"^\s*(def|class) ", source, re.MULTILINE)
            assert len(source.splitlines()) <= 15
        for line in "".join(parameters[0]["source"]).splitlines():
            value, comment = line.split("=", 1)[1].split("  # ")
            ast.literal_eval(value.strip())
            assert comment
        assert every[0]["cell_type"] == every[-2]["cell_type"] == "markdown"  # a question, and its answer
