"""The light core: reading, scoring and listing need no torch, no OpenCV, no DVC and no matplotlib."""

import json
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import time
from dataclasses import replace

import numpy as np
import pytest
from packaging.metadata import Metadata
from PIL import Image

import irstd
from irstd import methods
from irstd.apps import listing
from irstd.errors import InputError
from tests.conftest import ROOT

HEAVY = (
    "torch", "cv2", "dvc", "papermill", "matplotlib", "seaborn", "lightning_fabric", "kornia", "safetensors", "nbconvert",
    "psutil", "ipywidgets", "skimage", "nbformat",
)  # fmt: skip
WITHOUT = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {HEAVY}:
            raise ModuleNotFoundError(f"no module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from irstd.apps.cli import main
main()
"""


def light(*words, cwd):
    """What the command line prints where nothing heavy is installed."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *map(str, words)], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folders(tmp_path):
    """Truth and predictions of six scenes: a target of 3 × 3 px each, found everywhere, and one false region."""
    for folder in ("truth", "pred"):
        (tmp_path / folder).mkdir()
    for number in range(6):
        mask = np.zeros((64, 64), np.uint8)
        mask[10:13, 20:23] = 255
        Image.fromarray(mask).save(tmp_path / f"truth/{number}.png")
        mask[40:42, 40:42] = 255 * (number == 0)
        Image.fromarray(mask).save(tmp_path / f"pred/{number}.png")
    return tmp_path


def test_predictions_are_scored_the_same_with_and_without_the_heavy_libraries(folders):
    light("score", "pred", "--truth", "truth", "--json", "light.json", cwd=folders)
    words = ["score", "pred", "--truth", "truth", "--json", "all.json"]
    subprocess.run([sys.executable, "-m", "irstd", *words], cwd=folders, check=True, capture_output=True)

    scores = json.loads((folders / "light.json").read_text())
    assert scores == json.loads((folders / "all.json").read_text())
    assert scores["irstd"]["iou"] == pytest.approx(54 / 58)
    assert scores["irstd"]["fa_per_million"] == pytest.approx(4e6 / (6 * 64 * 64))


def test_truth_is_converted_and_methods_and_datasets_are_listed(folders):
    light("convert", "truth", "points.csv", "--to", "points", cwd=folders)

    assert (folders / "points.csv").read_text().splitlines()[1].startswith("0,11")
    assert "8,988,093" in light("methods", cwd=folders)
    assert "NUAA-SIRST  (nuaa-sirst)" in light("datasets", cwd=folders)


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (["predict", "pred"], "predict"),
        (["export", "nuaa-sirst/point_regression", "--out", "net.onnx"], "train"),
        (["diff", "HEAD"], "pipeline"),
    ],
)
def test_what_brings_a_library_that_is_not_there_is_said(folders, words, extra):
    done = subprocess.run([sys.executable, "-c", WITHOUT, *words], cwd=folders, capture_output=True, text=True)

    assert done.returncode == 1
    assert f"pip install 'irstd-workbench[{extra}]'" in done.stderr and "Traceback" not in done.stderr


def test_networks_to_adopt_are_listed_without_torch(folders):
    assert "MSHNet" in light("adopt", cwd=folders)


def test_help_loads_nothing_that_is_slow():
    code = "import sys, irstd.apps.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: pass\n"
    slow = ("numpy", "pandas", "scipy", "torch", "cv2", "PIL", "jaxtyping", "pydantic")
    found = f"{code}print([m for m in {slow} if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", found], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "least"),
    [(["-c", "import irstd"], 0.3), (["-m", "irstd", "--help"], 0.5), (["-m", "irstd", "methods"], 3)],
    ids=["import", "help", "methods"],
)
def test_it_answers_at_once(words, least):
    """Seconds of the processor, which other work does not lengthen as it does a clock's; the best of three."""

    def took():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(took() for _ in range(3)) < least


