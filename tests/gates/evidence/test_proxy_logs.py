"""Several logs of one proxy, and several proxies."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest

from calorimeter.core.deployment import Api, Backend, Proxy
from calorimeter.gates.clients import log_attribution
from calorimeter.gates.clients.log_attribution import LogAttribution
from calorimeter.gates.clients.visits import Visit
from calorimeter.gates.evidence import proxy_log, proxy_logs
from calorimeter.gates.evidence.proxy_log import LogLine, ProxyLog
from calorimeter.gates.evidence.proxy_logs import ProxyLogs


class Written:
    """A log that holds these lines."""

    dropped = 0

    def __init__(self, where: str, *texts: str, dropped: int = 0) -> None:
        self.where = where
        self.dropped = dropped
        self.doubts = (f"{where} lost some",) if dropped else ()
        self.texts = texts

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *of: object) -> None:
        """Nothing to close."""

    def lines(self) -> tuple[LogLine, ...]:
        """All lines."""
        return tuple(LogLine(n, text) for n, text in enumerate(self.texts))

    def drain(self) -> tuple[LogLine, ...]:
        """All lines, and they are gone."""
        drained, self.texts = self.lines(), ()
        return drained

    def wait_for(self, predicate: Callable[[Sequence[LogLine]], bool], timeout_s: float) -> bool:
        """They are all here already."""
        return predicate(self.lines())


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that never come are not waited for as long as on a real proxy."""
    monkeypatch.setattr(log_attribution, "STRAGGLERS_S", 0.05)


def line(
    port: int, server: str = "a", section: str = "r", header: str = "<134>Nov 22 10:00:00 h haproxy[1]: "
) -> str:
    """One connection of `option tcplog`."""
    return (
        f"{header}10.0.0.9:{port} [22/Nov/2026:10:00:00.{port:03}] r {section}/{server} "
        "1/0/3 200 -- 1/1/0/0/0 0/0"
    )


DOWN = "<133>Nov 22 10:00:01 h haproxy[1]: Server r/b is DOWN, reason: Layer4 connection problem."


def attributed(logs: ProxyLogs, ports: Sequence[int], ended: tuple[int, int] = (0, 3)) -> Any:
    """What the logs make of a visit from each port, while the proxy counted from and to `ended`."""
    counts = iter(ended)
    row = SimpleNamespace(section="r", kind="backend", scur=0)

    def show_stat() -> tuple[Any, ...]:
        return (SimpleNamespace(**vars(row), stot=next(counts)),)

    stats: Any = [SimpleNamespace(show_stat=show_stat)]
    api = Api(url="http://h/v1", proxy_section="r", backends=(Backend(name="a", address="h:1"),))
    made = [Visit(source="10.0.0.9", port=p, sent_ns=0, done_ns=1, status=300) for p in ports]
    context: Any = None
    attribution = LogAttribution(context, stats, logs)
    texts = {log: log.drain() for log in logs.all}  # they come after the start
    attribution.start([api])
    for log, lines in texts.items():
        vars(log)["texts"] = tuple(each.text for each in lines)
    return attribution.attributed(api, made)


class Late(Written):
    """A log that has one line more whenever it is waited for."""

    def __init__(self, where: str, *texts: str, late: Sequence[str]) -> None:
        super().__init__(where, *texts)
        self.late = list(late)

    def wait_for(self, predicate: Callable[[Sequence[LogLine]], bool], timeout_s: float) -> bool:
        """One comes."""
        if self.late:
            self.texts = (*self.texts, self.late.pop(0))
        return super().wait_for(predicate, timeout_s)


def test_own_lines_are_waited_for_where_others_visit_too() -> None:
    """On a proxy in use others' lines make up for the number before the last of ours have come."""
    logs = ProxyLogs([[Late("udp://h:1", line(7), line(8), late=(line(1), line(2), line(9)))]])
    found = attributed(logs, (1, 2), ended=(0, 5))
    assert [visit.server for visit in found.visits] == ["a", "a"]
    (count,) = found.logs
    assert (count.logged, count.connections) == (5, 5)


