"""Runs a trial: clients send requests, the proxy's state is polled and its log received, and faults are
injected and healed."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from calorimeter.core.control.controlled_part import APIS
from calorimeter.core.deployment import Api
from calorimeter.core.faults.schedule import FaultCommands, commands
from calorimeter.core.waiting import poll
from calorimeter.gates.clients.own_address import OwnAddress, of_backend
from calorimeter.gates.clients.sources import addresses, check_bindable
from calorimeter.gates.context import Context
from calorimeter.gates.evidence.proxy_log import ProxyLog
from calorimeter.gates.evidence.proxy_logs import ProxyLogs
from calorimeter.gates.evidence.stats_sources import proxy_stats
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.healing import carried_out
from calorimeter.gates.health.detection import AGREE_S
from calorimeter.gates.health.probes import Probes, attributed
from calorimeter.gates.health.trial import (
    DirectRequest,
    Expectations,
    FaultTrial,
    InjectedFault,
    LoggedStatus,
    StatusChange,
)
from calorimeter.gates.repeated_work import RepeatedWork

SOURCES = 24
"""Source addresses of each API, the last `KEPT` of which keep their connection."""

KEPT = 4
POLL_EVERY_S = 0.04
GAP_NS = round(AGREE_S * 1e9)
"""A longer time between two polls is recorded: it says how late the proxy's own timers may have been."""

BASELINE_S = 1.5
LINES_WITHIN_S = 5.0
"""Time for the log lines of the last connections to be received."""

SETTLE_S = 20.0
"""Time for every source to get one answer before a fault is injected."""


class StatePolling(RepeatedWork):
    """The state of all servers in all proxies, polled in a thread while this is entered.

    `changes` are the changes of status in order; `status` is (proxy, section, server) → the latest status;
    `sessions` is (section, server) → open sessions; `check_ms` is `section/server` → its longest successful
    check. Raises `EvidenceUnavailable` if a proxy's state cannot be read; once entered, `check` raises it.
    """

    def __init__(self, context: Context) -> None:
        super().__init__("states", POLL_EVERY_S, self.poll)
        self._stats = proxy_stats(context.deployment)
        self._polled_ns: dict[str, int] = {}
        self.proxies = tuple(stats.name for stats in self._stats)
        self.changes: list[StatusChange] = []
        self.status: dict[tuple[str, str, str], str] = {}
        self.check_ms: dict[str, int] = {}
        self.sessions: dict[tuple[str, str], int] = {}
        self.largest_gap_ns = 0
        self.gaps: list[tuple[int, int]] = []
        self.poll()

    def poll(self) -> None:
        """Poll every proxy once."""
        for stats in self._stats:
            proxy, sent_ns = stats.name, time.time_ns()
            rows = stats.show_stat()
            received_ns = time.time_ns()
            before_ns = self._polled_ns.get(proxy, 0)
            if before_ns:
                self.largest_gap_ns = max(self.largest_gap_ns, received_ns - before_ns)
                if received_ns - before_ns > GAP_NS:
                    self.gaps.append((before_ns, received_ns))
            for row in rows:
                if row.kind != "server":
                    continue
                self.sessions[row.section, row.name] = row.scur or 0
                good = (row.check_status or "").startswith(("L7OK", "L6OK", "L4OK"))
                if good and row.check_duration is not None:
                    name = f"{row.section}/{row.name}"
                    self.check_ms[name] = max(self.check_ms.get(name, 0), row.check_duration)
                place = (proxy, row.section, row.name)
                if self.status.get(place) != row.status:
                    self.changes.append(
                        StatusChange(
                            proxy=proxy, section=row.section, server=row.name,
                            status=row.status, last_ns=before_ns, seen_ns=received_ns,
                        )
                    )  # fmt: skip
                    self.status[place] = row.status
            self._polled_ns[proxy] = sent_ns

    def shows(self, section: str, server: str, *statuses: str) -> bool:
        """Whether every proxy now shows a server with a status that starts with one of `statuses`."""
        self.check()
        places = ((proxy, section, server) for proxy in self.proxies)
        return all(self.status.get(place, "").startswith(statuses) for place in places)


