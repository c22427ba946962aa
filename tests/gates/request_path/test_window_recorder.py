"""Windows of tracing during a load: what is recorded in them, and what becomes of one that fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from calorimeter.core import deployment as deployments
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.trace_windows import TraceWindows
from calorimeter.gates.evidence.broker_records import BrokerProcess
from calorimeter.gates.evidence.proxy_log import LogLine
from calorimeter.gates.evidence.proxy_logs import ProxyLogs
from calorimeter.gates.evidence.rpc_message import Delivery
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.request_path import window_recorder
from calorimeter.gates.request_path.window_process import LoadWindows
from calorimeter.gates.request_path.window_recorder import (
    OpenCalls,
    PlannedWindow,
    WindowLog,
    WindowRecorder,
)
from tests.gates.request_path.test_path import T0, event

MS = 1_000_000

FILE = """
name = "cloud"
[rest]
url = "http://127.0.0.1:8004/v1"
proxy_section = "rest"
backends = [{ name = "rest-1", address = "127.0.1.1:8004" }]
[consent]
level = "LEVEL"
"""

BROKER = """
[broker]
vhost = "/"
user = "heat"
password = { env = "HOME" }
nodes = [{ name = "rabbit@a", amqp = "amqp://127.0.0.1:1", management = "http://127.0.0.1:1" }]
"""


def cloud(folder: Path, level: str = "invasive", more: str = BROKER) -> Deployment:
    """A deployment whose broker nobody is."""
    (folder / "cloud.toml").write_text(FILE.replace("LEVEL", level) + more)
    return deployments.read(folder / "cloud.toml")


def call(number: int, at_ms: int) -> Delivery:
    """The publish of a call."""
    return event(
        "publish", "api", f"u{number}", at_ms=at_ms, request_id=f"req-{number}", msg_id=f"m{number}"
    )


def reply(number: int, at_ms: int) -> Delivery:
    """Its reply."""
    return event(
        "publish", "e1", f"r{number}", "", at_ms=at_ms, request_id=None, msg_id=f"m{number}", reply=True
    )


def test_a_window_goes_on_until_the_calls_of_its_requests_are_answered() -> None:
    """Calls of requests that begin later are not awaited, further calls of earlier requests are."""
    tail = OpenCalls(T0 + 100 * MS)
    events = [call(1, 10), call(2, 90)]
    assert not tail.none_left(events)
    events += [reply(1, 110), call(3, 120), reply(2, 130)]
    assert tail.none_left(events)
    second = event("publish", "api", "u9", at_ms=140, request_id="req-1", msg_id="m9")
    events += [second]
    assert not tail.none_left(events)
    events += [reply(9, 150)]
    assert tail.none_left(events)


class _Lines:
    """A log that was received."""

    where = "udp://here"
    doubts: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.waiting: list[LogLine] = []

    def drain(self) -> tuple[LogLine, ...]:
        """All lines, once."""
        found, self.waiting = tuple(self.waiting), []
        return found


def logged(port: int, at: str, total_ms: str) -> LogLine:
    """A line of tcplog."""
    return LogLine(
        1, f"127.0.0.1:{port} [29/Jul/2026:12:00:{at}] rest rest/rest-1 0/0/{total_ms} 100 -- 1/1/1/1/0 0/0"
    )


def test_only_lines_of_connections_that_were_open_in_a_window_are_kept() -> None:
    """Memory does not grow with the load; the same line in two logs counts once."""
    log, copy = _Lines(), _Lines()
    logs = ProxyLogs([])
    logs.groups = ((log, copy),)  # type: ignore[assignment]
    kept = WindowLog(logs)
    log.waiting = [logged(1, "01.000", "500")]
    assert kept.collect([]) == 1
    (sample,) = window_recorder.proxy_log.read([logged(1, "10.000", "0")]).connections
    ten_ns = sample.accepted_ns
    log.waiting = [
        logged(2, "08.000", "1000"),
        logged(3, "08.000", "3000"),
        logged(4, "11.000", "10"),
        logged(5, "13.000", "10"),
        logged(6, "01.000", "+10"),
        logged(7, "12.001", "10"),
        LogLine(1, "no line of a proxy"),
    ]
    copy.waiting = [logged(3, "08.000", "3000")]
    assert kept.collect([(ten_ns, ten_ns + 2_000 * MS)]) == 8
    assert [line.client_port for line in kept.connections] == [3, 4, 6, 7]
    assert kept.doubts() == ["1 log lines could not be parsed"]


def test_windows_that_cannot_be_taken_are_doubts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker is away: the recording is empty, says why, and ends with the load."""
    monkeypatch.setattr(window_recorder, "LEAD_S", 0.0)
    over = Event()

    def unavailable(deployment: Deployment) -> Any:
        over.set()  # the load ends at the first window
        raise EvidenceUnavailable("broker management http://127.0.0.1:1", "cannot be reached")

    monkeypatch.setattr(window_recorder.BrokerApi, "of", unavailable)
    planned = [PlannedWindow(begin_ns=0, length_s=1.0), PlannedWindow(begin_ns=0, length_s=1.0)]
    found = WindowRecorder(cloud(tmp_path), over).record(planned)
    assert (found.events, found.windows) == ((), ())
    assert found.doubts == (
        "window 1 of 2 was not taken: broker management http://127.0.0.1:1 cannot be reached",
        "window 2 of 2 was not taken: the load had ended",
    )


