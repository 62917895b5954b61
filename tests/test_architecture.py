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
from pipelines.report import reports
from tests.conftest import ROOT

EVERYONE = {"errors"}  # may be imported by all
ALLOWED = {  # room: the rooms it may import besides itself and EVERYONE; a room stands below those that import it
    "": set(),
    "errors": set(),
    "config": set(),
    "layers": set(),
    "losses": set(),
    "metrics": set(),
    "results": set(),
    "reports": set(),
    "formats": set(),
    "data": {"formats", "metrics"},  # the table of targets is made of regions
    "methods": {"layers", "losses"},
    "plots": {"results"},
    "tables": {"metrics"},
    "inference": {"config", "data", "formats", "layers", "methods", "metrics"},
    "training": {"data", "inference", "methods"},
    "scoring": {"data", "formats", "inference", "metrics", "reports", "results", "tables"},
    "analysis": {"data", "layers", "losses", "metrics", "results"},
    "apps": {
        "analysis", "config", "data", "formats", "inference", "methods", "metrics", "plots", "reports", "results",
        "scoring", "training",
    },
}  # fmt: skip
# Carry or check values; see dvc.yaml.
CARRIERS = {
    "irstd/config/messages.py",
    "irstd/errors.py",
    "irstd/config/params.py",
    "irstd/results/provenance.py",
    "irstd/results/schemas.py",
    "pipelines/__init__.py",
}
TRACKED = subprocess.run(
    ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.split()
SOURCES = [p for p in TRACKED if p.endswith(".py") and (ROOT / p).exists()]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
OF_A_STUDY = "^(baselines|labelling|losses|detection)-(?=card|choose|train|predict|validate|evaluate|conventions)"


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


def test_one_method_does_not_import_another_but_for_a_variant_its_original():
    for path in SOURCES:
        if path.startswith("irstd/methods/") and not path.endswith("__init__.py"):
            others = {p for p in imported(path) if p.startswith("irstd/methods/")} - {"irstd/methods/__init__.py"}
            assert all(path.startswith(other.removesuffix(".py") + "_") for other in others)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_every_file_it_imports(stage):
    stage, whole = re.sub(OF_A_STUDY, "", stage), STAGES[stage]  # a study's stages are those of the pipeline
    module = whole["cmd"].split()[2].replace(".", "/")
    todo, needs = [f"{module}.py"], set()
    for name in (d for d in whole["deps"] if d.endswith(".ipynb")):
        code = "\n".join("".join(c["source"]) for c in cells(name) if c["cell_type"] == "code")
        todo += {p for m in provenance.imports(code, "notebook", "irstd") for p in as_files(m)}
    while todo:
        path = todo.pop()
        if path not in needs:
            needs.add(path)
            todo += imported(path)
    declared = whole["deps"]
    # Code of methods reaches trainings through the card; package docstrings say nothing.
    by_card = any("reports/results/methods/" in d for d in declared)
    if by_card:
        needs = {p for p in needs if not re.match(r"irstd/(methods|layers|losses)/", p)}
    missing = {
        path for path in needs - CARRIERS
        if not path.endswith("__init__.py") and not any(path == d or path.startswith(f"{d}/") for d in declared)
    }  # fmt: skip

    assert not missing - OPTIONAL.get(stage, set())


OPTIONAL = {
    # New code makes no right parameter wrong; if it does, the stage that runs it says so.
    # The card counts; what runs a network in other forms is for the cost.
    "card": {"irstd/inference/export.py"},
    "check": {p for p in SOURCES if p.startswith("irstd/")} | {"pipelines/check.py"},
    # Sources and citations are no matter of what was obtained; pixels and splits are.
    "prepare": {"irstd/data/catalogue.py"},
    "describe": {"irstd/data/catalogue.py"},
    # Columns of the history are named by its schema; results.py changes with every new table.
    "train": {"irstd/results/store.py", "irstd/data/raw.py", "irstd/data/catalogue.py", "irstd/metrics/regions.py"},
    # What is in prepared data is its own dependency; these only tell how to read it.
    "predict": {"irstd/data/augment.py", "irstd/data/batches.py", "irstd/data/clicks.py", "irstd/training/loop.py", "irstd/training/selection.py", "irstd/data/raw.py", "irstd/data/catalogue.py"},
    "evaluate": {"irstd/data/raw.py", "irstd/data/catalogue.py"},
    "conventions": {"irstd/data/raw.py", "irstd/data/catalogue.py"},
    "orientation": {"irstd/data/raw.py", "irstd/data/catalogue.py"},
    # A table of latencies does not change with the loop.
    "cost": {"irstd/training/loop.py", "irstd/training/selection.py", "irstd/inference/predict.py", "irstd/results/store.py", "irstd/data/augment.py", "irstd/data/batches.py", "irstd/data/clicks.py", "irstd/data/prepared.py", "irstd/data/raw.py", "irstd/data/catalogue.py", "irstd/metrics/regions.py"},
}  # fmt: skip
OPTIONAL |= {"validate": OPTIONAL["predict"], "choose": OPTIONAL["predict"] | {"irstd/results/store.py"}}
OPTIONAL["choose"] -= {"irstd/training/selection.py"}
OPTIONAL |= dict.fromkeys(("transfer", "robustness"), OPTIONAL["predict"])


def test_every_command_is_a_module_and_its_items():
    for name, stage in STAGES.items():
        if stage["cmd"].startswith("python -m pipelines.report "):
            continue
        axes = "".join(f" ${{item.{axis}}}" for axis in stage.get("matrix", ()))
        # The stages of a study are those of the pipeline for further rows.
        module = re.sub(OF_A_STUDY, "", name).replace("-", "_")
        assert f"python -m pipelines.{module}{axes}" == stage["cmd"]
        assert (ROOT / f"pipelines/{module}.py").exists()


def test_every_report_has_a_stage_that_declares_its_notebook_and_files():
    given = params.load(ROOT / "params.yaml")
    planned, found = reports(given), {}
    lists = {"datasets": given.datasets, "orientation.datasets": given.orientation.datasets}
    lists |= {f"studies.{name}.datasets": study.datasets for name, study in given.studies.items()}
    for stage in STAGES.values():
        if stage["cmd"].startswith("python -m pipelines.report "):
            over = stage.get("matrix", {"dataset": None})["dataset"]
            for dataset in lists[over[2:-1]] if over else [""]:
                name = stage["cmd"].split()[-1].replace("${item.dataset}", dataset)
                found[name] = json.loads(json.dumps(stage).replace("${item.dataset}", dataset))

    assert set(planned) == set(found)
    for name, report in planned.items():
        deps, outs = found[name]["deps"], found[name]["outs"]
        assert f"notebooks/{report.notebook}.ipynb" in deps or "notebooks" in deps
        files = [f"reports/{name}.md", f"reports/figures/{name}", f"reports/tables/{name}"] if report.public else []
        assert [f"reports/html/{name}.html", *files] == [next(iter(o)) if isinstance(o, dict) else o for o in outs]


def test_expensive_stages_keep_the_run_cache():
    for name in ("train", "predict"):
        for out in STAGES[name]["outs"]:
            assert isinstance(out, str), "an uncached or persisted output switches DVC's run cache off"


def test_plots_and_results_import_no_torch_and_the_library_is_quick():
    code = "import sys, irstd.results.reading, irstd.tables, irstd.analysis.walk, irstd.plots.comparison, irstd.plots.scenes; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_training_needs_torch_lightning_numpy_scipy_and_kornia_only():
    code = (
        "import sys\n"
        "for absent in ('pydantic', 'dvclive', 'dvc', 'pooch', 'gdown', 'papermill', 'safetensors', 'pandas'):\n"
        "    sys.modules[absent] = None\n"
        "import irstd.training.loop, irstd.methods.ggl_net"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_file_is_one_idea():
    long = {p: n for p in SOURCES if (n := len((ROOT / p).read_text().splitlines())) > 400}

    assert long == {}


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
        kind = {"cost": "cost", "transfer": "conventions", "robustness": "robustness"}.get(
            room, path.stem.split("-")[0]
        )
        store.read(path, kind)


def test_committed_provenance_names_no_place_on_a_disk():
    for path in (ROOT / "reports").rglob("*"):
        if path.suffix in (".json", ".csv", ".md"):
            assert not re.search(r"(^|[\s\"'(])/(home|work|tmp|root|Users)/", path.read_text()), path


def test_every_row_of_params_has_a_method_file():
    given = params.load(ROOT / "params.yaml")
    for name, row in given.method.items():
        assert (ROOT / f"irstd/methods/{row.method or name}.py").exists()


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