@dataclass(frozen=True, slots=True)
class FaultTarget:
    """One backend that gets a fault, with its owner's commands for it."""

    api: str
    section: str
    commands: FaultCommands
    own: OwnAddress

    @property
    def server(self) -> str:
        """The backend's name, which is its server's name in the proxy."""
        return self.commands.part

    @property
    def key(self) -> str:
        """`SECTION/SERVER`: both APIs may have servers of one name."""
        return f"{self.section}/{self.server}"

    def __str__(self) -> str:
        """`rest-1 kill`."""
        return f"{self.server} {self.commands.fault}"


def fault_targets(context: Context, fault: str, *, every: bool = False) -> list[FaultTarget]:
    """The backends of both APIs that can be given a fault: one of each API, or `every` one.

    Raises `EvidenceUnavailable` if an API has none: nothing is broken without its owner's commands.
    """
    found: list[FaultTarget] = []
    for name in APIS:
        api = context.deployment.api(name)
        if api is None:
            continue
        parts = {part.name: part for part in context.deployment.parts_of(name)}
        able = [
            FaultTarget(name, api.proxy_section, given, of_backend(backend, context.deployment.tls))
            for backend in api.backends
            if backend.name in parts and (given := commands(parts[backend.name], fault)) is not None
        ]
        if not able or (every and len(able) < len(api.backends)):
            backends = "every backend" if every else "a backend"
            raise EvidenceUnavailable(
                str(context.deployment.path),
                f"[[parts]] has no commands that inject {fault!r} into {backends} of {name} and heal it",
            )
        found += able if every else able[:1]
    return found


