"""`irstd adopt` as it is called: a method that keeps the contract, authors' weights, rows in the tables."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from irstd.apps import cli, trying
from irstd.config import params
from irstd.methods import _adopted
from irstd.methods._adopted import Foreign, Options
from tests import standins
from tests.test_pipeline import TINY, copy, dvc, environment, set_params


@pytest.fixture
def clones(tmp_path):
    return standins.clones(tmp_path)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A copy of this project beside the clones, where commands are called."""
    folder = standins.checkout(tmp_path / "checkout")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.slow
def test_authors_weights_predict_and_are_exported_by_the_commands(clones, tmp_path, checkout, rng):
    foreign, _ = trying.explore(Foreign(str(clones["soft"]), "model/seg.py", "TwoClasses"), None, None, None)
    torch.save(_adopted.Adopted(foreign, Options()).network.state_dict(), tmp_path / "best.pth")
    Image.fromarray(rng.integers(0, 255, (40, 48), np.uint8)).save(tmp_path / "a.png")

    def call(*words):
        done = subprocess.run(
            [sys.executable, "-m", "irstd", *words], capture_output=True, text=True, env=environment()
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    call("adopt", "../soft:TwoClasses", "--name", "two", "--weights", "../best.pth", "--trained-on", "nuaa-sirst")
    call("predict", "../a.png", "--weights", "nuaa-sirst/two", "--out", "../found")
    call("export", "nuaa-sirst/two", "--size", "32", "32", "--out", "../two.onnx")
    call("predict", "../a.png", "--weights", "../two.onnx", "--out", "../again")

    maps = [np.asarray(Image.open(tmp_path / name / "scores/a.png"), np.float64) for name in ("found", "again")]
    assert maps[0].shape == (40, 48) and maps[0].std() > 0
    assert np.abs(maps[0] - maps[1])[:32, :32].max() <= 0.02 * 65535  # tiles of 32 px see other borders


def test_the_command_makes_a_method_that_keeps_the_contract(clones, checkout, tmp_path, capsys):
    before = {p: p.read_bytes() for folder in clones.values() for p in folder.rglob("*") if p.is_file()}

    cli.main(
        ["adopt", "../deep:DeepNet", "--name", "deep_net", "--call", "[false]",
         "--arguments", json.dumps({"in_channels": 1, "width": 16}), "--mean", "0.3", "--deviation", "0.5"]
    )  # fmt: skip

    said = capsys.readouterr().out
    assert "sides a multiple of 1 px" in said and "make quickstart" in said
    text = (checkout / "irstd/methods/deep_net.py").read_text()
    assert 'root="../deep"' in text and str(tmp_path) not in text
    assert params.load(checkout / "params.yaml").methods[-1] == "deep_net"
    assert "options: { mean: 0.3, deviation: 0.5 }" in (checkout / "params.yaml").read_text()
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "irstd/methods/deep_net.py"], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout
    tests = ["tests/test_methods.py", "-k", "deep_net", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run([sys.executable, "-m", "pytest", *tests], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("...... "), done.stdout
    assert before == {p: p.read_bytes() for folder in clones.values() for p in folder.rglob("*") if p.is_file()}
    with pytest.raises(SystemExit, match=r"params\.yaml has a row 'deep_net' already"):
        cli.main(["adopt", "../deep:DeepNet", "--name", "deep_net"])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_three_networks_of_other_shapes_are_trained_scored_and_in_the_table(clones, tmp_path):
    checkout = copy(tmp_path / "checkout")
    before = {p: p.read_bytes() for folder in clones.values() for p in folder.rglob("*") if p.is_file()}
    networks = {
        "plain": ["PlainUNet"], "deep": ["DeepNet", "--arguments", "[1, 8]", "--call", "[false]"], "soft": ["TwoClasses"],
    }  # fmt: skip

    def irstd(*words):
        done = subprocess.run([sys.executable, "-m", "irstd", *words], cwd=checkout, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    for name, (its, *more) in networks.items():
        irstd("adopt", f"../{name}:{its}", "--name", f"{name}_net", *more)
    names = [f"{name}_net" for name in networks]
    git = ["git", "-c", "core.quotepath=false", "status", "--porcelain"]
    changed = subprocess.run(git, cwd=checkout, capture_output=True, text=True, check=True).stdout.split("\n")
    written = [f"?? irstd/methods/{name}.py" for name in sorted(names)]
    assert [line for line in changed if line] == [" M cells.yaml", " M params.yaml", *written]
    set_params(checkout, TINY | {"methods": names, "baselines": [], "method": {}})
    done = dvc(checkout, "repro", *(f"{stage}@{cell}" for stage, ends in (("score", "-0"), ("method-card", ""))
                                    for cell in (f"synthetic-{name}{ends}" if ends else name for name in names)))  # fmt: skip

    assert done.returncode == 0, done.stderr
    table = irstd("table", "synthetic")
    for name, (its, *_) in networks.items():
        assert table.count(f"| {its} ") == 1, table
        metrics = json.loads((checkout / f"runs/results/synthetic/{name}_net/0/metrics.json").read_text())
        assert metrics["images"] == 4 and 0 <= metrics["iou"] <= 1
    assert before == {p: p.read_bytes() for folder in clones.values() for p in folder.rglob("*") if p.is_file()}
