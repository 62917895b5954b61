"""A cell beside DVC: what it makes, where it stands, what its checkout lends, and the GPU that it takes."""

import os

import pytest
import yaml

from pipelines import alone, cell, checkout, held


def test_a_cell_leaves_what_dvc_yaml_says(root):
    """`pipelines.cell.MADE` and the outputs of the three stages are one list."""
    stages = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    for kind in cell.STAGES:
        outs = [next(iter(o)) if isinstance(o, dict) else o for o in [*stages[kind]["do"]["outs"], *stages[kind]["do"].get("metrics", [])]]  # fmt: skip
        folders = {str(p) for p in cell.folders(kind, {"dataset": "${item.dataset}", "method": "${item.method}", "seed": "${item.seed}"})}  # fmt: skip
        assert {out if out in folders else os.path.dirname(out) for out in outs} == folders


def test_a_lock_is_seen_by_others(tmp_path):
    path = tmp_path / "lock"

    assert not held(path)
    with alone(path, "waits"):
        assert held(path)
    assert not held(path)


def test_a_cell_whose_process_was_killed_has_stopped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cell.note("one", state="runs", host="a")

    assert cell.stands("one")["state"] == "stopped"
    with alone(cell.lock_file("one"), "runs this cell"):
        assert cell.stands("one")["state"] == "runs"


def test_a_checkout_lends_and_gives_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = {"dataset": "d", "method": "m", "seed": 0}
    (trained,), (predicted,) = (cell.folders(kind, one) for kind in ("train", "predict"))
    trained.mkdir(parents=True)
    (trained / "weights").write_text("here")
    place = tmp_path / "runs/cells/checkouts/abc"

    checkout.lend(place, one, ["train", "predict"])
    assert (place / trained / "weights").read_text() == "here"
    (place / predicted).mkdir(parents=True)
    (place / predicted / "scores").write_text("made there")
    checkout.take(place, one, ["train", "predict"])

    assert (trained / "weights").read_text() == "here"  # what was lent is still here, and no link
    assert not trained.is_symlink()
    assert (predicted / "scores").read_text() == "made there"


def test_each_cell_takes_a_gpu_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv(cell.TAKE_GPU, "1")
    taken = []

    for _ in range(2):  # given back, they can be taken again
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
        with cell.own_gpu():
            taken.append(os.environ["CUDA_VISIBLE_DEVICES"])
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
            with cell.own_gpu():
                taken.append(os.environ["CUDA_VISIBLE_DEVICES"])

    assert taken == ["3", "5", "3", "5"]


@pytest.mark.parametrize("given", ["", "-1"])
def test_no_gpu_is_taken_where_none_may_be_seen(monkeypatch, given):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)

    assert cell.gpus() == []
