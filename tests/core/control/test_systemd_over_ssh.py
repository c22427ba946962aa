"""The drivers `systemd`, `ssh` and nftables against a real systemd, sshd and kernel, in namespaces."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from calorimeter.core.control import packet_faults
from calorimeter.core.control.controlled_part import Injection
from calorimeter.core.control.service_commands import ServiceCommands, systemd_unit
from calorimeter.core.faults.shell_command import CommandFailed
from calorimeter.core.waiting import poll, until
from tests.core.control.systemd_host import CAN, WHY, SystemdHost, systemd_host

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CAN, reason=WHY)]

API = """\
ExecStart=/bin/sh -c 'sleep 3600 & exec {python} -m http.server -b 127.0.0.1 -d {folder}/none 8004'
Restart=always
RestartSec=0
"""

CLIENT = """\
import socket, time
while True:
    try:
        socket.create_connection(("127.0.0.1", 5672), 1).close()
        print("connected", flush=True)
    except OSError as problem:
        print(type(problem).__name__, flush=True)
    time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemdHost]:
    """A host with an API of two processes that systemd restarts at once, a broker, and a client of it."""
    folder = tmp_path_factory.mktemp("host")
    (folder / "client.py").write_text(CLIENT)
    python = sys.executable
    units = {
        "heat-api": API.format(python=python, folder=folder),
        "broker": f"ExecStart={python} -m http.server --bind 127.0.0.1 --directory {folder}/none 5672\n",
        "heat-api-cfn": f"ExecStart={python} {folder}/client.py\nStandardOutput=append:/run/client.log\n",
    }
    with systemd_host(folder, units) as found:
        until(lambda: serves(found), 30)
        yield found


@pytest.fixture
def api(host: SystemdHost) -> Iterator[ServiceCommands]:
    """The commands for the API, which runs before and after the test."""
    commands = systemd_unit(host.reached, "heat-api")
    yield commands
    host.act(host.reached.script(commands.thaw))
    host.act(host.reached.script(commands.start))
    until(lambda: serves(host), 30)


def serves(host: SystemdHost) -> bool:
    """Whether the API answers within a second, from another process of its host."""
    return asked(host, "http://127.0.0.1:8004/") == "200"


def asked(host: SystemdHost, url: str) -> str:
    """The HTTP status of a request, from the host's network; 000 without an answer."""
    words = ("curl", "-s", "-m", "1", "-o", "/dev/null", "-w", "%{http_code}", url)
    done = subprocess.run(
        ["sh", "-c", host.within(shlex.join(words))], capture_output=True, text=True, check=False
    )
    return done.stdout


def test_a_killed_unit_stays_dead_until_it_is_started(host: SystemdHost, api: ServiceCommands) -> None:
    """`Restart=always` does not bring it back; `start` does, and may be repeated."""
    before = host.output("systemctl show -p MainPID --value heat-api")
    host.act(host.reached.breaking(api.kill))
    assert host.output("systemctl is-active heat-api") in ("inactive", "failed")
    assert not poll(lambda: serves(host), 2.0)
    host.act(host.reached.script(api.start))
    until(lambda: serves(host), 30)
    after = host.output("systemctl show -p MainPID --value heat-api")
    assert after != before
    host.act(host.reached.script(api.start))
    assert host.output("systemctl show -p MainPID --value heat-api") == after


def test_a_unit_that_is_broken_often_still_starts(host: SystemdHost, api: ServiceCommands) -> None:
    """`StartLimitBurst`, 5 starts in 10 s by default, does not keep a healed unit dead."""
    for _ in range(8):
        host.act(host.reached.breaking(api.kill))
        host.act(host.reached.script(api.start))
    until(lambda: serves(host), 30)


def test_a_stopped_unit_starts_again(host: SystemdHost, api: ServiceCommands) -> None:
    """`stop` ends it cleanly; what does not run cannot be broken again, and the command says why."""
    host.act(host.reached.breaking(api.stop))
    assert host.output("systemctl is-active heat-api") == "inactive"
    for command in (api.kill, api.stop, api.freeze):
        with pytest.raises(CommandFailed, match="inactive"):
            host.act(host.reached.breaking(command))
    with pytest.raises(CommandFailed, match="status"):
        host.act(host.reached.script(systemd_unit(host.reached, "no-such-unit").start))


def test_a_frozen_unit_accepts_and_does_not_answer(host: SystemdHost, api: ServiceCommands) -> None:
    """SIGSTOP reaches all its processes; `thaw` continues what is frozen, and may be repeated."""
    host.act(host.reached.breaking(api.freeze))
    pid = host.output("systemctl show -p MainPID --value heat-api")
    assert "T (stopped)" in host.output(f"cat /proc/{pid}/status")
    assert not serves(host)
    for _ in range(2):
        host.act(host.reached.script(api.thaw))
    assert serves(host)
    host.act(host.reached.breaking(api.stop))
    host.act(host.reached.script(api.thaw))