@pytest.mark.parametrize("row", listing.read(), ids=lambda row: row["name"])
def test_the_table_of_sizes_is_what_the_code_has(row):
    now = listing.counted(row["name"], f"irstd.methods.{row['name']}")

    if now["parameters"] == listing.MISSING:
        now |= {"parameters": row["parameters"], "gmac_256": row["gmac_256"]}
    assert row == now, "run `python -m irstd.apps.listing`"


def test_the_table_of_sizes_has_every_method_of_ours():
    ours = [name for name, module in listing.modules().items() if module.startswith("irstd.methods.")]

    assert [row["name"] for row in listing.read()] == ours


def test_a_method_whose_code_changed_is_counted_anew(monkeypatch):
    rows = [row | {"code": "of before", "parameters": "1"} for row in listing.read() if row["name"] == "top_hat"]
    monkeypatch.setattr(listing, "read", lambda: rows)
    monkeypatch.setattr(listing, "modules", lambda: {"top_hat": "irstd.methods.top_hat"})

    assert listing.sizes()[0]["parameters"] == "0"


def test_an_adopted_network_whose_clone_is_gone_is_listed(monkeypatch):
    def build(_options):
        raise InputError("../clone/net.py is not there; put the clone back")

    gone = replace(methods.get("top_hat"), build=build)
    monkeypatch.setattr(methods, "get", lambda _name: gone)

    assert listing.counted("top_hat", "irstd.methods.top_hat")["parameters"] == "cannot be built here"


@pytest.mark.slow
def test_a_wheel_in_an_environment_of_its_own_scores_within_two_minutes_and_400_mb(folders):
    """Installs from the package index, as a stranger would."""
    clone = folders / "source"
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{ROOT}", clone], check=True)
    for kind in ("wheel", "sdist"):
        code = f"from setuptools import build_meta as b; b.build_{kind}('../dist')"
        subprocess.run([sys.executable, "-c", code], cwd=clone, check=True, capture_output=True)
    wheel = next((folders / "dist").glob("*.whl"))
    assert next((folders / "dist").glob("*.tar.gz")).stat().st_size < 3e6

    alone = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}  # what lies here is not installed there
    start = time.monotonic()
    subprocess.run([sys.executable, "-m", "venv", folders / "env"], check=True)
    pip = [folders / "env/bin/pip", "install", "-q", "-c", ROOT / "constraints.txt", wheel]
    done = subprocess.run(pip, env=alone, capture_output=True, text=True, check=False)
    if done.returncode and "connection" in done.stderr.lower():
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    words = ["score", "pred", "--truth", "truth"]
    done = subprocess.run([folders / "env/bin/irstd", *words], cwd=folders, env=alone, check=True, capture_output=True)
    took = time.monotonic() - start

    size = sum(p.stat().st_size for p in (folders / "env").rglob("*") if p.is_file() and not p.is_symlink())
    assert not list((folders / "env/lib").glob("python3*/site-packages/torch*"))
    assert size < 400e6, f"{size / 1e6:.0f} MB"
    assert took < 120, f"{took:.0f} s"

    # What the index shows is right, and the source archive installs as the wheel does.
    source = next((folders / "dist").glob("*.tar.gz"))
    with tarfile.open(source) as held:
        told = held.extractfile(held.getmember(f"{source.name.removesuffix('.tar.gz')}/PKG-INFO")).read()
    card = Metadata.from_email(told, validate=True)
    assert (card.name, str(card.version)) == ("irstd-workbench", irstd.__version__) and "train" in card.provides_extra
    pip = [folders / "env/bin/pip", "install", "-q", "--force-reinstall", "--no-deps", source]
    subprocess.run(pip, env=alone, check=True, capture_output=True)
    again = subprocess.run([folders / "env/bin/irstd", *words], cwd=folders, env=alone, check=True, capture_output=True)
    assert again.stdout == done.stdout and b"IoU" in again.stdout
    shutil.rmtree(folders / "env")