class _Traced:
    """What is traced: everything that was in the firehose when the window was over."""

    why_incomplete = "more than 100000 waited"

    def __init__(self, *_: Any, **__: Any) -> None:
        self.entered = 0

    def __enter__(self) -> _Traced:
        return self

    def __exit__(self, *_: object) -> None: ...

    def wait_for(self, predicate: Any, deadline_s: float) -> bool:
        """All calls are answered."""
        return bool(predicate(self.deliveries()))

    def deliveries(self) -> tuple[Delivery, ...]:
        """One call."""
        return (call(1, 10), reply(1, 20))

    # The management API:

    def processes(self) -> dict[str, BrokerProcess]:
        """One API process."""
        return {"api": BrokerProcess(role="heat-api", pid=1, host="h")}

    def engine_consumers(self) -> tuple[Any, ...]:
        """None."""
        return ()


def test_a_window_is_recorded_with_its_times_and_tracing_is_off_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two windows: tracing was switched on and off twice; what is missing in them is a doubt."""
    switched: list[str] = []

    @contextmanager
    def tracing(deployment: Deployment) -> Iterator[Any]:
        switched.append("on")
        yield type("Cluster", (), {"gaps": list})
        switched.append("off")

    monkeypatch.setattr(window_recorder, "LEAD_S", 0.0)
    monkeypatch.setattr(window_recorder, "GRACE_S", 0.0)
    monkeypatch.setattr(window_recorder, "tracing", tracing)
    monkeypatch.setattr(window_recorder, "Firehose", _Traced)
    monkeypatch.setattr(window_recorder.BrokerApi, "of", lambda _: _Traced())
    monkeypatch.setattr(window_recorder, "LINES_WITHIN_S", 0.0)
    over = Event()
    recorder = WindowRecorder(cloud(tmp_path), over)
    until = recorder._until

    def ended(moment_ns: int | None) -> bool:
        if moment_ns is None:
            over.set()
        return until(moment_ns)

    monkeypatch.setattr(recorder, "_until", ended)
    begin_ns = time.time_ns()
    found = recorder.record([PlannedWindow(begin_ns=begin_ns, length_s=0.01)] * 2)
    assert switched == ["on", "off"] * 2
    assert len(found.events) == 4 and found.processes["api"].role == "heat-api"
    for window in found.windows:
        assert begin_ns <= window.from_ns < window.to_ns <= window.off_ns <= time.time_ns()
        assert window.to_ns - window.from_ns >= 10 * MS
    assert found.doubts == tuple(f"window {n} is incomplete: more than 100000 waited" for n in (1, 2))


@pytest.mark.parametrize(
    ("level", "more", "why"),
    [
        ("load", BROKER, "consent.level: is 'load', but this command switches the broker's tracing on"),
        ("invasive", "", r"cloud\.toml: has no \[broker\]; valid with --trace-windows: \[broker\]"),
    ],
)
def test_a_load_does_not_begin_without_what_its_windows_need(
    tmp_path: Path, level: str, more: str, why: str
) -> None:
    """One line, before anything starts."""
    plan = TraceWindows(1, 1.0).within(0.0, 10.0)
    with pytest.raises(InputError, match=why):
        LoadWindows.of(cloud(tmp_path, level, more), plan)
    assert LoadWindows.of(cloud(tmp_path), plan)
