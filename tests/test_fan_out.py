"""Cells beside each other: by Dask here and over ssh, by Slurm; killed, failed, joined, and equal to `dvc repro`."""

import contextlib
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest
from filelock import FileLock

from pipelines import cell, held
from tests import clusters, test_pipeline
from tests.test_pipeline import TINY, copy, dvc, merge, set_params

SEEDS = (0, 1, 2)
POINTS = {"options": {}, "budgets": {"quick": {"epochs": 12, "batch": 4, "size": 32}}}
CELLS = [f"synthetic-{row}-{seed}" for row in ("ggl_net", "point_regression") for seed in SEEDS]
BROKEN = CELLS[-1]  # a file lies where its checkpoints should go


def small(folder):
    """A clone in which two methods with three seeds are all there is."""
    copy(folder)
    changes = merge(json.loads(json.dumps(TINY)), {"methods": ["ggl_net", "point_regression"], "baselines": [], "seeds": list(SEEDS), "method": {"point_regression": POINTS}})  # fmt: skip
    set_params(folder, changes)
    git(folder, "commit", "-qam", "small")
    return folder


def git(folder, *words):
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *words], cwd=folder, check=True)


def environment(**more):
    """Of a command on one core, which finds the package where it is called."""
    env = test_pipeline.environment(OMP_NUM_THREADS="1")
    env.pop("PYTHONPATH", None)
    return env | more


def call(folder, *words, **more):
    """A command of the pipeline, to its end."""
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, timeout=800,
        env=environment(**more),
    )  # fmt: skip


def weights(folder):
    return {
        str(path.relative_to(folder / "runs/train")): path.read_bytes()
        for path in sorted((folder / "runs/train").rglob("best.safetensors"))
    }


def state(folder, name):
    path = folder / f"runs/cells/{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def break_it(folder):
    place = folder / "runs/checkpoints/synthetic/point_regression/2"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("in the way")
    return place


def until(what, seconds=240):
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.3)
    return found


def runs(folder, name):
    """The process that runs a cell; None before, and when it has ended."""
    found = state(folder, name)
    if found.get("state") != "runs":
        return None
    try:
        process = psutil.Process(found["pid"])
        # Where nobody reaps orphans, an ended one keeps its number.
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None


def trains(folder, name):
    """The process that trains a cell, once it has a checkpoint to go on from."""
    row, seed = name.removeprefix("synthetic-").rsplit("-", 1)
    saved = list((folder / "runs/checkpoints/synthetic" / row / seed).glob("*.pt"))
    return runs(folder, name) if saved and state(folder, name).get("stage") == "train" else None


def catch(folder, number, when):
    """Cells and their processes, each stopped as soon as it `when`, so that a slow machine can look at all."""
    found = {}

    def look():
        for name in CELLS:
            if name not in found and len(found) < number and (process := when(folder, name)):
                send(process, signal.SIGSTOP)
                if when(folder, name) == process:
                    found[name] = process
        return len(found) == number

    until(look)
    return list(found.items())


def send(process, number):
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.send_signal(number)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Weights of all cells after a plain `dvc repro`; made once for all the processes that test."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "plain"
    with FileLock(f"{folder}.lock"):
        if not (folder / "weights").exists():
            repository = small(folder / "repo")
            done = dvc(repository, "repro", *(f"train@{name}" for name in CELLS))
            assert done.returncode == 0, done.stderr
            (folder / "weights").write_bytes(pickle.dumps(weights(repository)))
    return pickle.loads((folder / "weights").read_bytes())


def check_joined(folder, plain):
    """All cells are joined, equal to those of a plain `dvc repro`, and nothing is left to do."""
    assert {state(folder, name)["state"] for name in CELLS} == {"joined"}
    assert weights(folder) == plain
    dry = dvc(folder, "repro", "--dry", *(f"score@{name}" for name in CELLS))
    assert "Running stage" not in dry.stdout and dry.returncode == 0
    assert not (folder / "runs/cells/checkouts").exists()
    made = json.loads((folder / "runs/train/synthetic/ggl_net/0/provenance.json").read_text())
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True).stdout
    assert head.startswith(made["commit"]) and len(made["commit"]) == 12  # without a plus: of the commit itself


