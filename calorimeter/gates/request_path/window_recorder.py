"""Records the broker's trace and the proxy's log in windows of a load, and nothing in between."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from threading import Event

from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.recorded.latency_budget import TraceWindow
from calorimeter.core.toml import Model
from calorimeter.gates.evidence import proxy_log
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.broker_records import BrokerProcess, hosts
from calorimeter.gates.evidence.firehose import Firehose
from calorimeter.gates.evidence.proxy_log import LoggedConnection
from calorimeter.gates.evidence.proxy_logs import ProxyLogs, without_repeats
from calorimeter.gates.evidence.rpc_message import Delivery
from calorimeter.gates.evidence.tracing import tracing
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.request_path.recording import PathEvidence

LEAD_S = 1.0
"""Before a window, for switching tracing on: a guardian process starts, and the firehose settles."""

GRACE_S = 1.0
"""A request that was sent at the end of a window may make its first call this much later."""

MOST_TAIL_S = 10.0
"""Tracing stays on after a window until its calls are answered, but no longer than this."""

LINES_WITHIN_S = 5.0
"""After the load its connections close; their lines may take this long."""

MOST_EVENTS = 400_000
"""No further window is begun after as many events: the recording must stay readable."""

TICK_S = 1.0


class PlannedWindow(Model):
    """When a window is to begin (ns since the epoch), and its length in s."""

    begin_ns: int
    length_s: float


class WindowLog:
    """The lines of the proxies' logs whose connections were open in a window; all others are forgotten."""

    def __init__(self, logs: ProxyLogs) -> None:
        self._logs = logs
        self._kept: list[LoggedConnection] = []
        self._unparsed = 0

    def collect(self, spans: Sequence[tuple[int, int]]) -> int:
        """Take the lines received since; keep those of connections that were open in a span (ns, ns).

        Returns how many lines there were. Without spans lines are dropped unread.
        """
        lines = [line for source in self._logs.all for line in source.drain()]
        if lines and spans:
            log = proxy_log.read(lines)
            self._unparsed += len(log.unparsed)
            self._kept += (line for line in log.connections if any(_open_in(line, *span) for span in spans))
        return len(lines)

    @property
    def connections(self) -> tuple[LoggedConnection, ...]:
        """What was kept. A proxy may have logged a connection several times: each counts once."""
        return without_repeats(self._kept)

    def doubts(self) -> list[str]:
        """Why lines may be missing."""
        found = [doubt for source in self._logs.all for doubt in source.doubts]
        return found + ([f"{self._unparsed} log lines could not be parsed"] if self._unparsed else [])


def _open_in(line: LoggedConnection, from_ns: int, to_ns: int) -> bool:
    """Whether a connection was open in a span; a line that was written early does not say until when."""
    slack_ns = 2_000_000  # the log has whole ms
    if line.accepted_ns > to_ns + slack_ns:
        return False
    if line.early or line.total_ms is None:
        return True
    return line.accepted_ns + line.total_ms * 1_000_000 + slack_ns >= from_ns


class OpenCalls:
    """The calls of the engines' queue without a reply, of requests first seen until `until_ns`."""

    def __init__(self, until_ns: int) -> None:
        self._until_ns = until_ns
        self._read = 0
        self._requests: set[str] = set()
        self._open: set[str] = set()

    def none_left(self, events: Sequence[Delivery]) -> bool:
        """Whether all are answered; `events` are those so far, of which only new ones are read."""
        for event in events[self._read :]:
            if event.msg_id is None:
                continue
            if event.reply:
                self._open.discard(event.msg_id)
            elif event.kind == "publish" and event.request_id is not None:
                if event.t_ns <= self._until_ns:
                    self._requests.add(event.request_id)
                if event.request_id in self._requests:
                    self._open.add(event.msg_id)
        self._read = len(events)
        return not self._open


