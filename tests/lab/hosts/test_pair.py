"""A pair of proxies, alive: one address that moves, links that are cut, tables that follow."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from calorimeter.core import paths
from calorimeter.core.deployment import read as read_deployment
from calorimeter.core.waiting import until
from calorimeter.lab import lab_state, processes
from calorimeter.lab.daemons import haproxy
from calorimeter.lab.hosts import network
from tests.conftest import lab_command
from tests.lab.hosts.pair_outages import BROKEN, FRONT, act, all_up, holder, holders, outage

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]


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
    [each for each in BROKEN if each[0] != "keepalived" and each[1] != "kill"],  # all: `bin/soak pair`
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
    until(lambda: all_up(pair, f"proxy-{first}"), 20)


def test_a_killed_keepalived_leaves_the_address_behind(pair: str) -> None:
    """kill -9 takes nobody's address away: both have it, until it is started again."""
    first = holder(pair)
    act(pair, f"keepalived-{first}", "kill")
    try:
        until(lambda: len(holders(pair)) == 2, 10)
    finally:
        act(pair, f"keepalived-{first}", "start")
    until(lambda: len(holders(pair)) == 1, 20)


def test_a_keepalived_that_a_killed_kill_left_frozen_is_started(pair: str) -> None:
    """`kill` freezes it first, and may be killed before it kills."""
    first = holder(pair)
    act(pair, f"keepalived-{first}", "freeze")
    act(pair, f"keepalived-{first}", "start")
    found = processes.running(paths.lab(pair), f"keepalived-{first}")
    assert found
    assert all(each.state != "T" for each in found)


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