@pytest.mark.slow
@pytest.mark.timeout(1200)
class TestDask:
    def test_two_workers_one_killed_and_a_cell_that_fails(self, tmp_path, plain):
        folder = small(tmp_path / "repo")
        blocked = break_it(folder)
        words = ["pipelines.fan_out", "dask", "--workers", "2", "--threads", "1", "--dashboard", "127.0.0.1:0"]

        @contextlib.contextmanager
        def begun(*more):
            with (tmp_path / "log").open("w") as log:
                process = subprocess.Popen([sys.executable, "-m", *words, *more], cwd=folder, env=environment(), stdout=log, stderr=log)  # fmt: skip
            try:
                yield process
            finally:  # where the test fails, nothing of it goes on
                if process.poll() is None:
                    send(psutil.Process(process.pid), signal.SIGKILL)
                    process.wait()

        # Stopped from outside, it leaves no worker behind.
        with begun("--cells", CELLS[0]) as stopped:
            ((_, training),) = catch(folder, 1, runs)
            worker = training.parent()
            stopped.terminate()
            send(training, signal.SIGCONT)
            assert stopped.wait(60) == 1
        assert "stopped; call this again" in (tmp_path / "log").read_text()
        assert not psutil.wait_procs([worker], timeout=60)[1]
        until(lambda: not held(folder / cell.lock_file(CELLS[0])) and runs(folder, CELLS[0]) != training)

        with begun() as first:
            (lost, training), (kept, other) = catch(folder, 2, trains)
            worker = training.parent()
            # Dask's wish to give memory back at once is not the training's.
            assert "MALLOC_TRIM_THRESHOLD_" not in training.environ()

            # One of two workers, and with it its cell. And the code is edited: what runs is the commit's.
            worker.kill()
            send(training, signal.SIGKILL)
            send(other, signal.SIGCONT)
            with (folder / "irstd/training/steps.py").open("a") as file:
                file.write("raise SystemExit('edited meanwhile')\n")
            first.wait(600)

        told = (tmp_path / "log").read_text()
        states = {name: state(folder, name)["state"] for name in CELLS}
        assert first.returncode == 1, told
        assert f"{lost}: the code of `train` changed since it was sent" in told and "Traceback" not in told
        assert states == {name: "failed" if name == BROKEN else "done" for name in CELLS}, told
        # The other worker's cell never noticed.
        assert state(folder, kept)["pid"] == other.pid and state(folder, lost)["pid"] != training.pid

        blocked.unlink()
        git(folder, "checkout", "-q", "irstd/training/steps.py")
        second = call(folder, *words)

        assert second.returncode == 0, second.stderr
        assert "1 cell from commit" in second.stdout and "joined 5 cells" in second.stdout
        check_joined(folder, plain)

    def test_two_hosts_by_ssh(self, tmp_path, plain, hosts):
        folder = small(tmp_path / "repo")
        words = ["pipelines.fan_out", "dask", "--hosts", *hosts.names, "--workers", "1", "--dashboard", "127.0.0.1:0"]

        done = call(folder, *words, "--cells", *CELLS[:2], HOME=str(hosts.home))

        assert done.returncode == 0, done.stderr
        assert {state(folder, name)["state"] for name in CELLS[:2]} == {"joined"}
        assert weights(folder) == {
            key: plain[key] for key in ("ggl_net/0", "ggl_net/1") for key in [f"synthetic/{key}/best.safetensors"]
        }
        # Nobody but the user may read the key by which the hosts spoke, and it is gone afterwards.
        assert not list((folder / "runs/cells/tls").iterdir())

    def test_workers_that_somebody_else_started(self, tmp_path, plain):
        folder = small(tmp_path / "repo")
        address = f"tcp://127.0.0.1:{clusters.free_port()}"
        dask = [sys.executable, "-m"]
        started = [
            subprocess.Popen([*dask, *words], cwd=tmp_path, stderr=subprocess.DEVNULL)
            for words in (
                ["distributed.cli.dask_scheduler", "--host", address, "--no-dashboard"],
                ["distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"],
            )
        ]
        try:
            done = call(folder, "pipelines.fan_out", "dask", "--address", address, "--cells", CELLS[0])
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait()

        assert done.returncode == 0, done.stderr
        assert weights(folder) == {key: plain[key] for key in ("synthetic/ggl_net/0/best.safetensors",)}

    def test_hosts_that_cannot_be_reached_are_named(self, tmp_path):
        folder = small(tmp_path / "repo")

        done = call(folder, "pipelines.fan_out", "dask", "--address", "tcp://127.0.0.1:9", "--cells", CELLS[0])

        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert done.stderr.splitlines()[-1].startswith("error: Dask's workers on tcp://127.0.0.1:9 cannot be reached")


@pytest.mark.slow
def test_workers_are_quiet_and_speak_tls_and_nobody_without_the_key_is_heard(tmp_path, monkeypatch):
    import dask

    from pipelines import on_dask  # loads Dask, which changes what entry points are for whatever is tested after it

    monkeypatch.chdir(tmp_path)
    cell.SENT.mkdir(parents=True)

    with on_dask._client(2, [], None, 22, "127.0.0.1:0") as client:
        client.wait_for_workers(2, timeout=60)
        address, workers = client.scheduler.address, list(client.scheduler_info()["workers"])
        assert {one.partition("://")[0] for one in [address, *workers]} == {"tls"} and len(workers) == 2
        assert client.submit(sum, (1, 2)).result(30) == 3
        for name, value in on_dask.QUIET.items():
            assert set(client.run(dask.config.get, name).values()) == {value}
        (key,) = cell.SENT.glob("tls/key.pem")
        assert key.stat().st_mode & 0o777 == 0o600
        for where, security in ((address.replace("tls", "tcp"), "Security()"), (address, "Security.temporary()")):
            code = f"from distributed import Client; from distributed.security import Security; Client({where!r}, security={security}, timeout=3)"
            stranger = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
            assert stranger.returncode, stranger.stdout
            assert re.search(r"OSError|TimeoutError|CommClosedError", stranger.stderr.splitlines()[-1]), stranger.stderr
    assert not key.exists()