def test_two_logs_of_one_proxy_count_once() -> None:
    """UDP and a file show the same connections: the fuller one is used, and the verdict can say which."""
    whole = Written("file:///l", *(line(p, header="Nov 22 10:00:00 h haproxy[1]: ") for p in (1, 2, 3)))
    logs = ProxyLogs([[Written("udp://h:1", line(1), line(2), dropped=1), whole]])
    found = attributed(logs, (1, 2, 3))
    (log,) = found.logs
    assert (log.source, log.logged, log.connections, log.dropped, log.doubts) == ("file:///l", 3, 3, 0, ())
    assert found.clients == {"10.0.0.9": {"a": 3}}
    assert found.passed_over == (
        "udp://h:1 is the same proxy's log and was not used: it has 2 connections of r, file:///l has 3",
    )


def test_client_of_an_ipv6_listener_is_the_source_that_visited() -> None:
    """`bind :::8004 v4v6` logs ::ffff:10.0.0.9 for it: it is no second client, as of another load."""
    lines = [line(port).replace("10.0.0.9", "::ffff:10.0.0.9") for port in (1, 2, 3)]
    found = attributed(ProxyLogs([[Written("udp://h:1", *lines)]]), (1, 2, 3))
    assert [visit.server for visit in found.visits] == ["a", "a", "a"]
    assert found.clients == {"10.0.0.9": {"a": 3}}


def test_copies_do_not_hide_lost_lines() -> None:
    """Two logs of two lines each are no four of three connections."""
    pair = [Written(where, line(1), line(2)) for where in ("udp://h:1", "file:///l")]
    found = attributed(ProxyLogs([pair]), (1, 2))
    assert [(log.source, log.logged, log.connections) for log in found.logs] == [("udp://h:1", 2, 3)]


def test_copies_of_forgotten_lines_are_forgotten() -> None:
    """The line of a first visit that one log had in time comes in the other one, and again, after it."""
    fast, slow = Written("udp://h:1", line(1)), Written("file:///l")
    logs = ProxyLogs([[fast, slow]])
    logs.forget()
    fast.texts = (line(1, header="<142>"), line(2))
    slow.texts = (line(1), line(2))
    assert [c.client_port for c in logs.read().connections] == [2]
    assert [(f.log.where, len(f.connections), f.repeated) for f in logs.fullest("r")] == [
        ("udp://h:1", 1, 0)
    ]
    assert not logs.holds(" r/", 2)


def test_what_happens_to_a_server_again_is_not_forgotten() -> None:
    """The proxy says it in the same words."""
    log = Written("udp://h:1", DOWN)
    logs = ProxyLogs([[log]])
    logs.forget()
    log.texts = (DOWN,)
    assert [event.state for event in logs.events("r")] == ["DOWN"]


def test_copies_do_not_make_a_log_the_fullest() -> None:
    """Two connections, each line twice, are fewer than three."""
    twice = Written("udp://h:1", line(1), line(1), line(2), line(2))
    logs = ProxyLogs([[twice, Written("file:///l", line(1), line(2), line(3))]])
    assert [c.client_port for c in logs.read().connections] == [1, 2, 3]
    assert [log.where for log in logs.used()] == ["file:///l"]


def test_a_line_that_comes_twice_in_one_log_counts_once() -> None:
    """A proxy that logs by `global` and by its section sends each line twice, with headers of their own."""
    twice = Written("udp://h:1", *(line(p, header=h) for p in (1, 2) for h in ("<134>", "<142>")))
    (log,) = attributed(ProxyLogs([[twice]]), (1, 2)).logs
    assert (log.lines, log.logged, log.repeated, log.connections) == (4, 2, 2, 3)


def test_a_port_that_is_used_again_is_not_matched_with_a_copy() -> None:
    """Of a port's two connections the second is the second, not the first one's copy."""
    again = line(7, "b").replace(".007", ".900")
    logs = ProxyLogs(
        [[Written("udp://h:1", line(7), line(7), again), Written("file:///l", line(7), again)]]
    )
    assert [visit.server for visit in attributed(logs, (7, 7)).visits] == ["a", "b"]


