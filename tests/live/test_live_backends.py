"""Servers behind the proxies, from polls made of literals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from calorimeter.core.deployment import Deployment, read
from calorimeter.live.live_backends import LiveBackends, state_of
from calorimeter.live.live_figures import BackendNow, DataSource
from tests.report.recorded import proxy_polls
from tests.report.run_builder import DEPLOYMENT, START_NS

S = 10**9


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    """Two REST and two CFN servers behind one proxy."""
    file = tmp_path / "deployment.toml"
    file.write_text(DEPLOYMENT)
    return read(file)


def row(server: str, stot: int, status: str = "UP", section: str = "rest_api_proxy") -> dict[str, Any]:
    """A server of a poll."""
    return {"section": section, "server": server, "status": status, "stot": stot, "scur": 1, "qcur": 0,
            "weight": 1, "check_status": "L7OK"}  # fmt: skip


def poll(t_s: int, *rows: dict[str, Any], proxy: str = "p1") -> dict[str, Any]:
    """A poll of one proxy."""
    return {"t_ns": START_NS + t_s * S, "proxy": proxy, "servers": list(rows)}


def test_shares_of_the_last_minute(deployment: Deployment) -> None:
    """rest-1 gets two connections a second and rest-2 one; totals of the section are no servers."""
    live = LiveBackends(deployment)
    for each in proxy_polls(90):
        live.add(each)
    found, by = live.figures(START_NS + 90 * S + 1, users=0)
    assert found[:2] == [
        BackendNow(section="rest_api_proxy", name="rest-1", state="up", status="UP", connections=120,
                   total=250, share=0.6667, predicted=0.5, sessions=0, queued=0),
        BackendNow(section="rest_api_proxy", name="rest-2", state="up", status="UP", connections=60,
                   total=120, share=0.3333, predicted=0.5, sessions=0, queued=0),
    ]  # fmt: skip
    assert [each.name for each in found[2:]] == ["cfn-1", "cfn-2"]
    assert set(by.values()) == {"source hash of any addresses"}


def test_a_server_that_is_down_is_predicted_nothing(deployment: Deployment) -> None:
    """The prediction is about the servers as they are now; the share about the last minute."""
    live = LiveBackends(deployment)
    live.add(poll(0, row("rest-1", 10), row("rest-2", 10)))
    live.add(poll(1, row("rest-1", 13), row("rest-2", 11, "DOWN 1/2")))
    first, second = live.figures(START_NS + 2 * S, users=0)[0]
    assert (first.share, first.predicted) == (0.75, 1.0)
    assert (second.share, second.predicted, second.state, second.status) == (0.25, 0.0, "down", "DOWN 1/2")


def test_without_connections_there_is_no_share(deployment: Deployment) -> None:
    """Nothing of nothing is not 0 %."""
    live = LiveBackends(deployment)
    live.add(poll(0, row("rest-1", 10), row("rest-2", 10)))
    assert [each.share for each in live.figures(START_NS + S, users=0)[0]] == [None, None]


def test_two_proxies_are_added_up_and_may_differ(deployment: Deployment) -> None:
    """A server is UP for one proxy of a pair and DOWN for the other."""
    live = LiveBackends(deployment)
    for second in (0, 1):
        live.add(poll(second, row("rest-1", second), row("rest-2", 0)))
        live.add(poll(second, row("rest-1", 2 * second, "DOWN"), row("rest-2", second), proxy="p2"))
    first, second_server = live.figures(START_NS + S + 1, users=0)[0]
    assert (first.connections, first.total) == (3, 3)
    assert (first.state, first.status) == ("differs", "p1: UP; p2: DOWN")
    assert (second_server.connections, second_server.state) == (1, "up")
    assert first.predicted == 0.0  # by p2, which got more connections


def test_a_proxy_that_is_silent_does_not_say_how_servers_are(deployment: Deployment) -> None:
    """The other proxy's word counts, and the silent one's failure is shown until it answers again."""
    live = LiveBackends(deployment)
    live.add(poll(0, row("rest-1", 5, "DOWN")))
    live.add(poll(0, row("rest-1", 5), proxy="p2"))
    live.add({"t_ns": START_NS + 20 * S, "unavailable": "p1: refused"})
    live.add(poll(20, row("rest-1", 5), proxy="p2"))
    (found,) = live.figures(START_NS + 21 * S, users=0)[0]
    assert (found.state, found.total) == ("up", 10)
    assert live.sources() == [
        DataSource(name="proxy p1", at_ns=START_NS),
        DataSource(name="proxy p2", at_ns=START_NS + 20 * S),
        DataSource(name="proxy", at_ns=0, problem="p1: refused"),
    ]
    live.add(poll(21, row("rest-1", 5)))
    live.add(poll(21, row("rest-1", 5), proxy="p2"))
    assert [each.problem for each in live.sources()] == ["", ""]


def test_the_load_s_addresses_predict(tmp_path: Path) -> None:
    """With the users of a load, its own addresses are hashed: .11 and .13 go to the second of two."""
    file = tmp_path / "deployment.toml"
    file.write_text(f'{DEPLOYMENT}[clients]\nsources = ["127.0.0.11", "127.0.0.13"]\n')
    live = LiveBackends(read(file))
    live.add(poll(0, row("rest-1", 1), row("rest-2", 1)))
    found, by = live.figures(START_NS + S, users=2)
    assert [each.predicted for each in found] == [0.0, 1.0]
    assert by == {"rest_api_proxy": "source hash of the load's 2 addresses"}


@pytest.mark.parametrize(
    "damaged",
    [
        None,
        {},
        {"t_ns": -1, "servers": []},
        {"t_ns": START_NS, "servers": [{"section": 1}]},
        {"t_ns": START_NS, "servers": 3},
        {"unavailable": "x"},
        {"t_ns": "x", "unavailable": ["x"]},
        {"t_ns": START_NS, "servers": [row("rest-1", -5)]},
    ],
)
def test_a_damaged_poll_changes_nothing(deployment: Deployment, damaged: dict[str, Any] | None) -> None:
    """It is left out as a whole."""
    live = LiveBackends(deployment)
    live.add(poll(0, row("rest-1", 5)))
    before = live.figures(START_NS + S, users=0)
    live.add(damaged)
    assert live.figures(START_NS + S, users=0) == before


def test_numbers_that_no_deployment_reaches_stay_figures(deployment: Deployment) -> None:
    """Sums of the largest counters are cut, not refused."""
    live = LiveBackends(deployment)
    for second in (0, 1):
        for proxy in "ab":
            huge = {**row("rest-1", 2**48 * second), "scur": 2**48, "weight": 2**40}
            live.add(poll(second, huge, proxy=proxy))
    (found,) = live.figures(START_NS + 2 * S, users=10**9)[0]
    assert (found.connections, found.sessions, found.predicted) == (2**48, 2**48, 1.0)


@pytest.mark.parametrize(
    ("status", "state"),
    [("UP", "up"), ("UP 1/3", "up"), ("no check", "unchecked"), ("DOWN 1/2", "down"), ("NOLB", "down"),
     ("MAINT (via a/b)", "maintenance"), ("MAINT(resolution)", "maintenance"), ("DRAIN", "drain"),
     ("", "unknown"), ("odd", "unknown")],
)  # fmt: skip
def test_haproxys_words(status: str, state: str) -> None:
    """As its manual lists them for `show stat`."""
    assert state_of(status) == state
