"""Runs of the suite share tracing through files of their own; a killed run's tracing is switched off.

Each node of a cluster has a claim of its own.
"""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Self, cast

import pytest

from calorimeter.core.errors import InputError
from calorimeter.gates.evidence import tracing_guardian
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.broker_records import ClusterNode, Overview
from calorimeter.gates.evidence.tracing import TracedCluster, _untraced
from calorimeter.gates.evidence.tracing_guardian import SwitchedNode, TracingClaim, TracingOrder
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable


class Broker:
    """A node whose tracing is a flag; it may be away."""

    def __init__(self, node: str = "rabbit@b") -> None:
        self.on = False
        self.node = node
        self.where = "broker management http://b"
        self.away = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def overview(self) -> Overview:
        """Who answers."""
        if self.away:
            raise EvidenceUnavailable(self.where, "cannot be reached")
        return Overview(version="", stats_disabled=False, tags=("administrator",), node=self.node)

    def nodes(self) -> tuple[ClusterNode, ...]:
        """The nodes of a cluster of three, of which the last does not run."""
        return tuple(ClusterNode(name=f"rabbit@{n}", running=n != "c") for n in "abc")

    def tracing(self) -> bool:
        """Whether it is on."""
        self.overview()
        return self.on

    def set_tracing(self, on: bool) -> None:
        """Switch it."""
        self.on = on


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    """The broker of every order."""
    one = Broker()
    monkeypatch.setattr(TracingOrder, "api", lambda _: one)
    return one


@pytest.fixture
def order(tmp_path: Path) -> TracingOrder:
    """An order with a state folder of its own."""
    return TracingOrder("http://b", "u", "p", "/", True, str(tmp_path / "state"))


def die(claim: TracingClaim) -> None:
    """End a claim as the kernel does for a killed process."""
    assert claim._held is not None
    claim._held.close()


def test_tracing_that_a_killed_run_left_on_is_switched_off(broker: Broker, order: TracingOrder) -> None:
    """The file `ours` outlives run and guardian; another claim finds it and no living run."""
    dead = TracingClaim(order, "1")
    dead.take()
    assert broker.on
    die(dead)
    later = TracingClaim(order, "restoring")
    assert later.was_taken() and later.release()
    assert not broker.on and not later.was_taken()


def test_tracing_of_a_living_run_stays_on(broker: Broker, order: TracingOrder) -> None:
    """A command that looks for what killed runs left does not end the trace of another run."""
    living = TracingClaim(order, "1")
    living.take()
    assert not TracingClaim(order, "restoring").release()
    assert broker.on
    assert living.release() and not broker.on


def test_tracing_of_others_stays_on(broker: Broker, order: TracingOrder) -> None:
    """Nothing is restored that this suite did not switch on."""
    broker.on = True
    claim = TracingClaim(order, "1")
    claim.take()
    assert not claim.release()
    assert broker.on and not TracingClaim(order, "2").was_taken()


def test_its_files_are_private_whatever_the_umask(broker: Broker, order: TracingOrder) -> None:
    """0600 in folders of 0700."""
    before = os.umask(0)
    try:
        claim = TracingClaim(order, "1")
        claim.take()
        die(claim)
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in order.folder.iterdir()}
    assert modes == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (order.folder, order.folder.parent)} == {0o700}


def test_a_folder_that_others_can_write_is_not_used(broker: Broker, order: TracingOrder) -> None:
    """Somebody else's `ours` would let this suite switch off the tracing of its owner."""
    claim = TracingClaim(order, "1")
    claim.take()
    die(claim)
    order.folder.chmod(0o777)
    with pytest.raises(InputError, match="has mode 777"):
        TracingClaim(order, "2").take()