def test_logs_of_two_proxies_are_counted_together() -> None:
    """A pair behind one address: each has a part of the connections."""
    logs = ProxyLogs([[Written("udp://h:1", line(1))], [Written("udp://h:2", line(2), line(3))]])
    found = attributed(logs, (1, 2, 3))
    assert [(log.source, log.logged) for log in found.logs] == [("udp://h:1", 3), ("udp://h:2", 3)]
    assert found.passed_over == ()


def test_waiting_is_for_different_lines_of_the_fullest_log() -> None:
    """Copies are not what is waited for."""
    logs = ProxyLogs([[Written("u", line(1), line(1), line(2)), Written("f", line(1), line(2))]])
    assert logs.holds(" r/", 2)
    assert not logs.holds(" r/", 3)


def test_each_section_is_read_from_its_own_fullest_log() -> None:
    """REST in one file, CFN in another, and what happened to servers in a third."""
    rest, cfn = Written("f:r", line(1), line(2)), Written("f:c", line(3, "c", "cfn"), line(1))
    logs = ProxyLogs([[rest, cfn, Written("f:n", DOWN, "gibberish")]])
    found = logs.read()
    assert sorted((c.backend, c.client_port) for c in found.connections) == [("cfn", 3), ("r", 1), ("r", 2)]
    assert [(e.server, e.state) for e in found.events] == [("b", "DOWN")]
    assert [log.where for log in logs.used()] == ["f:r", "f:c"]
    assert found.unparsed == ()  # of a log that is not used for connections
    assert [e.server for e in logs.events("r")] == ["b"]


def test_proxies_that_share_a_log_are_one_group(tmp_path: Path) -> None:
    """A pair that logs to one file: it is opened once, and its lines are not the first proxy's alone."""
    shared, own = (f"file://{tmp_path}/{name}.log" for name in ("shared", "own"))
    logs = ProxyLogs.of(
        [
            Proxy(name="one", logs=(shared, shared)),
            Proxy(name="two", logs=(own, shared)),
            Proxy(name="three", logs=("udp://127.0.0.1:1",)),
            Proxy(name="four"),
        ]
    )
    assert [[log.where for log in group] for group in logs.groups] == [[shared, own], ["udp://127.0.0.1:1"]]


def test_logs_are_entered_and_left_together(tmp_path: Path) -> None:
    """What a file gains meanwhile is read, and forgotten when asked."""
    file = tmp_path / "haproxy.log"
    with ProxyLogs.of([Proxy(logs=(f"file://{file}",))]) as logs:
        file.write_text(line(1) + "\n", encoding="utf-8")
        assert logs.await_lines(lambda: logs.holds(" r/", 1), 5.0)
        assert len(logs.read().connections) == 1
        logs.forget()
        assert logs.read().connections == ()


def test_lines_are_parsed_once_as_long_as_none_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of the same lines again takes no second look at them; a new line is seen."""
    parsed: list[int] = []

    def read(lines: Sequence[LogLine]) -> ProxyLog:
        parsed.append(len(lines))
        return proxy_log.read(lines)

    monkeypatch.setattr(proxy_logs, "read", read)
    log = Written("udp://h:1", line(1), line(2), DOWN)
    logs = ProxyLogs([[log]])
    assert (len(logs.fullest("r")[0].connections), len(logs.events("r")), len(logs.used())) == (2, 1, 1)
    assert parsed == [3]
    log.texts = (*log.texts, line(3))
    assert len(logs.read().connections) == 3
    assert parsed == [3, 4]
    logs.forget()
    assert logs.read().connections == ()


def test_what_is_enough_is_found_out_without_holding_lines_up(tmp_path: Path) -> None:
    """Parsing takes time, in which a log goes on receiving: its thread must not wait for that."""
    file = tmp_path / "haproxy.log"
    with ProxyLogs.of([Proxy(logs=(f"file://{file}",))]) as logs:
        (log,) = logs.all
        received: list[int] = []

        def enough() -> bool:
            before = len(log.lines())
            with file.open("a", encoding="utf-8") as more:
                more.write(line(len(received) + 1) + "\n")
            deadline = time.monotonic() + 2.0
            while len(log.lines()) == before and time.monotonic() < deadline:
                time.sleep(0.01)
            received.append(len(log.lines()) - before)
            return len(received) == 2

        assert logs.await_lines(enough, 10.0)
        assert received == [1, 1]
