"""The pipeline: what a mistake prints, and a kill that changes nothing."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml

from irstd.config import params
from irstd.errors import InputError
from pipelines import run
from tests.conftest import ROOT

TINY = {
    "datasets": ["synthetic"],
    "methods": ["ggl_net"],
    "baselines": ["top_hat"],
    "studies": {name: {"datasets": [], "methods": []} for name in ("labelling", "losses", "detection")},
    "publish": {"datasets": []},
    "orientation": {"datasets": []},
    "dataset": {"synthetic": {"source": {"scenes": {"seed": 7, "train": 12, "test": 4, "size": 64, "targets": [1, 2], "scr": [8.0, 9.0], "sigma_px": [1.0, 2.0]}}}},
    "method": {"ggl_net": {"options": {"width": 8}, "budgets": {"quick": {"epochs": 40, "batch": 4, "size": 32}}}},
    "train": {"checkpoint_s": 0},
    "cost": {"sizes": [64], "batches": [1], "repeats": 1},
}  # fmt: skip


def merge(values, changes):
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict) and key != "scenes":
            merge(values[key], value)
        else:
            values[key] = value
    return values


def copy(folder):
    """A copy of the repository as it would be cloned, with what is not committed yet."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], cwd=folder, check=True)
    return folder


def environment(**more):
    """Of a command that a test calls: its stages find this Python, and no mirror of datasets."""
    env = os.environ | {"PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}", "COLUMNS": "200"}
    env.pop("IRSTD_MIRROR", None)
    return env | more


def dvc(folder, *words, **more):
    return subprocess.run(
        [sys.executable, "-m", "dvc", *words], cwd=folder, capture_output=True, text=True, env=environment(), **more
    )


def set_params(folder, changes):
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(merge(yaml.safe_load(path.read_text()), changes), sort_keys=False))
    try:
        (folder / "cells.yaml").write_text(params.load(path).cells_text())
    except InputError:
        pass  # what is wrong is what the test is about


