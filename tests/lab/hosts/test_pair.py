"""A pair of proxies, alive: one address that moves, links that are cut, tables that follow."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from calorimeter.core import paths
from calorimeter.core.deployment import read as read_deployment
from calorimeter.core.waiting import until
from calorimeter.lab import lab_state, processes
from calorimeter.lab.daemons import haproxy
from calorimeter.lab.hosts import network
from tests.conftest import lab_command
from tests.places import PROGRAMS

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]

FRONT = "10.0.0.250"
LONGEST_S = 90
ANSWERED_S = 3.0
"""How long the client waits for an answer."""
QUICK_S = 0.9
"""Longer than a refusal takes, and shorter than a lost packet, which is sent again after a second."""


@dataclass(frozen=True)
class Outage:
    """What a client saw that connects every 20 ms after an event.

    `lasted_s`: when the last connection began that failed. `ended`: connections that were
    refused, or ended without an answer, at once.
    """

    lasted_s: float
    ended: int
    statuses: frozenset[int]


@pytest.fixture(scope="module")
def pair() -> Iterator[str]:
    """A pair with peers; a test that breaks something mends it."""
    name = f"pair-{os.getpid()}"
    up = lab_command("up", "--name", name, "--proxies", "2", "--peers", "--engines", "2")
    if up.returncode != 0:
        pytest.fail(f"the lab did not come up:\n{up.stderr}", pytrace=False)
    try:
        yield name
    finally:
        down = lab_command("down", "--name", name)
    assert down.returncode == 0, down.stderr
    assert processes.running(paths.lab(name)) == []
    assert network.existing(name) == []
    assert not paths.lab(name).exists()


def holders(name: str) -> list[str]:
    """The proxies that hold the virtual address, by `lab status`."""
    found: list[dict[str, Any]] = json.loads(lab_command("status", "--name", name, "--json").stdout)
    return list(found[0]["holders"])


def holder(name: str) -> str:
    """The number of the proxy that holds the address alone."""
    until(lambda: len(holders(name)) == 1, 20)
    return holders(name)[0].removeprefix("proxy-")


def act(name: str, part: str, action: str) -> int:
    """Apply an action; when it took effect (ns since the epoch)."""
    done = lab_command("part", "--name", name, part, action)
    assert done.returncode == 0, done.stderr
    found = re.search(r"at_ns=(\d+)", done.stdout)
    assert found
    return int(found[1])


def outage(name: str, event: Callable[[], int], seconds: float = 9.0) -> Outage:
    """Make an event happen while a client connects, and what it saw in so many seconds from then on."""
    client = ("--host", "client-1", "--", sys.executable, str(PROGRAMS / "connect_steadily.py"))
    words = ("exec", "--name", name, *client, FRONT, "8004", str(LONGEST_S))
    command = [sys.executable, "-m", "calorimeter", "lab", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline()  # it connects
        at_ns = event()
        end_ns = at_ns + int(seconds * 1e9)
        found = []
        for line in running.stdout:
            began, status, took = line.split()
            found.append((int(began), int(status), float(took)))
            if int(began) > end_ns + ANSWERED_S * 1e9:  # all that began before the end are in
                break
        running.terminate()
    assert found[-1][0] > end_ns
    seen = [each for each in found if at_ns < each[0] < end_ns]
    failed = [began for began, status, _ in seen if status != 300]
    lasted_s = (max(failed) - at_ns) / 1e9 if failed else 0.0
    ended = sum(status == 0 and took < QUICK_S for _, status, took in seen)
    return Outage(lasted_s, ended, frozenset(status for _, status, _ in seen))


def inside(name: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command on the client host."""
    return lab_command("exec", "--name", name, "--", *command, timeout_s=60)


def _network(process: int | str) -> int:
    """The network namespace of a process."""
    return Path(f"/proc/{process}/ns/net").stat().st_ino


