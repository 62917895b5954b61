"""A cell trained in one checkout enters another: checked, recorded, scored there; whatever is odd is refused."""

import json
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.conftest import ROOT
from tests.test_pipeline import TINY, copy, dvc, merge, set_params

CELL = ("synthetic", "ggl_net", "0")
SHORT = {"dataset": {"synthetic": {"portable": False}}, "method": {"ggl_net": {"budgets": {"quick": {"epochs": 2}}}}}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def git(folder, *words):
    return subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *words], cwd=folder, check=True)


def take_in(here, there, *cell):
    words = [sys.executable, "-m", "pipelines.take_in", str(there), *(cell or CELL)]
    return subprocess.run(words, cwd=here, capture_output=True, text=True)


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """A checkout in which one cell was trained."""
    folder = copy(tmp_path_factory.mktemp("there"))
    for changes in (TINY, SHORT):
        set_params(folder, changes)
    git(folder, "commit", "-qam", "small")
    done = dvc(folder, "repro", "train@synthetic-ggl_net-0")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def here(there, tmp_path_factory):
    """A clone of it, with the data and nothing trained."""
    folder = tmp_path_factory.mktemp("here") / "clone"
    git(there.parent, "clone", "-q", str(there), str(folder))
    shutil.copytree(there / "data", folder / "data")
    shutil.copytree(there / ".dvc/cache", folder / ".dvc/cache")
    shutil.rmtree(folder / "reports/results/synthetic")
    return folder


def test_it_is_checked_recorded_and_scored_here(here, there):
    before = dvc(here, "status", "train@synthetic-ggl_net-0")
    assert "ggl_net" in before.stdout

    done = take_in(here, there)

    assert done.returncode == 0, done.stderr
    assert "dvc repro evaluate@synthetic-ggl_net-0 conventions@synthetic-ggl_net-0" in done.stdout
    made = json.loads((there / "runs/train/synthetic/ggl_net/0/provenance.json").read_text())
    header, row = (here / "reports/results/imports.csv").read_text().splitlines()[-2:]
    told = dict(zip(header.split(","), row.replace('"', "").rsplit(",", 3), strict=False))
    assert told["dataset"].startswith("synthetic") and made["commit"] in row and made["precision"] in row
    scored = dvc(here, "repro", "evaluate@synthetic-ggl_net-0")
    assert scored.returncode == 0, scored.stderr
    assert "Running stage 'train" not in scored.stdout + scored.stderr
    assert (here / "reports/results/synthetic/ggl_net/0/metrics.json").exists()


def test_a_second_time_changes_nothing(here, there):
    record = here / "reports/results/imports.csv"
    before = record.read_bytes()

    assert take_in(here, there).returncode == 0
    assert before == record.read_bytes()


def edited(path, change):
    before = path.read_bytes()
    path.write_bytes(change(before))
    return path, before


MISTAKES = {
    "a cell that is not there": (None, None, "is missing; name the checkout where `dvc repro train@synthetic-ggl_net-1` ran"),
    "damaged weights": ("there", "runs/train/synthetic/ggl_net/0/best.safetensors", "best.safetensors is damaged"),
    "a shortened history": ("there", "reports/results/synthetic/ggl_net/0/history.csv", "has not each of 2 epochs"),
    "changed code": ("here", "irstd/data/augment.py", "and irstd/data/augment.py has changed since"),
    "another recipe": ("here", "params.yaml", "was trained with recipe.batch 4, but 3 is asked for here"),
    "no commit": ("there", "runs/train/synthetic/ggl_net/0/provenance.json", "changes to"),
}  # fmt: skip
CHANGES = {
    "damaged weights": lambda b: b[: len(b) // 2],
    "a shortened history": lambda b: b"\n".join(b.split(b"\n")[:2]) + b"\n",
    "changed code": lambda b: b + b"\n",
    "another recipe": lambda b: yaml.safe_dump(
        merge(yaml.safe_load(b), {"method": {"ggl_net": {"budgets": {"quick": {"batch": 3}}}}}), sort_keys=False
    ).encode(),
    "no commit": lambda b: json.dumps(json.loads(b) | {"commit": json.loads(b)["commit"] + "+"}).encode(),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_is_odd_is_refused_before_anything_is_written(here, there, name):
    place, path, sentence = MISTAKES[name]
    record = here / "reports/results/imports.csv"
    recorded = record.read_bytes() if record.exists() else None
    kept = edited({"here": here, "there": there}[place] / path, CHANGES[name]) if place else None

    done = take_in(here, there, *(() if place else ("synthetic", "ggl_net", "1")))

    if kept:
        kept[0].write_bytes(kept[1])
    assert done.returncode == 1 and done.stderr.startswith("error: ") and sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert recorded == (record.read_bytes() if record.exists() else None)


def test_the_command_is_documented():
    assert "python -m pipelines.take_in" in (ROOT / "README.md").read_text()
