"""Hosts and a Slurm cluster on this machine, for tests; they skip, and say so, where these cannot be made."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest


def hosts(tmp_path):
    """Two hosts, in network namespaces of this machine, with sshd and a key for it."""
    if os.geteuid() or not shutil.which("ip") or not shutil.which("sshd", path="/usr/sbin"):
        pytest.skip("needs root, iproute2 and openssh-server to make two hosts")
    made, servers, home = [], [], tmp_path / "home"

    def ip(*words):
        return subprocess.run(["ip", *words], capture_output=True, text=True, check=True)

    bridge = f"irstd{os.getpid() % 10**6}"
    try:
        try:
            ip("link", "add", bridge, "type", "bridge")
            made.append(("link", "del", bridge))
            ip("addr", "add", "10.77.31.254/24", "dev", bridge)
            ip("link", "set", bridge, "up")
            for number in (1, 2):
                space, outer, inner = (
                    f"{bridge}-{number}",
                    f"irv{number}-{os.getpid() % 10**6}",
                    f"irw{number}-{os.getpid() % 10**6}",
                )
                ip("netns", "add", space)
                made.append(("netns", "del", space))
                ip("link", "add", outer, "type", "veth", "peer", "name", inner)
                ip("link", "set", inner, "netns", space)
                ip("link", "set", outer, "master", bridge, "up")
                ip("-n", space, "addr", "add", f"10.77.31.{number}/24", "dev", inner)
                ip("-n", space, "link", "set", inner, "up")
                ip("-n", space, "link", "set", "lo", "up")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces cannot be made here: {error.stderr.strip()}")
        keys = home / ".ssh"
        keys.mkdir(parents=True, mode=0o700)
        for name in ("id_ed25519", "host"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name], check=True)
        (keys / "authorized").write_text((keys / "id_ed25519.pub").read_text())
        names = [f"10.77.31.{number}" for number in (1, 2)]
        host = " ".join((keys / "host.pub").read_text().split()[:2])
        (keys / "known_hosts").write_text("".join(f"{name} {host}\n" for name in names))
        Path("/run/sshd").mkdir(exist_ok=True)
        for number in (1, 2):
            words = ["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-h", keys / "host", "-o", "PidFile=none", "-o", "StrictModes=no", "-o", f"AuthorizedKeysFile={keys / 'authorized'}"]  # fmt: skip
            servers.append(subprocess.Popen(["ip", "netns", "exec", f"{bridge}-{number}", *words], stderr=subprocess.DEVNULL))  # fmt: skip
        time.sleep(1)
        yield SimpleNamespace(names=names, home=home)
    finally:
        for server in servers:
            server.terminate()
            server.wait()
        for words in reversed(made):
            subprocess.run(["ip", *words], check=False)


SLURM = """
ClusterName=irstd
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
StateSaveLocation={folder}/ctl
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/ctl.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/ctl.log
SlurmdLogFile={folder}/%n.log
SlurmctldPort={port}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SlurmdTimeout=10
MpiDefault=none
ReturnToService=2
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={one} CPUs=1 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={two} CPUs=1 State=UNKNOWN
PartitionName=p Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


def slurm(tmp_path):
    """A cluster of two nodes, each a slurmd on this machine."""
    if os.geteuid() or not all(shutil.which(name) for name in ("slurmctld", "slurmd", "munged")):
        pytest.skip("needs root, and Debian's packages slurmctld, slurmd and munge")
    host = subprocess.run(["hostname", "-s"], capture_output=True, text=True, check=True).stdout.strip()
    ports = [free_port() for _ in range(3)]
    path = tmp_path / "slurm.conf"
    path.write_text(SLURM.format(host=host, folder=tmp_path, port=ports[0], one=ports[1], two=ports[2]))
    for name in ("ctl", "n1", "n2"):
        (tmp_path / name).mkdir()
    if subprocess.run(["munge", "-n"], capture_output=True).returncode:
        Path("/run/munge").mkdir(exist_ok=True)
        shutil.chown("/run/munge", "munge")
        subprocess.run(["su", "munge", "-s", "/bin/sh", "-c", "/usr/sbin/munged --force"], check=True)
    started = [subprocess.Popen(["slurmctld", "-D", "-f", path], stderr=subprocess.DEVNULL)]
    started += [
        subprocess.Popen(["slurmd", "-D", "-N", name, "-f", path], stderr=subprocess.DEVNULL) for name in ("n1", "n2")
    ]
    yield SimpleNamespace(conf=str(path), nodes=dict(zip(("n1", "n2"), started[1:], strict=True)), folder=tmp_path)
    for process in reversed(started):
        process.kill()
        process.wait()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