class FaultRig:
    """Clients, polling, log and fault commands of one trial; when it is left every fault is healed.

    `direct_path` is what the targets are asked for at their own addresses; None: the experiment asks itself
    and calls `note`.
    """

    def __init__(
        self, context: Context, fault: str, targets: Sequence[FaultTarget], direct_path: str | None = "/"
    ) -> None:
        self.context = context
        self.fault = fault
        self.targets = targets
        self.injected: dict[str, InjectedFault] = {}
        self._past: list[InjectedFault] = []
        self.states = StatePolling(context)
        self._logs = ProxyLogs.of(context.proxies)
        self._apis = {t.api: context.api(t.api) for t in targets}
        self.expectations = _expectations(context)
        self._noted: dict[str, list[DirectRequest]] = {t.key: [] for t in targets}
        self._sources = {name: fault_sources(context, api) for name, api in self._apis.items()}
        self.probes = Probes(
            self._apis,
            self._sources,
            KEPT,
            {t.key: (t.own, direct_path) for t in targets if direct_path is not None},
            context.deployment.tls,
            self.expectations.hang_s + 5,
        )
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack:
            self._stack.callback(self.context.injector.heal_all)
            self._stack.enter_context(self._logs)
            self._stack.enter_context(self.states)
            self._stack.callback(self.probes.stop, 0.0)
            self.began_ns = time.time_ns()
            self.probes.start()
            expected = sum(min(SOURCES, len(sources)) for sources in self._sources.values())
            poll(lambda: len(self.probes.answered) >= expected, SETTLE_S, every_s=0.02)
            time.sleep(max(0.0, BASELINE_S - (time.time_ns() - self.began_ns) / 1e9))
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def inject(self, targets: Sequence[FaultTarget] | None = None, *, record: bool = True) -> None:
        """Inject the fault into all targets at once; `EvidenceUnavailable` if a command fails.

        Without `record` it is a preparation that the evidence does not contain.
        """

        def inject_one(target: FaultTarget) -> None:
            done = carried_out(self.context.injector.inject, target.commands)
            if not record:
                return
            if target.key in self.injected:
                self._past.append(self.injected[target.key])
            self.injected[target.key] = InjectedFault(
                api=target.api,
                section=target.section,
                server=target.server,
                fault=target.commands.fault,
                at_ns=done.at_ns or done.began_ns,
                exact=done.at_ns is not None,
                by_ns=done.by_ns or 0,
                ended_ns=done.ended_ns,
            )

        self.context.say(", ".join(map(str, targets or self.targets)))
        _at_once(inject_one, targets or self.targets)

    def heal(self, targets: Sequence[FaultTarget] | None = None, *, record: bool = True) -> None:
        """Heal all targets at once; `EvidenceUnavailable` if a command fails."""

        def heal_one(target: FaultTarget) -> None:
            began_ns = time.time_ns()
            done = carried_out(self.context.injector.heal, target.commands)
            injected = self.injected.get(target.key)
            if record and injected is not None:
                self.injected[target.key] = injected.model_copy(
                    update={"heal_began_ns": done.at_ns or began_ns, "healed_ns": done.ended_ns}
                )

        self.context.say(f"healing {', '.join(map(str, targets or self.targets))}")
        _at_once(heal_one, targets or self.targets)

    def shows(self, *statuses: str, targets: Sequence[FaultTarget] | None = None) -> bool:
        """Whether the proxies show each target with one of these statuses."""
        return all(self.states.shows(t.section, t.server, *statuses) for t in targets or self.targets)

    def serving(self, targets: Sequence[FaultTarget] | None = None) -> bool:
        """Whether each target's last direct answer was a healthy one."""
        last = [self._direct(target.key)[-1:] for target in targets or self.targets]
        return all(requests and requests[0].healthy for requests in last)

    def note(self, target: FaultTarget, request: DirectRequest) -> None:
        """Add a direct request that the experiment made itself to the evidence."""
        self._noted[target.key].append(request)

    def _direct(self, key: str) -> list[DirectRequest]:
        return [*self.probes.directs.get(key, ()), *self._noted.get(key, ())]

    def trial(self, wait_s: float = 3.0) -> FaultTrial:
        """Stop the clients and return the evidence; requests open after `wait_s` count as not answered."""
        self.probes.stop(wait_s)
        self.states.check()
        ended_ns = time.time_ns()
        answered = {(a.source, a.port) for a in self.probes.attempts if a.status and not a.kept}

        def all_logged() -> bool:
            return answered <= {connection.end for connection in self._logs.read().connections}

        self._logs.await_lines(all_logged, LINES_WITHIN_S)
        entries = self._logs.read()
        injected = tuple(
            fault.model_copy(update={"direct": tuple(self._direct(f"{fault.section}/{fault.server}"))})
            for fault in (*self._past, *self.injected.values())
        )
        apis = {api.proxy_section: api for api in self._apis.values()}
        connections = [c for c in entries.connections if c.backend in apis]
        return FaultTrial(
            fault=self.fault,
            began_ns=self.began_ns,
            ended_ns=ended_ns,
            checks=self.context.proxies[0].checks,
            wanted=self.expectations,
            backends={s: tuple(b.name for b in api.backends) for s, api in apis.items()},
            injected=injected,
            proxies=self.states.proxies,
            changes=tuple(self.states.changes),
            logged=bool(self._logs.all),
            log_doubts=tuple(self._log_doubts(entries)),
            said=tuple(
                LoggedStatus(section=e.section, server=e.server, state=e.state,
                             received_ns=e.received_ns, reason=e.reason)
                for e in entries.events
                if e.section in apis
            ),
            check_ms=dict(self.states.check_ms),
            largest_gap_ns=self.states.largest_gap_ns,
            gaps=tuple(self.states.gaps),
            attempts=attributed(self.probes.attempts, connections),
        )  # fmt: skip

    def _log_doubts(self, entries: ProxyLog) -> Iterator[str]:
        """Why lines of the log may be missing."""
        for log in self._logs.used():
            if log.dropped:
                yield f"{log.where}: {log.dropped} lines were lost"
            yield from log.doubts
        if entries.doubt:
            yield entries.doubt


def _at_once(work: Callable[[FaultTarget], None], targets: Sequence[FaultTarget]) -> None:
    with ThreadPoolExecutor(max_workers=len(targets)) as pool:
        list(pool.map(work, targets))


def fault_sources(context: Context, api: Api) -> Sequence[str | None]:
    """The addresses from which clients send during a fault; the operating system picks if none are given.

    Raises InputError if this machine cannot send from them.
    """
    family = socket.AF_INET6 if ":" in api.front.host else socket.AF_INET
    found = addresses(context.deployment.clients.sources, SOURCES, family=family)
    for source in found[:1] + found[-1:]:
        check_bindable(source)
    return found or [None] * (KEPT * 2)


def _expectations(context: Context) -> Expectations:
    expect = context.deployment.expect
    return Expectations(
        max_detection_s=expect.max_detection_s,
        max_recovery_s=expect.max_recovery_s,
        cut_sessions=expect.cut_sessions,
        hang_s=expect.longest_wait_s,
        balance={api: expect.of(api).balance for api in ("rest", "cfn")},
    )
