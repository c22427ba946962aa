"""The guide's sample, alive: three machines with its literal addresses, and nothing left of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from calorimeter.core import paths
from calorimeter.core.verdict import Outcome
from calorimeter.core.verdict import read as read_verdicts
from calorimeter.core.waiting import until
from calorimeter.lab import processes, programs
from calorimeter.lab.hosts import network
from tests.conftest import lab_command
from tests.places import PROGRAMS

pytestmark = pytest.mark.lab

NOT_PERMITTED = "--sample guide: network namespaces cannot be created here"
ADVICE = "run it as root; a container needs --privileged"


def permitted() -> bool:
    """Whether network namespaces can be made here."""
    return subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode == 0


def machine() -> str:
    """Interfaces and routes of this machine."""
    told = [
        subprocess.run(["ip", *words], capture_output=True, text=True, check=True).stdout
        for words in (("-brief", "link"), ("route",), ("-6", "route"))
    ]
    return "".join(told)


def nothing_left(name: str, before: str) -> None:
    """No process, namespace, interface, route, folder or lock of the lab is there."""
    folder = paths.lab(name)
    assert processes.running(folder) == []
    assert network.existing(name) == []
    assert machine() == before
    assert not folder.exists()
    assert not folder.with_suffix(".lock").exists()


@pytest.fixture
def name() -> Iterator[str]:
    """A lab's name; whatever a test left of it goes."""
    yield (mine := f"sample-{os.getpid()}")
    lab_command("down", "--name", mine)


def refused(argv: list[str], name: str, before: str) -> None:
    """Without the right to make namespaces: one line, status 2, nothing left."""
    command = [*argv, sys.executable, "-m", "calorimeter", "lab", "up", "--sample", "guide", "--name", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert NOT_PERMITTED in last
    assert ADVICE in last
    assert "Traceback" not in done.stderr
    nothing_left(name, before)


def test_without_the_right_to_make_namespaces_it_says_so(name: str) -> None:
    """What is missing and what to do is one line; the capability is taken away where root has it."""
    without = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
    refused(without if os.geteuid() == 0 else [], name, machine())


def h1(name: str, runs: Path) -> Outcome:
    """What gate H1 says of the lab."""
    file = paths.lab(name) / "deployment.toml"
    argv = [sys.executable, "-m", "calorimeter", "verify", str(file), "--gates", "H1", "--runs", str(runs)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    (run,) = runs.iterdir()
    outcome = read_verdicts(run / "verdicts.json").of("H1").judgement.outcome
    assert done.returncode == (0 if outcome is Outcome.PASS else 1), done.stderr
    return outcome


def inside(name: str, host: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command on a host."""
    return lab_command("exec", "--name", name, "--host", host, "--", *command, timeout_s=60)


CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], 8004), float(sys.argv[2]))"


def reaches(name: str, client: str, address: str, within_s: float = 0.7) -> bool:
    """Whether a client host can open a connection to an API."""
    return inside(name, client, sys.executable, "-c", CONNECT, address, str(within_s)).returncode == 0


def act(name: str, host: str, action: str) -> None:
    """Apply an action to a host with `lab part`."""
    done = lab_command("part", "--name", name, host, action)
    assert done.returncode == 0, done.stderr


def hears(name: str) -> bool:
    """Whether B receives datagrams of client-2, even if B's own packets are lost."""
    words = (
        "exec",
        "--name",
        name,
        "--host",
        "B",
        "--",
        sys.executable,
        str(PROGRAMS / "receive_datagram.py"),
    )
    command = [sys.executable, "-m", "calorimeter", "lab", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == "listening\n"
        assert inside(name, "client-2", sys.executable, str(PROGRAMS / "send_datagrams.py")).returncode == 0
        return receiver.stdout.readline() == "10.0.0.102\n"


def fails_as_hosts_do(name: str) -> None:
    """B is disconnected, loses packets one way, is rebooted: a client cannot reach it, then can."""
    assert reaches(name, "client-2", "10.0.0.2")
    for fault, heal in (("unreachable", "reachable"), ("deaf", "hears"), ("mute", "speaks")):
        act(name, "B", fault)
        try:
            assert not reaches(name, "client-2", "10.0.0.2")
            assert fault == "unreachable" or hears(name) == (fault == "mute")
        finally:
            act(name, "B", heal)
    assert reaches(name, "client-2", "10.0.0.2")
    before = {p.part: p.pid for p in processes.running(paths.lab(name)) if p.part in ON_B}
    act(name, "B", "reboot")
    after = {p.part: p.pid for p in processes.running(paths.lab(name)) if p.part in ON_B}
    assert set(before) == set(after) == set(ON_B)
    assert not set(before.values()) & set(after.values())
    assert reaches(name, "client-1", "10.0.0.2")


def clients_work(name: str) -> None:
    """The openstack client and python-heatclient, unmodified, with nothing but the catalog's addresses."""
    listed = inside(name, "client-2", "openstack", "stack", "list", "-f", "json")
    assert json.loads(listed.stdout) == [], listed.stderr
    python = (
        Path(os.environ.get("CALORIMETER_HEAT_VENV") or programs.REPOSITORY / ".venv-heat") / "bin/python"
    )
    listed = inside(name, "client-2", str(python), str(PROGRAMS / "list_stacks.py"))
    assert listed.stdout.startswith("http://10.0.0.1:8004/v1/"), listed.stderr
    assert listed.stdout.endswith(" 0\n")


ON_B = ("rest-server-1", "cfn-server-1", "engine-1", "engine-3")


def test_the_sample_is_red_as_the_guide_is_and_green_corrected(name: str, tmp_path: Path) -> None:
    """H1 fails behind the guide's literal proxy and passes behind the generated one, on the same hosts;
    hosts fail as hosts do; this machine has no route to any of them, and nothing is left."""
    before = machine()
    if not permitted():
        refused([], name, before)
        return
    up = lab_command("up", "--sample", "guide", "--name", name, "--proxy", "guide")
    assert up.returncode == 0, up.stderr
    assert "10.0.0." not in machine()
    assert h1(name, tmp_path / "guide") is Outcome.FAIL
    assert lab_command("proxy", "--name", name).returncode == 0
    assert h1(name, tmp_path / "corrected") is Outcome.PASS
    fails_as_hosts_do(name)
    clients_work(name)
    assert lab_command("down", "--name", name).returncode == 0
    nothing_left(name, before)


def test_kill_of_up_leaves_what_down_clears(name: str) -> None:
    """After `kill -9` of a bring-up, `down` removes its processes and its namespaces."""
    before = machine()
    if not permitted():
        refused([], name, before)
        return
    argv = [sys.executable, "-m", "calorimeter", "lab", "up", "--sample", "guide", "--name", name]
    up = subprocess.Popen(argv, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    until(lambda: len(processes.running(paths.lab(name))) >= 3, 60)
    up.send_signal(signal.SIGKILL)
    up.wait(10)
    assert len(network.existing(name)) == 6
    done = lab_command("down", "--name", name)
    assert (done.returncode, done.stderr) == (0, f"lab {name} is down\n")
    nothing_left(name, before)
