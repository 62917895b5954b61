"""A method in someone else's package: installed, found by its entry point, trained, and in the tables."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.test_pipeline import TINY, copy, merge, set_params

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Environment in which tests/example_package is installed, by pip, beside ours; nothing is downloaded."""
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    source = target.parent / "example_package"  # building writes beside the sources
    subprocess.run(["cp", "-r", str(ROOT / "tests/example_package"), str(source)], check=True)
    subprocess.run([*pip, "--target", str(target), str(source)], check=True, capture_output=True)
    return os.environ | {"PYTHONPATH": os.pathsep.join((str(target), str(ROOT)))}


def python(code, env):
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False, cwd=ROOT)


def test_it_is_found_by_its_entry_point_and_keeps_the_contract(installed):
    found = python(
        "from irstd import methods; print('contrast' in methods.available(), methods.get('contrast').title)", installed
    )

    assert found.stdout == "True Learnt contrast (example)\n", found.stderr
    words = [sys.executable, "-m", "pytest", "tests/test_methods.py", "-k", "contrast", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(words, env=installed, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_gets_its_row_without_a_change_to_our_code(installed, tmp_path):
    folder = copy(tmp_path / "repo")
    row = {"options": {"side": 11}, "recipe": {"epochs": 2, "batch": 4, "size": 32, "optimiser": {"name": "adamw", "lr": 0.05}}, "budgets": {"quick": {}}}  # fmt: skip
    set_params(folder, merge(json.loads(json.dumps(TINY)), {"methods": ["contrast"], "method": {"contrast": row}}))
    env = installed | {"PYTHONPATH": os.pathsep.join((installed["PYTHONPATH"].split(os.pathsep)[0], str(folder)))}
    env["PATH"] = f"{os.path.dirname(sys.executable)}:{env['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro", "reports"], cwd=folder, env=env, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    report = (folder / "runs/site/synthetic.md").read_text()
    assert "Learnt contrast (example)" in report and "GGL-Net" not in report.split("## Published")[0]
    card = json.loads((folder / "runs/results/methods/contrast.json").read_text())
    assert card["parameters"] == 3