@pytest.fixture
def hosts(tmp_path):
    yield from clusters.hosts(tmp_path)


@pytest.fixture
def slurm(tmp_path):
    yield from clusters.slurm(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1500)
class TestSlurm:
    def test_a_node_is_lost_and_a_cell_fails(self, tmp_path, plain, slurm):
        folder = small(tmp_path / "repo")
        blocked = break_it(folder)
        conf = {"SLURM_CONF": slurm.conf}
        words = ["pipelines.fan_out", "slurm", "--no-gpu", "--at-once", "8", "--", "--cpus-per-task=1"]

        def squeue():
            return subprocess.run(["squeue", "-h", "-o", "%i %T %N"], capture_output=True, text=True, env=environment(**conf)).stdout  # fmt: skip

        first = call(folder, *words, **conf)
        assert first.returncode == 0, first.stderr

        def on(host):
            here = ((name, trains(folder, name)) for name in CELLS if state(folder, name).get("host") == host)
            return next((found for found in here if found[1]), None)

        # One whose time is nearly up goes back into the queue.
        late, _ = until(lambda: on("n1"))
        (number,) = (line.split()[0] for line in squeue().splitlines() if line.endswith("RUNNING n1"))
        # (`scancel` does not notice that it was heard, and tries again for a minute.)
        signalled = subprocess.Popen(["scancel", "--batch", "--signal=USR1", number], env=environment(**conf), stderr=subprocess.DEVNULL)  # fmt: skip
        until(lambda: state(folder, late)["state"] == "stopped")
        signalled.kill()
        signalled.wait()

        # The node with all that runs on it: slurmd, the steps' own daemons, and the cell.
        lost, running = until(lambda: on("n2"))
        above = [one for one in running.parents() if one.name() in ("slurmstepd", "bash", "slurm_script")]
        slurm.nodes["n2"].kill()
        for process in [*above, running]:
            process.send_signal(signal.SIGKILL)
        until(lambda: lost_again(folder, lost, squeue, conf), 300)
        until(lambda: not squeue().strip(), 600)

        states = {name: state(folder, name)["state"] for name in CELLS}
        assert states == {name: "failed" if name == BROKEN else "joined" for name in CELLS}
        assert state(folder, lost)["host"] == "n1"
        table = call(folder, "pipelines.cells").stdout
        assert BROKEN in table and "FileExistsError" in table and "IoU 0." in table

        blocked.unlink()
        second = call(folder, *words, **conf)
        assert "1 cell from commit" in second.stdout, second.stderr
        until(lambda: not squeue().strip(), 600)
        check_joined(folder, plain)


def lost_again(folder, name, squeue, conf):
    """Whether the cell of a lost node runs again. Slurm holds it back for two minutes, which are not waited for."""
    for line in squeue().splitlines():
        number, status, *_ = line.split()
        if status == "PENDING" and "[" not in number:
            subprocess.run(["scontrol", "update", f"JobId={number}", "StartTime=now"], env=environment(**conf), capture_output=True)  # fmt: skip
    return state(folder, name).get("host") == "n1"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return small(tmp_path_factory.mktemp("sentences") / "repo")


class TestSentences:
    """What must be fixed is reported before anything is sent."""

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["fan_out", "dask", "--cells", "synthetic-ggl_net-9"], "error: params.yaml has no cell 'synthetic-ggl_net-9'"),
            (["cells"], "error: no cell was sent from here; `python -m pipelines.fan_out --help` says how"),
            (["cell", "synthetic-ggl_net-0", "publish"], "error: a cell has the stages train, predict, score, not 'publish'"),
            (["join", "nothing"], "error: params.yaml has no cell 'nothing'"),
        ],
    )  # fmt: skip
    def test_in_one_sentence(self, repository, words, sentence):
        done = call(repository, f"pipelines.{words[0]}", *words[1:])

        assert done.returncode == 1
        assert done.stderr.startswith(sentence) and "Traceback" not in done.stderr

    def test_changes_that_are_in_no_commit(self, repository):
        path = repository / "irstd/errors.py"
        before = path.read_text()
        path.write_text(before + "\nX = 1\n")

        done = call(repository, "pipelines.fan_out", "dask", "--cells", CELLS[0])

        path.write_text(before)
        assert done.returncode == 1
        assert (
            done.stderr == "error: cells are trained from a commit, and files here differ from it; commit them first\n"
        )
