"""One training on two devices: what one device learns, but for rounding; killed, resumed, and refused where it must be."""

import json
import os
import subprocess
import sys

import pytest
import torch

from irstd.errors import InputError
from irstd.training import ranks
from tests.conftest import ROOT
from tests.test_pipeline import TINY, copy, merge, set_params

METHODS = ("ggl_net", "gaussian_pinwheel", "point_regression")


def share(name, prepared, out, *more, ranks=2):
    """The script of `tests.sharing`, alone or by torchrun."""
    out.mkdir(exist_ok=True)
    words = ["tests.sharing", name, str(prepared.folder), str(out), *more]
    by = [] if ranks == 1 else ["torch.distributed.run", f"--nproc-per-node={ranks}", "--standalone", "-m"]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-m", *by, *words], cwd=ROOT, env=env, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", METHODS)
def test_two_ranks_learn_what_one_learns(tmp_path, prepared, name):
    alone = share(name, prepared, tmp_path / "one", ranks=1)
    killed = share(name, prepared, tmp_path / "two", "1")
    resumed = share(name, prepared, tmp_path / "two")

    assert alone.returncode == resumed.returncode == 0, alone.stderr + resumed.stderr
    assert killed.returncode != 0
    one, two = (torch.load(tmp_path / place / "fitted.pt", weights_only=True) for place in ("one", "two"))
    for kind in ("best", "last"):
        assert list(one[kind]) == list(two[kind])
        for key, value in one[kind].items():
            torch.testing.assert_close(two[kind][key], value, rtol=1e-10, atol=1e-10, msg=f"{kind} {key}")
    history = [json.loads((tmp_path / place / "history.json").read_text()) for place in ("one", "two")]
    assert history[0]["threshold"] == history[1]["threshold"]
    for row, other in zip(history[0]["rows"], history[1]["rows"], strict=True):
        assert row["score"] == other["score"]
        assert other["loss"] == pytest.approx(row["loss"], rel=1e-10)
        assert other["watched"] == pytest.approx(row["watched"], rel=1e-9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A repository whose one dataset is prepared."""
    folder = copy(tmp_path_factory.mktemp("devices") / "repo")
    set_params(folder, merge(json.loads(json.dumps(TINY)), {"method": {"ggl_net": {"budgets": {"quick": {"epochs": 2}}}}}))  # fmt: skip
    for stage in ("download", "prepare"):
        subprocess.run([sys.executable, "-m", f"pipelines.{stage}", "synthetic"], cwd=folder, check=True, capture_output=True)  # fmt: skip
    return folder


@pytest.mark.slow
@pytest.mark.timeout(600)
class TestDevicesOfParams:
    """`train.devices` starts the other processes itself."""

    def train(self, folder):
        env = os.environ | {"OMP_NUM_THREADS": "1"}
        env.pop("PYTHONPATH", None)
        words = ["pipelines.train", "synthetic", "ggl_net", "0"]
        return subprocess.run([sys.executable, "-m", *words], cwd=folder, env=env, capture_output=True, text=True)

    def test_two_processes_leave_one_training(self, folder):
        set_params(folder, {"train": {"devices": 2}})

        done = self.train(folder)

        assert done.returncode == 0, done.stderr
        made = json.loads((folder / "runs/train/synthetic/ggl_net/0/provenance.json").read_text())
        assert made["devices"] == 2
        assert len((folder / "runs/train/synthetic/ggl_net/0/history.csv").read_text().splitlines()) == 3

    def test_batches_that_cannot_be_shared(self, folder):
        set_params(folder, {"train": {"devices": 3}})

        done = self.train(folder)

        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert (
            "error: params.yaml: train.devices: a batch of 4 images cannot be shared evenly by 3 devices" in done.stderr
        )


def test_parts_are_the_whole():
    batch = torch.arange(6)

    assert torch.cat([ranks.part(batch, rank, 3) for rank in range(3)]).equal(batch)


def test_outputs_that_are_no_batch_are_refused():
    for outputs in (object(), torch.zeros(()), [torch.zeros(3, 1)]):
        with pytest.raises(InputError, match="cannot be put together from several devices"):
            ranks.whole(outputs, 0, 2, 2)


def test_more_gpus_than_there_are():
    with pytest.raises(InputError, match="64 are to share a training, but torch sees"):
        ranks.fabric(torch.device("cuda"), "32-true", 64)
