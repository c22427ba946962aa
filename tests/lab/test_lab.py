"""The lab is a real Heat, keeps to itself, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from calorimeter.core import deployment as deployments
from calorimeter.core import paths
from calorimeter.core.deployment import Deployment
from calorimeter.core.waiting import until
from calorimeter.lab import lab_state, processes
from calorimeter.lab.sabotage import proxy_sabotage
from tests.conftest import lab_command
from tests.lab.stack_walks import cfn_walk, listeners, nothing_left, rest_walk

pytestmark = pytest.mark.lab


def test_rest_creates_and_deletes_a_stack_through_the_proxy(lab: Deployment) -> None:
    """A stack of TestResource, RandomString and Value completes and goes."""
    rest_walk(lab)


def test_cfn_creates_and_deletes_a_stack_through_the_proxy(lab: Deployment) -> None:
    """The same with EC2 signatures through CFN."""
    cfn_walk(lab)


def test_nothing_listens_beyond_loopback(lab: Deployment) -> None:
    """Every listening socket of every process of the lab is on loopback, epmd's and Erlang's included."""
    found = listeners(lab.path.parent)
    # epmd adds ::1 by itself; the broker has an address of its own for other nodes.
    others = {(part, address) for part, address, _ in found if address != "127.0.0.1"}
    assert ("epmd", "::1") in others
    assert all(address.startswith("127.8.") for _, address in others - {("epmd", "::1")})
    assert {part for part, _ in others} == {"epmd", "rabbitmq"}
    reserved = lab_state.read(lab.path.parent).ports
    assert {port for _, _, port in found} == {port for name, port in reserved.items() if name != "log"}


def test_no_secret_is_on_a_command_line(lab: Deployment) -> None:
    """Whoever may list processes sees no password; files that hold one are their owner's alone."""
    folder = lab.path.parent
    secrets = [
        v for k, v in tomllib.loads((folder / "secrets.toml").read_text()).items() if k != "ec2_access"
    ]
    lines = [Path(f"/proc/{p.pid}/cmdline").read_text() for p in processes.running(folder)]
    assert [line for line in lines for secret in secrets if secret in line] == []
    assert folder.stat().st_mode & 0o777 == 0o700
    heat_conf = folder / "heat" / "rest-1.conf"
    assert heat_conf.stat().st_mode & 0o777 == 0o600
    assert not [secret for secret in secrets if secret in lab.path.read_text()]


def test_the_same_name_twice_is_refused(lab: Deployment) -> None:
    """A lab that is up stays as it is."""
    done = lab_command("up", "--name", lab.name)
    assert done.returncode == 2
    assert "is up; `calorimeter lab down" in done.stderr
    assert lab_command("status", "--name", lab.name).returncode == 0


def test_a_taken_port_is_refused_and_leaves_nothing(lab: Deployment) -> None:
    """`--rest-port` of what is listening is status 2 with the option and the port."""
    name = f"t-{os.getpid()}"
    done = lab_command("up", "--name", name, "--rest-port", str(lab.rest.front.port))
    assert done.returncode == 2
    assert f"--rest-port: {lab.rest.front.port} is taken" in done.stderr
    nothing_left(name, {})
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = lab_command("up", "--name", name, "--cfn-port", str(port))
    assert (done.returncode, f"--cfn-port: {port} is taken" in done.stderr) == (2, True)
    nothing_left(name, {})


def part_state(lab: Deployment, part: str) -> str:
    """A part's state as `lab status --json` has it."""
    (standing,) = json.loads(lab_command("status", "--name", lab.name, "--json").stdout)
    return str(next(each["state"] for each in standing["parts"] if each["name"] == part))


def command(lab: Deployment, part: str, action: str) -> subprocess.CompletedProcess[str]:
    """Run a part's command from the deployment file, by `sh -c`, as the fault runner does."""
    line = getattr(next(each for each in lab.parts if each.name == part), action)
    return subprocess.run(
        ["sh", "-c", line], cwd="/", capture_output=True, text=True, timeout=120, check=False
    )


def test_a_part_is_killed_and_started_by_its_commands(lab: Deployment) -> None:
    """A crash is seen by `status`, cannot happen twice, and `start` brings the same address back."""
    address = next(each.address for each in lab.rest.backends if each.name == "rest-2")
    try:
        done = command(lab, "rest-2", "kill")
        at_ns = int(done.stdout.partition("at_ns=")[2])
        assert 0 < time.time_ns() - at_ns < 60_000_000_000
        assert part_state(lab, "rest-2") == "stopped"
        again = command(lab, "rest-2", "kill")
        assert (again.returncode, "is not running" in again.stderr) == (2, True)
    finally:
        started = command(lab, "rest-2", "start")
    assert started.returncode == 0, started.stderr
    assert requests.get(f"http://{address}/healthcheck", timeout=30).status_code == 200


def test_a_part_is_frozen_and_thawed_by_its_commands(lab: Deployment) -> None:
    """A frozen engine is shown as frozen, and runs again after thaw."""
    try:
        assert command(lab, "engine-1", "freeze").returncode == 0
        assert part_state(lab, "engine-1") == "frozen"
    finally:
        assert command(lab, "engine-1", "thaw").returncode == 0
    assert part_state(lab, "engine-1") == "running"


