"""What a newcomer met: each fault that no other test holds.

Of the others: curves of saturated networks are in test_scale.py, integer image_ids in test_cases.py, a folder of answers
within that of pictures in test_cli.py, titles of pages in test_site.py, links of notebooks in test_lab.py, parameters of
notebooks in test_notebooks.py, costs measured beside other work in test_cost.py; that every page is linked and every
picture told is in test_site.py and test_page.py.
"""

import json
import subprocess
import sys

import pytest
import yaml

from irstd.apps import scaffold, scoring
from tests.conftest import ROOT
from tests.test_pipeline import copy

ADVICE = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "Makefile",
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("pipelines/*.py"),
]


def test_nobody_is_advised_to_take_results_back_from_git():
    """After it the next `dvc repro` trained again what the quick start had trained."""
    assert [path.name for path in ADVICE if "git checkout dvc.lock" in path.read_text()] == []


@pytest.mark.slow
def test_what_a_new_method_would_run_can_be_asked_before_anything_has_run(tmp_path):
    folder = copy(tmp_path)
    scaffold.new_method("mine", folder)
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "status", "--with-deps", "score@synthetic-mine-0"],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    for stage in ("prepare@synthetic", "train@synthetic-mine-0", "predict@synthetic-mine-0", "score@synthetic-mine-0"):
        assert f"{stage}:" in done.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "normal"),
    [
        ("score --skip missing PRED --truth T", "score --skip missing PRED --truth T"),
        ("score --skip missing size PRED", "score --skip missing,size PRED"),
        ("score --stretch PRED --skip nan,range", "score --stretch range PRED --skip nan,range"),
    ],
)
def test_an_option_does_not_swallow_the_predictions(words, normal):
    assert " ".join(scoring.normal(words.split())) == normal


def test_no_notebook_names_one_dataset_in_what_it_says():
    names = [name for name in yaml.safe_load((ROOT / "params.yaml").read_text())["dataset"] if name != "synthetic"]
    said = {
        (path.name, name)
        for path in ROOT.glob("notebooks/*.ipynb")
        if path.name not in ("00_start.ipynb", "13_your_method.ipynb")  # which give examples
        for cell in json.loads(path.read_text())["cells"]
        for name in names
        if f"@{name}" in "".join(cell["source"])
    }
    assert said == set()