def test_both_apis_are_served_at_one_address(pair: str) -> None:
    """Clients of REST and CFN reach them at the virtual address, which one proxy has; the deployment file
    lists both proxies, and every daemon is in a namespace."""
    described = read_deployment(paths.lab(pair) / "deployment.toml")
    assert described.rest.url == f"http://{FRONT}:8004/v1"
    assert [proxy.name for proxy in described.proxy] == ["proxy-1", "proxy-2"]
    kinds = [(part.kind, part.name) for part in described.parts]
    for name in ("proxy-1", "proxy-2"):
        assert ("proxy", name) in kinds
    assert ("keepalived", "keepalived-2") in kinds
    assert ("host", "P1") in kinds
    assert holders(pair) == ["proxy-1"]
    listed = inside(pair, "openstack", "stack", "list", "-f", "json")
    assert json.loads(listed.stdout) == [], listed.stderr
    asked = inside(pair, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://{FRONT}:8000/")
    assert asked.stdout == "300"
    here = _network("self")
    running = processes.running(paths.lab(pair))
    assert all(_network(each.pid) != here for each in running)


@pytest.mark.parametrize(
    ("part", "fault", "heal", "within_s"),
    [
        ("proxy", "kill", "start", 5.0),
        ("proxy", "freeze", "thaw", 8.0),
        ("P", "unreachable", "reachable", 5.0),
        ("keepalived", "stop", "start", 3.0),
    ],
)
def test_the_address_leaves_what_is_broken(
    pair: str, part: str, fault: str, heal: str, within_s: float
) -> None:
    """Clients are served by the other proxy soon, and it keeps the address when the first one is back: no
    client sees that, nor a proxy whose own checks are not up yet."""
    first = holder(pair)
    broken = f"{part}{first}" if part == "P" else f"{part}-{first}"
    try:
        seen = outage(pair, lambda: act(pair, broken, fault))
        print(f"{broken} {fault}: {seen}")
        assert holder(pair) != first
        assert seen.lasted_s < within_s
        assert 503 not in seen.statuses
    finally:
        back = outage(pair, lambda: act(pair, broken, heal), 3.0)
    print(f"{broken} {heal}: {back}")
    assert holder(pair) != first
    assert back.ended == 0
    assert back.statuses <= {300, 0}  # an API of a busy machine is late now and then
    until(lambda: _all_up(pair, f"proxy-{first}"), 20)


def _all_up(name: str, proxy: str) -> bool:
    """Whether all servers of a proxy are UP."""
    lab = lab_state.open_lab(name)
    rows = [line.split(",") for line in haproxy.command(lab, "show stat", proxy).splitlines()[1:] if line]
    servers = [row[17] for row in rows if row[1] not in ("FRONTEND", "BACKEND")]
    return len(servers) == 4 and all(status.startswith("UP") for status in servers)


def test_a_killed_keepalived_leaves_the_address_behind(pair: str) -> None:
    """kill -9 takes nobody's address away: both have it, until it is started again."""
    first = holder(pair)
    act(pair, f"keepalived-{first}", "kill")
    try:
        until(lambda: len(holders(pair)) == 2, 10)
    finally:
        act(pair, f"keepalived-{first}", "start")
    until(lambda: len(holders(pair)) == 1, 20)


def test_a_host_can_be_powered_off(pair: str) -> None:
    """Proxy and keepalived go with their host, and come back with it."""
    first = holder(pair)
    act(pair, f"P{first}", "kill")
    try:
        assert holder(pair) != first
        assert not processes.running(paths.lab(pair), f"proxy-{first}")
    finally:
        act(pair, f"P{first}", "start")
    running = {each.part for each in processes.running(paths.lab(pair))}
    assert {f"proxy-{first}", f"keepalived-{first}"} <= running


def test_stick_tables_follow(pair: str) -> None:
    """What the holder knows of a client, the other proxy knows, too; also one that was restarted."""
    first = holder(pair)
    other = "2" if first == "1" else "1"
    source = "10.1.2.3"
    asked = inside(pair, "curl", "-s", "-o", "/dev/null", "--interface", source, f"http://{FRONT}:8004/")
    assert asked.returncode == 0
    lab = lab_state.open_lab(pair)

    def server(proxy: str) -> str | None:
        table = haproxy.command(lab, f"show table rest_api_proxy key {source}", proxy)
        return found[1] if (found := re.search(r"server_id=(\d+)", table)) else None

    wanted = until(lambda: server(f"proxy-{first}"), 5)
    until(lambda: server(f"proxy-{other}") == wanted, 10)
    act(pair, f"proxy-{other}", "kill")
    act(pair, f"proxy-{other}", "start")
    began = time.monotonic()
    until(lambda: server(f"proxy-{other}") == wanted, 15)
    print(f"a restarted proxy has the table after {time.monotonic() - began:.1f} s")