def test_a_held_connection_does_not_keep_the_old_proxy(
    lab: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old process that a client holds open ends after its time, and the new one serves."""
    monkeypatch.setattr(proxy_sabotage, "OLD_ENDS_S", 2.0)
    with socket.create_connection((lab.rest.front.host, lab.rest.front.port), 5) as held:
        proxy_sabotage.sabotage(lab.name, "weight")
        held.settimeout(5)
        assert held.recv(1) == b""
    proxy_sabotage.heal(lab.name)


def test_a_server_is_drained_by_its_commands(lab: Deployment) -> None:
    """Drain and undrain set the server's state in the proxy."""
    path = lab.proxy[0].stats[0].removeprefix("unix://")

    def admin_state() -> str:
        with socket.socket(socket.AF_UNIX) as stats:
            stats.connect(path)
            stats.sendall(b"show stat rest_api_proxy 4 -1\n")
            answer = b"".join(iter(lambda: stats.recv(65536), b"")).decode()
        (row,) = [
            line.split(",") for line in answer.splitlines() if line.startswith("rest_api_proxy,rest-1,")
        ]
        return row[17]

    try:
        assert command(lab, "rest-1", "drain").returncode == 0
        assert admin_state() == "DRAIN"
    finally:
        assert command(lab, "rest-1", "undrain").returncode == 0
    until(lambda: admin_state() == "UP", 10)


def test_backends_and_engines_are_added_and_removed(lab: Deployment) -> None:
    """`lab scale` changes the proxy, the broker's consumers and the deployment file, without a failure."""
    folder = lab.path.parent
    before = lab.path.read_text()
    grown = lab_command("scale", "--name", lab.name, "--rest", "3", "--engines", "4")
    try:
        assert grown.returncode == 0, grown.stderr
        larger = deployments.read(lab.path)
        assert [backend.name for backend in larger.rest.backends] == ["rest-1", "rest-2", "rest-3"]
        assert "engine-4" in larger.engine_consumers
        assert part_state(lab, "engine-4") == part_state(lab, "rest-3") == "running"
        config = (folder / "haproxy" / "apis-proxy.conf").read_text()
        assert f"server rest-3 {larger.rest.backends[2].address} check" in config
        # Spread over so many sources, every backend gets some of these.
        for n in range(20):
            with socket.socket() as client:
                client.bind((f"127.16.0.{n + 1}", 0))
                client.connect((lab.rest.front.host, lab.rest.front.port))
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert client.recv(12) == b"HTTP/1.1 300"
    finally:
        back = lab_command("scale", "--name", lab.name, "--rest", "2", "--engines", "3")
    assert back.returncode == 0, back.stderr
    assert lab.path.read_text() == before
    assert processes.running(folder, "rest-3") == processes.running(folder, "engine-4") == []


def test_scaling_without_the_proxy_starts_nothing(lab: Deployment) -> None:
    """Where the proxy is down, `lab scale` says so, and nothing runs that lab.json does not know."""
    folder = lab.path.parent
    before = (folder / "lab.json").read_text()
    try:
        assert command(lab, "proxy", "kill").returncode == 0
        done = lab_command("scale", "--name", lab.name, "--rest", "3")
        assert (done.returncode, ": proxy is not running; `lab part proxy start` first" in done.stderr) == (
            2,
            True,
        )
        assert processes.running(folder, "rest-3") == []
        assert (folder / "lab.json").read_text() == before
    finally:
        assert command(lab, "proxy", "start").returncode == 0


def bringing_up(name: str, *words: str) -> subprocess.Popen[str]:
    """A bring-up that has started some daemons."""
    argv = [sys.executable, "-m", "calorimeter", "lab", "up", "--name", name, *words]
    up = subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    until(lambda: len(processes.running(paths.lab(name))) >= 3, 60)
    return up


@pytest.fixture
def name() -> Iterator[str]:
    """A lab's name; whatever a test left of it goes."""
    yield (mine := f"x-{os.getpid()}")
    lab_command("down", "--name", mine)


def test_kill_of_up_itself_leaves_what_down_clears(name: str) -> None:
    """After `kill -9` of a bring-up its daemons run on; `down` ends every one of them."""
    up = bringing_up(name)
    up.kill()
    up.communicate(timeout=10)
    folder = paths.lab(name)
    reserved = lab_state.read(folder).ports
    assert processes.running(folder)
    done = lab_command("down", "--name", name)
    assert (done.returncode, done.stderr) == (0, f"lab {name} is down\n")
    nothing_left(name, reserved)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_up_cleans_up_by_itself(name: str, signum: signal.Signals) -> None:
    """Ctrl-C during a bring-up is status 130 and leaves nothing."""
    up = bringing_up(name)
    reserved = lab_state.read(paths.lab(name)).ports
    up.send_signal(signum)
    _, told = up.communicate(timeout=60)
    assert (up.returncode, told.splitlines()[-1]) == (130, "calorimeter: interrupted")
    nothing_left(name, reserved)


def test_down_ends_a_bring_up_under_way(name: str) -> None:
    """`down` need not wait for `up`."""
    up = bringing_up(name)
    reserved = lab_state.read(paths.lab(name)).ports
    assert lab_command("down", "--name", name).returncode == 0
    up.communicate(timeout=10)
    assert up.returncode != 0
    nothing_left(name, reserved)


def test_a_daemon_that_fails_is_named_with_the_end_of_its_log(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Heat that cannot be started is status 2, says which daemon and why, and leaves nothing."""
    (tmp_path / "bin").mkdir()
    for program in ("heat-engine", "keystone-manage", "heat-manage"):
        script = tmp_path / "bin" / program
        script.write_text("#!/bin/sh\necho this installation is broken\nexit 3\n")
        script.chmod(0o755)
    monkeypatch.setenv("CALORIMETER_HEAT_VENV", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    done = lab_command("up", "--name", name)
    assert done.returncode == 2
    assert "this installation is broken" in done.stderr
    assert "manage ended with status 3" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    nothing_left(name, {})