class WindowRecorder:
    """Takes windows one after the other until they are over, or the load is (`over` is set)."""

    def __init__(self, deployment: Deployment, over: Event) -> None:
        self._deployment = deployment
        self._over = over
        self._events: list[Delivery] = []
        self._processes: dict[str, BrokerProcess] = {}
        self._hosts: dict[str, str] = {}
        self._windows: list[TraceWindow] = []
        self._doubts: list[str] = []
        self._log: WindowLog | None = None
        self._open_from_ns: int | None = None

    def record(self, planned: Sequence[PlannedWindow]) -> PathEvidence:
        """Take the windows, wait for the end of the load, and return what was recorded.

        Whatever could not be recorded is a doubt of the recording; nothing is raised for it.
        """
        with ExitStack() as stack:
            try:
                self._log = WindowLog(stack.enter_context(ProxyLogs.of(self._deployment.proxy)))
            except (InputError, EvidenceUnavailable) as problem:
                self._doubts.append(f"the proxy's log was not received: {_why(problem)}")
            for number, window in enumerate(planned, start=1):
                why = self._window(window)
                if why is not None:
                    self._doubts.append(f"window {number} of {len(planned)} was not taken: {why}")
            self._until(None)
            self._last_lines()
        log = self._log
        return PathEvidence(
            events=tuple(self._events),
            connections=log.connections if log else (),
            processes=self._processes,
            hosts=self._hosts,
            doubts=(*dict.fromkeys(self._doubts), *(log.doubts() if log else ())),
            windows=tuple(self._windows),
        )

    def _window(self, window: PlannedWindow) -> str | None:
        """Take one window; why it was not taken."""
        if len(self._events) >= MOST_EVENTS:
            return f"the windows before hold {len(self._events)} events, enough for a budget"
        if not self._until(window.begin_ns - int(LEAD_S * 1e9)):
            return "the load had ended"
        try:
            with BrokerApi.of(self._deployment) as api:
                self._learn(api)
                why = self._trace(window)
                self._learn(api)
        except (InputError, EvidenceUnavailable) as problem:
            return _why(problem)
        finally:
            self._open_from_ns = None
        return why

    def _trace(self, window: PlannedWindow) -> str | None:
        with tracing(self._deployment) as traced:
            firehose = Firehose(self._deployment, gaps=traced.gaps)
            with firehose:
                from_ns = self._open_from_ns = max(time.time_ns(), window.begin_ns)
                self._until(from_ns + int(window.length_s * 1e9))
                to_ns = time.time_ns()
                tail = OpenCalls(to_ns + int(GRACE_S * 1e9))
                self._until(to_ns + int(GRACE_S * 1e9))
                firehose.wait_for(tail.none_left, MOST_TAIL_S)
                off_ns = time.time_ns()
        if to_ns <= from_ns:
            return "the load had ended"
        self._events += firehose.deliveries()
        self._windows.append(TraceWindow(from_ns=from_ns, to_ns=to_ns, off_ns=off_ns))
        if firehose.why_incomplete:
            self._doubts.append(f"window {len(self._windows)} is incomplete: {firehose.why_incomplete}")
        return None

    def _learn(self, api: BrokerApi) -> None:
        """Which processes have which connections: connections open and close during a load."""
        self._processes |= api.processes()
        self._hosts |= {str(process): host for process, host in hosts(api.engine_consumers()).items()}

    def _until(self, moment_ns: int | None) -> bool:
        """Wait until a moment (None: the end of the load), and collect lines; whether the load goes on."""
        while not self._over.is_set():
            left_s = TICK_S if moment_ns is None else (moment_ns - time.time_ns()) / 1e9
            if left_s <= 0:
                return True
            self._over.wait(min(left_s, TICK_S))
            self._collect()
        return False

    def _collect(self) -> int:
        if self._log is None:
            return 0
        spans = [(window.from_ns, window.off_ns) for window in self._windows]
        if self._open_from_ns is not None:
            spans.append((self._open_from_ns, time.time_ns()))
        return self._log.collect(spans)

    def _last_lines(self) -> None:
        """Collect what the end of the load brings, until no line has come for a second."""
        deadline = time.monotonic() + LINES_WITHIN_S
        while self._windows and time.monotonic() < deadline:
            time.sleep(TICK_S)  # lines are polled: a log has no end that could be waited for
            if not self._collect():
                return


def _why(problem: InputError | EvidenceUnavailable) -> str:
    return f"{problem.where} {problem.why}" if isinstance(problem, EvidenceUnavailable) else str(problem)