@pytest.mark.parametrize("fault", ["unreachable", "deaf", "mute"])
def test_packets_of_an_api_vanish_and_return(host: SystemdHost, fault: str) -> None:
    """A client gets no answer until the table is removed, which may be repeated."""
    faults = packet_faults.of_address(host.reached, "rest", "rest 1", ("127.0.0.1", 8004))
    (injection,) = (injection for name, injection in faults.items() if name == fault)
    assert serves(host)
    for _ in range(2):
        host.act(injection.inject)
    assert not serves(host)
    for _ in range(2):
        host.act(injection.heal)
    assert serves(host)
    assert "calorimeter" not in host.output("nft list tables")


def test_a_service_loses_the_broker_and_its_neighbours_do_not(host: SystemdHost) -> None:
    """`cut-off` drops the packets of one unit's cgroup to the broker's port."""
    client = systemd_unit(host.reached, "heat-api-cfn")
    (injection,) = packet_faults.of_group(host.reached, "cfn", "cfn-1", client.group, [5672]).values()

    def last() -> str:
        return host.output("tail -n1 /run/client.log")

    until(lambda: last() == "connected", 20)
    host.act(injection.inject)
    until(lambda: last() == "TimeoutError", 20)
    assert asked(host, "http://127.0.0.1:5672/") == "200"
    for _ in range(2):
        host.act(injection.heal)
    until(lambda: last() == "connected", 20)


def test_a_broker_loses_its_cluster_and_not_its_own_tools(host: SystemdHost) -> None:
    """nft takes the rules, and removes them; what is on the loopback device passes."""
    (injection,) = packet_faults.of_node(host.reached, "rabbit-1").values()
    assert isinstance(injection, Injection)
    host.act(injection.inject)
    assert "tcp dport { 4369, 25672 } drop" in host.output("nft list ruleset")
    host.act(injection.heal)
    assert "calorimeter" not in host.output("nft list tables")


def test_sockets_are_listed_with_their_timers(host: SystemdHost) -> None:
    """`ss -tanoe` over ssh is not folded or cut."""
    listed = host.output(host.reached.words("ss", "-tanoe"))
    assert any("LISTEN" in line and "127.0.0.1:8004" in line for line in listed.splitlines())


def test_a_killed_ssh_ends_what_it_breaks(host: SystemdHost) -> None:
    """The rest of a fault's script does not run after its ssh was killed; that of a healing one does."""
    slow = "touch /run/{0}-begun; sleep 2; touch /run/{0}-done"
    for name, command in (
        ("breaking", host.reached.breaking(slow.format("breaking"))),
        ("healing", host.reached.script(slow.format("healing"))),
    ):
        process = subprocess.Popen(
            ["sh", "-c", f"exec {host.within(f'exec {command}')}"], stdin=subprocess.DEVNULL
        )
        until(lambda name=name: f"{name}-begun" in host.output("ls /run"), 20)  # type: ignore[misc]
        process.kill()
        process.wait()
    until(lambda: "healing-done" in host.output("ls /run"), 20)
    assert "breaking-done" not in host.output("ls /run")


DEPLOYMENT = """\
name = "over-ssh"
[rest]
url = "http://127.0.0.1:8004/v1"
proxy_section = "rest_api_proxy"
backends = [{{ name = "rest-1", address = "127.0.0.1:8004" }}]
[consent]
level = "invasive"
[control]
driver = "systemd"
ssh = "root@{{host}}"
ssh_options = ["-F", "{folder}/ssh_config"]
"""


@pytest.mark.parametrize("fault", ["freeze", "unreachable", "kill"])
def test_what_a_killed_suite_broke_is_healed_over_ssh(
    host: SystemdHost, api: ServiceCommands, fault: str, tmp_path: Path
) -> None:
    """From a file without a command by hand: `calorimeter fault`, kill -9, and its guardian heals."""
    file = tmp_path / "deployment.toml"
    file.write_text(DEPLOYMENT.format(folder=host.folder))
    words = ("fault", str(file), "--fault", f"rest-1:{fault}@0s+300s", "--yes-break-it")
    command = host.within("exec " + shlex.join((sys.executable, "-m", "calorimeter", *words)))
    process = subprocess.Popen(
        ["sh", "-c", f"exec {command}"],
        stdin=subprocess.DEVNULL,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")},
    )
    until(lambda: not serves(host), 30)
    process.kill()
    process.wait()
    until(lambda: serves(host), 30)
    until(lambda: not list(tmp_path.glob("state/calorimeter/faults/*.json")), 30)
    assert "calorimeter" not in host.output("nft list tables")


def test_a_host_that_refuses_is_one_line(host: SystemdHost, tmp_path: Path) -> None:
    """No password is asked for; the last line says what is wrong."""
    (tmp_path / "config").write_text("Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n")
    stranger = type(host.reached)("root@127.0.0.1", ("-F", str(tmp_path / "config")))
    with pytest.raises(CommandFailed, match="Permission denied"):
        host.act(stranger.script("true"))
    with pytest.raises(CommandFailed, match="Connection refused"):
        host.act(type(host.reached)("root@127.0.0.2", ("-p", "23")).script("true"))
