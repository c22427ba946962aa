"""Golden evidence for P6, and the socket tables it is read from."""

from __future__ import annotations

from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.proxy.keepalive import (
    AllKeptAlive,
    EstablishedSocket,
    KeptAlive,
    keepalive_is_set,
    sockets,
)

SS = """\
State  Recv-Q Send-Q    Local Address:Port     Peer Address:Port Process
LISTEN 0      4096          127.0.0.1:8004          0.0.0.0:*     ino:1 sk:1 <->
ESTAB  0      0             127.0.0.1:8004       127.16.0.1:40000 timer:(keepalive,119min,0) ino:2 sk:2
ESTAB  0      0             127.0.0.1:50000       127.0.0.1:9001  ino:3 sk:3
ESTAB  0      0      [::ffff:10.0.0.1]:8004 [::ffff:10.0.0.9]:4 timer:(keepalive,1min59sec,0) ino:4
ESTAB  0      0                 [::1]:8004             [::1]:5  timer:(on,200ms,0) ino:5
TIME-WAIT 0   0             127.0.0.1:8004       127.16.0.2:40001 timer:(timewait,42sec,0) ino:0
"""

NETSTAT = """\
tcp        0      0 10.0.0.1:8004   10.0.0.9:40000  ESTABLISHED keepalive (7100.12/0/0)
tcp        0      0 10.0.0.1:50000  10.0.0.2:8004   ESTABLISHED off (0.00/0/0)
"""


def test_table_of_ss_is_read() -> None:
    """Established connections with and without a keep-alive timer, IPv4, IPv6 and mapped."""
    found = sockets(SS)
    assert {ends: s.keepalive for ends, s in found.items()} == {
        ("127.0.0.1:8004", "127.16.0.1:40000"): True,
        ("127.0.0.1:50000", "127.0.0.1:9001"): False,
        ("10.0.0.1:8004", "10.0.0.9:4"): True,
        ("::1:8004", "::1:5"): False,
    }


def test_table_of_netstat_is_read() -> None:
    """The same from `netstat -tano`."""
    found = sockets(NETSTAT)
    assert [s.keepalive for s in found.values()] == [True, False]


def judged(
    client: bool | None, server: bool | None, wanted: bool = True, sockets: tuple[int, int] = (1, 1)
) -> Judgement:
    """The judgement on this many `sockets` of a side, with or without a timer (None: not in the table)."""
    sides = [
        ()
        if on is None
        else tuple(EstablishedSocket(local="p:1", peer=peer, keepalive=on) for _ in range(count))
        for on, peer, count in ((client, "c:1", sockets[0]), (server, "s:1", sockets[1]))
    ]
    kept = KeptAlive(
        api="rest",
        wanted=wanted,
        front="p:1",
        held=("c:1",),
        client_side=sides[0],
        server_side=sides[1],
        tables=1,
        lines=9,
    )
    return keepalive_is_set(AllKeptAlive(apis=(kept,)))


def test_both_sides_pass() -> None:
    """Timers on both sides pass."""
    assert judged(True, True).outcome is Outcome.PASS


def test_missed_rate_is_that_of_the_side_with_fewer_sockets() -> None:
    """Twelve sockets to clients say nothing about the four to servers."""
    figures = judged(True, True, sockets=(12, 4)).figures
    assert (figures["rest_sources"], figures["rest_connections"], figures["rest_sockets"]) == (1, 1, 16)
    assert figures["rest_missed_rate_95"] == 0.527129  # 1 - 0.05^(1/4)


def test_one_side_without_fails_and_is_named() -> None:
    """A side without a timer is the counter-example."""
    judgement = judged(True, False)
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == ("REST server side p:1 → s:1: no keep-alive timer",)


def test_unwanted_keepalive_fails() -> None:
    """The judgement is against what the owner wants."""
    assert judged(True, True, wanted=False).outcome is Outcome.FAIL
    assert judged(False, False, wanted=False).outcome is Outcome.PASS


def test_connections_missing_from_the_table_are_inconclusive() -> None:
    """If the table does not show both sides, it may be another host's."""
    assert judged(None, True).outcome is Outcome.INCONCLUSIVE
    assert judged(True, None).outcome is Outcome.INCONCLUSIVE
