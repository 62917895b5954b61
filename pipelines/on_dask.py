"""Cells as tasks of Dask: workers here, on hosts by ssh, or those of a scheduler that runs already.

Each worker runs one cell at a time, as a process of its own, with a GPU of its own where there are any. A worker that
dies is started again, and its cell goes on from its checkpoint; the other workers' cells, and those beside one that
fails, go on.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dask
from distributed import Client, Future, LocalCluster, SSHCluster, as_completed
from distributed.security import Security

from irstd.errors import InputError
from pipelines import SENT
from pipelines.cell import TAKE_GPU, gpus, stands

RETRIES = 3  # of a cell whose process or worker is killed
# Dask looks a hundred times a second at what its workers do, and they do nothing: each would take 4 % of a core.
QUIET = {"distributed.worker.profile.enabled": False, "distributed.admin.tick.interval": "1s"}


@contextmanager
def _keys() -> Iterator[tuple[str, str]]:
    """Has Dask speak TLS only, by a key and a certificate made for this run: whoever may connect may run anything."""
    made, folder = Security.temporary(), SENT / "tls"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    files = {"key.pem": made.tls_client_key, "cert.pem": made.tls_client_cert}
    for name, text in files.items():
        path = folder / name
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(str(text))
    key, cert = (str((folder / name).resolve()) for name in files)
    comm = {"tls.ca-file": cert, "require-encryption": True, "default-scheme": "tls"}
    for role in ("client", "scheduler", "worker"):
        comm |= {f"tls.{role}.key": key, f"tls.{role}.cert": cert}
    try:
        with dask.config.set({f"distributed.comm.{name}": value for name, value in comm.items()}):
            yield key, cert
    finally:
        for name in files:
            (folder / name).unlink(missing_ok=True)


def _bound(host: str) -> dict[str, str]:
    """Where the scheduler listens: under the name that it is called by, unless only ssh knows that name."""
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return {}
    return {"host": host}


@contextmanager
def _client(
    workers: int | None, hosts: list[str], address: str | None, ssh_port: int, dashboard: str
) -> Iterator[Client]:
    if address:  # whoever started it chose how it is reached
        with Client(address, timeout=30) as client:
            yield client
        return
    with _keys() as (key, cert), ExitStack() as stack:
        if hosts:
            cluster: Any = SSHCluster(
                [hosts[0], *hosts], connect_options={"port": ssh_port}, remote_python=sys.executable,
                worker_options={"n_workers": workers or 1, "nthreads": 1, "memory_limit": 0},
                scheduler_options={"dashboard_address": dashboard, **_bound(hosts[0])}, security=Security(),
            )  # fmt: skip
            stack.enter_context(cluster)
        else:
            cluster = LocalCluster(n_workers=0, protocol="tls://", security=Security(), dashboard_address=dashboard)
            stack.enter_context(cluster)
            # A program of its own: one that Dask forks from here would import this folder, whatever is edited in it.
            slots = workers or len(gpus()) or os.cpu_count() or 1
            words = ["--nworkers", str(slots), "--nthreads", "1", "--memory-limit", "0", "--no-dashboard"]
            tls = ["--tls-ca-file", cert, "--tls-cert", cert, "--tls-key", key]
            log = stack.enter_context((SENT / "dask.log").open("w"))
            quiet = {f"DASK_{name.upper().replace('.', '__')}": str(value) for name, value in QUIET.items()}
            worker = subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_worker", cluster.scheduler_address, *words, *tls],
                stderr=log, cwd=SENT, env=os.environ | quiet,
            )  # fmt: skip
            stack.callback(worker.wait)
            stack.callback(worker.terminate)
        client = stack.enter_context(Client(cluster, security=Security()))
        client.wait_for_workers(max(1, len(hosts)), timeout=60)
        yield client


def _send(client: Client, cells: dict[str, list[str]], folder: str, threads: int) -> None:
    """Has workers run the cells, one whose process or worker is killed again, and says of each how it ended."""
    # Workers need nothing of this folder: each starts a program.
    variables = [f"PYTHONPATH={folder}", f"OMP_NUM_THREADS={threads}", "OMP_WAIT_POLICY=PASSIVE", f"{TAKE_GPU}=1"]
    common = {"cwd": folder, "stdin": subprocess.DEVNULL, "pure": False, "retries": RETRIES}

    def words(name: str) -> list[str]:
        # Dask has its workers give freed memory back at once: a training would ask for it again at each step, and spend
        # half of its time so.
        clean = ["env", "-u", "MALLOC_TRIM_THRESHOLD_", *variables]
        return [*clean, sys.executable, "-m", "pipelines.cell", name, *cells[name]]

    # All at once: of tasks that come one by one, Dask gives the first to whichever worker is there first.
    # No list of them is kept: what nobody asks for any more is not computed again where a worker dies.
    names: dict[Future, str] = dict(
        zip(client.map(subprocess.run, [words(name) for name in cells], **common), cells, strict=True)
    )
    killed = dict.fromkeys(cells, 0)
    waiting = as_completed(names)
    for future in waiting:
        name = names.pop(future)
        status = future.result().returncode if future.status == "finished" else None
        if status not in (0, 1, None) and killed[name] < RETRIES:
            killed[name] += 1
            print(f"{name}: its process ended with {status}; it goes on from its checkpoint", flush=True)
            again = client.submit(subprocess.run, words(name), **common)
            names[again] = name
            waiting.add(again)
            continue
        state = stands(name)
        why = state.get("why") or ("" if status is not None else f"its workers were killed: {future.exception()}")
        print(f"{name}: {state['state']}{why and f', {why}'}", flush=True)


def run(
    cells: dict[str, list[str]], place: Path, *, workers: int | None, threads: int, hosts: list[str],
    address: str | None, ssh_port: int, dashboard: str,
) -> None:  # fmt: skip
    """Runs the cells, and says of each how it ended; `pipelines.cell.stands` says where each stands.

    Args:
        cells: the stages to run of each. place: the checkout to run them in, which all workers see.
        workers: cells at once on each machine.
        threads: of the libraries beside torch.
        hosts: by ssh; none for workers here. address: of a scheduler that runs already.

    Raises:
        InputError: the workers cannot be reached.
    """
    # A cell waits at the scheduler until a worker is free, not in a worker's own queue.
    with dask.config.set(QUIET | {"distributed.scheduler.worker-saturation": 1.0}):
        try:
            with _client(workers, hosts, address, ssh_port, dashboard) as client:
                print(f"Dask shows its workers at {client.dashboard_link}", flush=True)
                _send(client, cells, str(place.resolve()), threads)
        except (OSError, TimeoutError) as error:
            where = address or " ".join(hosts) or "this machine"
            raise InputError(
                f"Dask's workers on {where} cannot be reached ({error}); check the address and ssh"
            ) from error
