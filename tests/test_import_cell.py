"""A cell trained in one checkout enters another: checked, recorded, scored there; whatever is odd is refused."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution

import pytest
import torch
import yaml
from packaging.requirements import Requirement
from safetensors.torch import load_file

from irstd.errors import InputError
from irstd.inference.half import halved, restored
from irstd.results import store
from pipelines.import_cell import main
from tests.conftest import ROOT
from tests.test_pipeline import TINY, copy, dvc, merge, set_params

CELL = ("synthetic", "ggl_net", "0")
SHORT = {
    "methods": ["ggl_net", "point_regression"],
    "method": {
        "ggl_net": {"budgets": {"quick": {"epochs": 2}}},
        "point_regression": {"budgets": {"quick": {"epochs": 2, "batch": 4, "size": 32, "jitter": 1.0}}},
    },
}
QUEUE = ("synthetic-point_regression-0", "synthetic-ggl_net-0")
BARE = ("torch", "lightning-fabric", "numpy", "scipy", "jaxtyping", "kornia", "tqdm")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def git(folder, *words):
    return subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *words], cwd=folder, check=True)


def import_cell(here, there, *cell):
    words = [sys.executable, "-m", "pipelines.import_cell", str(there), *(cell or CELL)]
    return subprocess.run(words, cwd=here, capture_output=True, text=True)


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """A checkout in which two cells were trained, the second with points that are off."""
    folder = copy(tmp_path_factory.mktemp("there"))
    for changes in (TINY, SHORT):
        set_params(folder, changes)
    git(folder, "commit", "-qam", "small")
    done = dvc(folder, "repro", "train@synthetic-ggl_net-0", "train@synthetic-point_regression-0")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def here(there, tmp_path_factory):
    """A clone of it, with the data and nothing trained."""
    folder = tmp_path_factory.mktemp("here") / "clone"
    git(there.parent, "clone", "-q", str(there), str(folder))
    shutil.copytree(there / "data", folder / "data")
    shutil.copytree(there / ".dvc/cache", folder / ".dvc/cache")
    return folder


CELL_FILES = "runs/train/synthetic/ggl_net/0"
HISTORY = f"{CELL_FILES}/history.csv"


def told(**changes):
    """Changes what a provenance tells."""
    return lambda content: json.dumps(json.loads(content) | changes).encode()


def asked(**changes):
    """Changes what params.yaml asks for."""
    return lambda content: yaml.safe_dump(merge(yaml.safe_load(content), changes), sort_keys=False).encode()


def better(content):
    """A history whose scores are too good for its weights."""
    header, *rows = (line.split(",") for line in content.decode().splitlines())
    score = header.index("score")
    for row in rows:
        row[score] = row[score] and "0.9"
    return "\n".join([*map(",".join, [header, *rows]), ""]).encode()


MISTAKES = {  # where, which file, how it is changed, what is said
    "damaged weights": ("there", f"{CELL_FILES}/best.safetensors", lambda b: b[: len(b) // 2], "best.safetensors is damaged"),
    "a bit of the weights": ("there", f"{CELL_FILES}/best.safetensors", lambda b: b[:-1] + bytes([b[-1] ^ 1]), "is not what provenance.json names"),
    "a shortened history": ("there", HISTORY, lambda b: b"\n".join(b.split(b"\n")[:2]) + b"\n", "has not each of 2 epochs"),
    "another's history": ("there", HISTORY, better, "copy weights and history of one run"),
    "no history": ("there", HISTORY, lambda _: b"a,b\n1,2\n", "is no history"),
    "changed code": ("here", "irstd/data/augment.py", lambda b: b + b"\nX = 1\n", "and irstd.data.augment differs here"),
    "another recipe": ("here", "params.yaml", asked(method={"ggl_net": {"budgets": {"quick": {"batch": 3}}}}), "was trained with recipe.batch 4, but 3 is asked for here"),
    "another share held out": ("here", "params.yaml", asked(dataset={"synthetic": {"validation": 0.4}}), "was trained with scenes.validation"),
    "a cell that is not asked for": ("here", "params.yaml", asked(seeds=[1]), "params.yaml trains no ggl_net on synthetic with seed 0"),
    "changes in no commit": ("there", f"{CELL_FILES}/provenance.json", told(commit="0123456789ab+"), "changes to 0123456789ab that are in no commit"),
    "other data": ("there", f"{CELL_FILES}/provenance.json", told(data_sha256="0"), "was trained with data_sha256 '0'"),
    "another epoch": ("there", f"{CELL_FILES}/provenance.json", told(best_epoch=7), "not of"),
    "a damaged provenance": ("there", f"{CELL_FILES}/provenance.json", lambda _: b"{", "provenance.json of synthetic-ggl_net-0 is damaged"),
}  # fmt: skip


def state(here):
    """What may not change: the record, the weights and the history."""
    paths = [here / "runs/results/imports.csv", *sorted((here / "runs").rglob("train/**/*.*"))]
    return {path: path.read_bytes() for path in paths if path.is_file()}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_is_odd_is_refused_before_anything_is_written(here, there, name, monkeypatch):
    place, path, change, sentence = MISTAKES[name]
    file = {"here": here, "there": there}[place] / path
    before, kept = state(here), file.read_bytes()
    file.write_bytes(change(kept))

    if name == "changed code":  # that of here, which another process has to load
        done = import_cell(here, there)
        said = done.stderr
        assert done.returncode == 1 and said.startswith("error: ") and "Traceback" not in said, said
    else:
        monkeypatch.chdir(here)
        with pytest.raises(InputError) as error:
            main(str(there), *CELL)
        said = str(error.value)

    file.write_bytes(kept)
    assert sentence in said
    assert before == state(here)


def test_it_is_checked_recorded_and_scored_here(here, there):
    before = dvc(here, "status", "train@synthetic-ggl_net-0")
    assert "ggl_net" in before.stdout

    done = import_cell(here, there)

    assert done.returncode == 0, done.stderr
    assert "dvc repro score@synthetic-ggl_net-0" in done.stdout
    made = json.loads((there / "runs/train/synthetic/ggl_net/0/provenance.json").read_text())
    record = store.read(here / "runs/results/imports.csv", "imports")
    told = record.set_index(["dataset", "method", "seed"]).loc[("synthetic", "ggl_net", 0)]
    assert all(told[key] == made[key] for key in ("commit", "hardware", "precision", "wall_s"))
    weights = (here / "runs/train/synthetic/ggl_net/0/best.safetensors").read_bytes()
    assert told["sha256"] == hashlib.sha256(weights).hexdigest()
    scored = dvc(here, "repro", "score@synthetic-ggl_net-0")
    assert scored.returncode == 0, scored.stderr
    assert "Running stage 'train" not in scored.stdout + scored.stderr
    assert (here / "runs/results/synthetic/ggl_net/0/metrics.json").exists()


def test_a_second_time_changes_nothing(here, there):
    record = here / "runs/results/imports.csv"
    before = record.read_bytes()

    assert import_cell(here, there).returncode == 0
    assert before == record.read_bytes()


def test_the_points_of_the_training_judge_its_held_out_scenes(here, there):
    told = (there / "runs/train/synthetic/point_regression/0/history.csv").read_text()

    done = import_cell(here, there, "synthetic", "point_regression", "0")

    assert done.returncode == 0, done.stderr
    assert (here / "runs/train/synthetic/point_regression/0/history.csv").read_text() == told


def test_the_command_is_documented():
    assert "python -m pipelines.import_cell" in (ROOT / "docs/guide.md").read_text()


def closure(names):
    """Installed packages by name: these and all that they need."""
    todo, found = list(names), {}
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:  # of another platform
            continue
        needs = [Requirement(text) for text in found[name].requires or []]
        todo += [one.name for one in needs if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A folder with those packages alone, to be the only one that Python searches."""
    site = tmp_path_factory.mktemp("site")
    for package in closure(BARE).values():
        for top in {file.parts[0] for file in package.files or []} - {"..", "__pycache__"}:
            if not (site / top).is_symlink():
                (site / top).symlink_to(package.locate_file(top))
    return site