class TestMistakes:
    """Each a sentence and a non-zero exit, and nothing lost."""

    @pytest.mark.parametrize(
        ("words", "changes", "sentence"),
        [
            (["train", "synthetic", "ggl_net", "0"], {"train": {"devise": "cpu"}}, "error: params.yaml: train: unknown key 'devise'; did you mean 'device'?"),
            (["train", "nuaa-sirst", "ggl_net", "0"], {"train": {"device": "cuda:9"}}, "error: params.yaml: train.device: 'cuda:9' is asked for, but torch sees "),
            (["download", "nuaa"], {}, "error: params.yaml: `dataset` has no entry 'nuaa'; did you mean 'nuaa-sirst'?"),
            (["method_card", "ggl"], {}, "error: params.yaml: `method` has no entry 'ggl'; did you mean 'ggl_net'?"),
            (["method_card", "odd"], {"method": {"odd": {"method": "gglnet"}}}, "error: there is no method 'gglnet'; did you mean 'ggl_net'?"),
            (["download", "moon"], {"dataset": {"moon": {"source": "catalogue", "split": "x", "validation": 0.1, "budget": "full"}}}, "error: there is no dataset 'moon' in the catalogue; known are"),
            (["download", "mine"], {"dataset": {"mine": {"source": {"folder": "no/where"}, "split": "x", "validation": 0.1, "budget": "full"}}}, "error: params.yaml: dataset.mine.source.folder: there is no folder 'no/where'; correct the path"),
        ],
    )  # fmt: skip
    def test_a_stage_says_it_in_one_sentence(self, tmp_path, words, changes, sentence):
        folder = copy(tmp_path / "repo")
        set_params(folder, changes)

        done = subprocess.run(
            [sys.executable, "-m", f"pipelines.{words[0]}", *words[1:]], cwd=folder, capture_output=True, text=True
        )

        assert done.returncode == 1
        assert done.stderr.startswith(sentence) and "Traceback" not in done.stderr

    def test_it_is_said_before_dvc_clears_what_was_computed(self, tmp_path):
        folder = copy(tmp_path / "repo")
        result = folder / "runs/results/synthetic/ggl_net/0/history.csv"
        result.parent.mkdir(parents=True)
        result.write_text("computed")
        set_params(folder, {"datasets": ["sinthetic"], "method": {"ggl_net": {"budgets": {"quick": {"epoch": 3}}}}})

        done = dvc(folder, "repro")

        assert 0 != done.returncode
        assert (
            "error: params.yaml: method.ggl_net.budgets.quick: unknown key 'epoch'; did you mean 'epochs'?"
            in done.stderr
        )
        assert result.read_text() == "computed"

    def test_a_missing_archive_names_what_to_fetch(self, tmp_path):
        folder = copy(tmp_path / "repo")
        env = os.environ | {
            "IRSTD_MIRROR": str(tmp_path),
            "http_proxy": "http://127.0.0.1:9",
            "https_proxy": "http://127.0.0.1:9",
        }
        set_params(
            folder,
            {
                "dataset": {
                    "sirst-uavb": {"source": "catalogue", "split": "published", "validation": 0.1, "budget": "full"}
                }
            },
        )

        done = subprocess.run(
            [sys.executable, "-m", "pipelines.download", "sirst-uavb"],
            cwd=folder,
            capture_output=True,
            text=True,
            env=env,
        )

        assert done.returncode == 1
        assert (
            "error: sirst-uavb could not be had (the mirror: SIRST-UAVB.zip is not in the folder that IRSTD_MIRROR names;"
            in done.stderr
        )
        assert "put it at data/archives/SIRST-UAVB.zip" in done.stderr and "Traceback" not in done.stderr

    def test_a_failure_of_the_disk_is_a_sentence(self, capsys):
        def main():
            raise OSError(28, "No space left on device", "runs/x.npz")

        words, sys.argv = sys.argv, ["stage"]
        with pytest.raises(SystemExit) as stopped:
            run(main)
        sys.argv = words

        assert (
            str(stopped.value)
            == "error: x.npz: No space left on device; fix that and run `dvc repro` again, finished work is kept"
        )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_sigkill_then_dvc_repro_ends_with_the_same_weights_and_nothing_runs_twice(tmp_path):
    whole, killed = copy(tmp_path / "whole"), copy(tmp_path / "killed")
    for folder in (whole, killed):
        set_params(folder, TINY)
    target = "train@synthetic-ggl_net-0"
    assert dvc(whole, "repro", target).returncode == 0

    running = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", target],
        cwd=killed,
        env=environment(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    checkpoints = killed / "runs/checkpoints"
    while not list(checkpoints.rglob("*.pt")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert list(checkpoints.rglob("*.pt")), "killed too late to show anything"

    again = dvc(killed, "repro", target)
    assert again.returncode == 0, again.stderr
    weights = "runs/train/synthetic/ggl_net/0"
    made = [f"{weights}/{name}" for name in ("best.safetensors", "history.csv", "watched.csv")]
    for name in made:
        assert (whole / name).read_bytes() == (killed / name).read_bytes()

    start = time.monotonic()
    second = dvc(killed, "repro", target)
    assert "Running stage" not in second.stdout + second.stderr and time.monotonic() - start < 10

    # With the weights in the cache, the next stage drops the checkpoint.
    assert list(checkpoints.rglob("*.pt"))
    assert 0 == dvc(killed, "repro", "-s", "predict@synthetic-ggl_net-0").returncode
    assert not list(checkpoints.rglob("*.pt"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_experiment_changes_a_variant_and_a_baseline_and_is_listed(tmp_path):
    folder = copy(tmp_path / "repo")
    set_params(folder, TINY)
    quick = {"epochs": 4, "batch": 4, "size": 32}
    rows = {"ggl_net": {"budgets": {"quick": quick}}, "ggl_net-narrow": {"of": "ggl_net", "options": {"width": 8}}}
    set_params(folder, {"methods": ["ggl_net", "ggl_net-narrow"], "method": rows})
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qam", "tiny"], cwd=folder, check=True
    )
    changes = (
        "method.ggl_net.budgets.quick.epochs=2",
        "method.ggl_net-narrow.options.width=4",
        "evaluate.match_px=5.0",
    )
    cells = ("score@synthetic-ggl_net-narrow-0", "score@synthetic-top_hat-0")

    done = dvc(folder, "exp", "run", *cells, "-n", "longer", *(word for one in changes for word in ("-S", one)))

    assert done.returncode == 0, done.stdout + done.stderr
    made = json.loads((folder / "runs/results/synthetic/ggl_net-narrow/0/provenance.json").read_text())
    assert (made["recipe"]["epochs"], made["options"]["width"]) == (2, 4)
    for row in ("ggl_net-narrow", "top_hat"):
        assert "5" in json.loads((folder / f"runs/results/synthetic/{row}/0/metrics.json").read_text())["convention"]
    listed = dvc(folder, "exp", "show", "--csv", "--only-changed")
    assert "longer" in listed.stdout and "runs/results/synthetic/top_hat/0/metrics.json:iou" in listed.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_folder_of_ones_own_goes_through_the_whole_pipeline(tmp_path):
    folder = copy(tmp_path / "repo")
    set_params(folder, TINY)
    assert dvc(folder, "repro", "download@synthetic").returncode == 0
    own = tmp_path / "own"
    for kind in ("images", "masks"):
        shutil.copytree(folder / "data/raw/synthetic" / kind, own / kind)
    entry = {"source": {"folder": str(own)}, "split": "lists", "validation": 0.2, "budget": "quick"}
    set_params(
        folder,
        {
            "datasets": ["own"],
            "public": [],
            "dataset": {"own": entry},
            "method": {"ggl_net": {"budgets": {"quick": {"epochs": 2}}}},
        },
    )

    done = dvc(folder, "repro")

    assert done.returncode == 0, done.stderr
    metrics = json.loads((folder / "runs/results/own/ggl_net/0/metrics.json").read_text())
    assert metrics["images"] > 0 and "irstd:" in metrics["convention"]
    assert (folder / "runs/site/html/own.html").stat().st_size > 100_000
    assert "quick, 2/400 epochs, " in (folder / "runs/site/own.md").read_text()

    pages = {path: path.stat().st_mtime_ns for path in (folder / "runs/site").rglob("*") if path.is_file()}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    again = dvc(folder, "repro")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)

    assert again.returncode == 0 and "Running stage" not in again.stdout
    assert pages == {path: path.stat().st_mtime_ns for path in (folder / "runs/site").rglob("*") if path.is_file()}
    # Of the processor, since what runs beside the tests takes its share of the clock.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 10
