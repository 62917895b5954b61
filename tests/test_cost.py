"""What is measured of a method's cost, and when nothing is."""

import os
import subprocess
import sys

import pytest

from irstd import tables as formatted
from irstd.inference import profiling
from irstd.results import store
from pipelines import cost, publish
from tests.conftest import ROOT


@pytest.fixture
def quiet(tmp_path, monkeypatch):
    """A folder of results, a machine without other work, and a measurement that takes no time."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(cost, "RESULTS", tmp_path)
    monkeypatch.setattr(profiling, "busy", lambda: 0.0)
    took = profiling.Latency(median_ms=20.0, fps=50.0, memory_mb=7.5)
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


@pytest.mark.parametrize("share", [0.0, 0.34])
def test_what_is_measured_beside_other_work_says_so_and_is_not_published(quiet, monkeypatch, capsys, share):
    monkeypatch.setattr(profiling, "busy", lambda: share)

    cost.main("top_hat")

    table = store.read(quiet, "cost")
    busy = share > 0
    assert ("34% of this machine's processors are busy with other work" in capsys.readouterr().err) == busy
    assert set(table["busy"]) == {share} and publish.beside_other_work(quiet) == busy
    assert ("34% of the machine" in formatted.cost(table, {}).to_csv()) == busy
    assert ("it was measured beside other work" in capsys.readouterr().out) == busy


def test_costs_of_before_the_other_work_was_looked_at_are_as_they_were(quiet):
    cost.main("top_hat")
    before = store.read(quiet, "cost").drop(columns="busy")
    before.to_csv(quiet, index=False)

    assert store.read(quiet, "cost")["busy"].isna().all() and not publish.beside_other_work(quiet)
    assert "beside other work" not in formatted.cost(store.read(quiet, "cost"), {})


def test_work_of_others_is_seen():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        try:
            assert profiling.busy() > 0.5 / os.cpu_count()
        finally:
            other.kill()