def stage(folder, *words, bare=None):
    env = os.environ | {"PYTHONPATH": f"{bare}" if bare else ""}
    command = [sys.executable, *(["-S"] if bare else []), "-m", *map(str, words)]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


def states(out):
    return {run["name"]: run["state"] for run in json.loads((out / "campaign.json").read_text())["runs"]}


def test_a_campaign_rehearsed(there, here, bare, tmp_path):
    """On a machine with few packages and minutes the weights are those of a plain training, in half precision."""
    away, pack, out, back = (tmp_path / name for name in ("away", "pack", "out", "back"))
    done = stage(there, "pipelines.pack_campaign", pack, *QUEUE)
    assert done.returncode == 0, done.stderr
    for room in ("irstd", "pipelines"):
        shutil.copytree(there / room, away / room)

    # The first call ends before torch is loaded, so that a run stops after an epoch, and the next is not begun.
    first = stage(away, "pipelines.campaign", pack, out, 1, 1, bare=bare)
    assert first.returncode == 0, first.stderr
    assert states(out) == {QUEUE[0]: "under way", QUEUE[1]: "waits"}, (first.stdout, first.stderr)
    assert "TFLOP/s in bf16" in first.stdout and re.search(r"images/s of 32 px, [\d.]+% of the device's", first.stdout)
    shutil.rmtree(out)

    second = stage(away, "pipelines.campaign", pack, out, 500, 2, bare=bare)
    assert second.returncode == 0, second.stderr
    assert states(out) == dict.fromkeys(QUEUE, "done")
    carried = list(out.iterdir())
    assert len(carried) <= 8 and all(file.stat().st_size <= 16 * 2**20 for file in carried)

    whole = stage(there, "pipelines.unpack_campaign", out, back)
    assert whole.returncode == 0 and whole.stdout.count("pipelines.import_cell") == 2, whole.stderr
    for method in ("ggl_net", "point_regression"):
        plain, got = (root / "runs/train/synthetic" / method / "0" for root in (there, back))
        weights = restored(halved(load_file(plain / "best.safetensors"), method))
        carried = load_file(got / "best.safetensors")
        assert weights.keys() == carried.keys() and all(torch.equal(weights[k], carried[k]) for k in weights)
        assert (plain / "history.csv").read_bytes() == (got / "history.csv").read_bytes()
    done = import_cell(here, back, "synthetic", "point_regression", "0")
    assert done.returncode == 0, done.stderr

    part = out / "part-0"
    part.write_bytes(part.read_bytes()[:-1])
    refused = stage(there, "pipelines.unpack_campaign", out, back)
    assert refused.returncode == 1 and "do not hold" in refused.stderr
