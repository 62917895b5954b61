"""What is measured of a method's cost, and when nothing is."""

import os
import subprocess
import sys

import pytest

from irstd.errors import InputError
from irstd.inference import profiling
from irstd.results import store
from pipelines import cost
from tests.conftest import ROOT


@pytest.fixture
def quiet(tmp_path, monkeypatch):
    """A folder of results, a machine without other work, and a measurement that takes no time."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(cost, "RESULTS", tmp_path)
    monkeypatch.setattr(profiling, "busy", lambda: 0.0)
    took = profiling.Latency(median_ms=20.0, fps=50.0, memory_mb=7.0)
    monkeypatch.setattr(profiling, "latency", lambda *_: took)
    (tmp_path / "cost").mkdir()
    return tmp_path / "cost/top_hat.csv"


def test_rows_of_other_machines_stay_and_those_of_this_one_are_replaced(quiet):
    cost.main("top_hat")
    first = store.read(quiet, "cost")
    store.write(first.assign(hardware="another machine", fps=1.0), quiet, "cost")

    cost.main("top_hat")
    cost.main("top_hat")

    table = store.read(quiet, "cost")
    assert set(table["hardware"]) == {"another machine", first["hardware"][0]}
    assert len(table) == 2 * len(first) and set(table["fps"]) == {1.0, 50.0}


def test_a_busy_machine_is_not_measured(quiet, monkeypatch):
    monkeypatch.setattr(profiling, "busy", lambda: 0.34)

    with pytest.raises(InputError, match=r"34% of this machine's processors are busy with other work"):
        cost.main("top_hat")

    assert not quiet.exists()


def test_work_of_others_is_seen():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        try:
            assert profiling.busy() > 0.5 / os.cpu_count()
        finally:
            other.kill()