def test_a_guardian_that_cannot_write_says_why(
    broker: Broker, order: TracingOrder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a full disk or in a foreign folder tracing is not switched on, and the reason is one line."""
    claim = TracingClaim(order, "1")
    claim.take()
    die(claim)
    broker.on = False
    order.folder.chmod(0o777)
    assert guarded(monkeypatch, order) == 1
    (switched,) = json.loads(capsys.readouterr().out)
    assert "has mode 777" in switched["why"]
    assert not broker.on


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> dict[str, Broker]:
    """The nodes a and b of a cluster; an order is for the node in its URL."""
    nodes = {each: Broker(f"rabbit@{each}") for each in "ab"}
    monkeypatch.setattr(TracingOrder, "api", lambda order: nodes[order.url[-1]])
    monkeypatch.setattr(tracing_guardian, "OFF_PAUSE_S", 0.0)
    return nodes


@pytest.fixture
def orders(tmp_path: Path) -> list[TracingOrder]:
    """An order for each node."""
    state = str(tmp_path / "state")
    return [TracingOrder(f"http://{each}", "u", "p", "/", True, state) for each in "ab"]


def guarded(monkeypatch: pytest.MonkeyPatch, *orders: TracingOrder) -> int:
    """Run the guardian until its standard input ends; its exit status."""
    text = json.dumps([order._asdict() for order in orders])
    monkeypatch.setattr(sys, "stdin", io.StringIO(text + "\n"))
    monkeypatch.setattr(tracing_guardian.guardian, "ignore_signals", lambda: None)
    return tracing_guardian.main()


def test_every_node_is_switched_on_and_off(
    cluster: dict[str, Broker],
    orders: list[TracingOrder],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The guardian names the nodes that it has switched on."""
    seen: list[bool] = []
    waited = "wait_for_dismissal"
    monkeypatch.setattr(
        tracing_guardian.guardian, waited, lambda: seen.extend(n.on for n in cluster.values())
    )
    assert guarded(monkeypatch, *orders) == 0
    assert [each["node"] for each in json.loads(capsys.readouterr().out)] == ["rabbit@a", "rabbit@b"]
    assert seen == [True, True]
    assert not any(node.on for node in cluster.values())


def test_a_node_that_is_away_does_not_keep_the_others_from_being_traced(
    cluster: dict[str, Broker],
    orders: list[TracingOrder],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its reason is reported, and is no failure of the guardian."""
    cluster["b"].away = True
    assert guarded(monkeypatch, *orders) == 0
    (first, second) = json.loads(capsys.readouterr().out)
    assert (first["why"], second["why"]) == ("", "cannot be reached")
    assert not cluster["a"].on


def test_a_node_that_goes_away_is_switched_off_when_it_is_back(
    cluster: dict[str, Broker], orders: list[TracingOrder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim of a node that stays away is kept for the next command; the other node's is not."""

    def freeze() -> None:
        cluster["b"].away = True

    monkeypatch.setattr(tracing_guardian.guardian, "wait_for_dismissal", freeze)
    assert guarded(monkeypatch, *orders) == 1
    assert [node.on for node in cluster.values()] == [False, True]
    first, second = (TracingClaim(order, "restoring") for order in orders)
    assert not first.was_taken() and second.was_taken()
    cluster["b"].away = False
    assert second.release() and not cluster["b"].on


def test_another_node_at_the_url_is_not_taken_for_the_one_that_was_switched_on(
    cluster: dict[str, Broker], orders: list[TracingOrder]
) -> None:
    """Behind a load balancer each connection may reach another node: the claim stays, and says so."""
    claim = TracingClaim(orders[0], "1")
    assert claim.take() == "rabbit@a"
    cluster["a"].node = "rabbit@b"
    with pytest.raises(EvidenceUnavailable, match="for rabbit@b, and tracing was left on at rabbit@a"):
        claim.release()
    cluster["a"].node = "rabbit@a"
    assert claim.release() and not cluster["a"].on


def test_an_untraced_node_is_a_gap(cluster: dict[str, Broker], orders: list[TracingOrder]) -> None:
    """A node that runs and is not traced, one that was restarted, one that does not answer any more."""
    api = cast(BrokerApi, cluster["a"])
    on = {"rabbit@a": orders[0]}
    failed = [SwitchedNode("http://a", "rabbit@a"), SwitchedNode("http://b", "", "cannot be reached")]
    cluster["a"].on = True
    traced = TracedCluster(api, on, _untraced(api, on, failed))
    assert traced.gaps() == ["tracing is not on at rabbit@b: http://b cannot be reached"]
    undescribed = TracedCluster(api, on, _untraced(api, on, failed[:1]))
    assert undescribed.gaps() == [
        "tracing is not on at rabbit@b: no node of [broker] names its management API"
    ]
    cluster["b"].on = True
    both = TracedCluster(api, {**on, "rabbit@b": orders[1]}, {})
    assert both.gaps() == []
    cluster["a"].on = False
    cluster["b"].away = True
    assert both.gaps() == [
        "tracing of rabbit@a was switched off during the recording",
        "whether tracing of rabbit@b is still on is unknown: it cannot be reached",
    ]
