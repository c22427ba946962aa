"""The stage of a trial: clients, the proxy's state and its log are watched while something is broken."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from calorimeter.core.deployment import Address, Api, address
from calorimeter.core.faults.injector import FaultInjector
from calorimeter.core.faults.schedule import Commands, commands
from calorimeter.gates.clients.sources import addresses, check_bindable
from calorimeter.gates.context import Context
from calorimeter.gates.evidence.proxy_log import ProxyLog
from calorimeter.gates.evidence.proxy_logs import ProxyLogs
from calorimeter.gates.evidence.stats_sources import proxy_stats
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.healing import carried_out
from calorimeter.gates.health.outage import AGREE_S
from calorimeter.gates.health.probes import Probes, attributed
from calorimeter.gates.health.trial import Change, Direct, Injected, Said, Trial, Wanted
from calorimeter.gates.repeated import Repeated

SOURCES = 24
"""Source addresses of each API, the last `KEPT` of which keep their connection."""

KEPT = 4
LOOK_EVERY_S = 0.04
GAP_NS = round(AGREE_S * 1e9)
"""From here on a time without a look is kept: it says how late the proxy's own timers may have been."""

BASELINE_S = 1.5
LINES_WITHIN_S = 5.0
"""Time for the log's lines of the last connections to come."""

SETTLE_S = 20.0
"""Time for all sources to be answered once before anything is broken."""


class Watch:
    """The proxies' server states, looked at again and again in a thread."""

    def __init__(self, context: Context) -> None:
        self._stats = proxy_stats(context.deployment)
        self.proxies = tuple(stats.name for stats in self._stats)
        self.changes: list[Change] = []
        self.now: dict[tuple[str, str, str], tuple[str, int]] = {}
        self.check_ms: dict[str, int] = {}
        self.sessions: dict[tuple[str, str], int] = {}
        self.largest_gap_ns = 0
        self.gaps: list[tuple[int, int]] = []
        self._looked: dict[str, int] = {}
        self._looks = Repeated("states", LOOK_EVERY_S, self.look)
        self.look()

    def __enter__(self) -> Self:
        self._looks.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._looks.__exit__(kind, error, trace)

    def look(self) -> None:
        """Look at every proxy once."""
        for stats in self._stats:
            proxy, asked = stats.name, time.time_ns()
            rows = stats.show_stat()
            answered = time.time_ns()
            before = self._looked.get(proxy, 0)
            if before:
                self.largest_gap_ns = max(self.largest_gap_ns, answered - before)
                if answered - before > GAP_NS:
                    self.gaps.append((before, answered))
            for row in rows:
                if row.kind != "server":
                    continue
                where = (proxy, row.section, row.name)
                self.sessions[row.section, row.name] = row.scur or 0
                good = (row.check_status or "").startswith(("L7OK", "L6OK", "L4OK"))
                if good and row.check_duration is not None:
                    place = f"{row.section}/{row.name}"
                    self.check_ms[place] = max(self.check_ms.get(place, 0), row.check_duration)
                if self.now.get(where, ("", 0))[0] != row.status:
                    self.changes.append(
                        Change(
                            proxy=proxy, section=row.section, server=row.name,
                            status=row.status, last_ns=before, seen_ns=answered,
                        )
                    )  # fmt: skip
                    self.now[where] = (row.status, answered)
            self._looked[proxy] = asked

    def check(self) -> None:
        """Raise what ended the looks, where something did."""
        self._looks.check()

    def shows(self, section: str, server: str, *statuses: str) -> bool:
        """Whether every proxy shows a server with a status that starts with one of `statuses` now."""
        self.check()
        return all(
            self.now.get((proxy, section, server), ("", 0))[0].startswith(statuses)
            for proxy in self.proxies
        )


class Target:
    """One backend that is to be broken, with the commands that its owner gave for one fault."""

    def __init__(self, api: str, described: Api, commands: Commands, where: Address) -> None:
        self.api = api
        self.section = described.proxy_section
        self.server = commands.part
        self.commands = commands
        self.address = where


def targets(context: Context, fault: str, *, every: bool = False) -> list[Target]:
    """The backends of both APIs that can be given a fault: one of each API, or `every` one.

    Raises `EvidenceUnavailable` where an API has none: nothing is broken without its owner's commands.
    """
    found: list[Target] = []
    parts = {part.name: part for part in context.deployment.parts}
    for name in ("rest", "cfn"):
        api = context.deployment.api(name)
        if api is None:
            continue
        able = [
            Target(name, api, given, address(backend.address))
            for backend in api.backends
            if backend.name in parts and (given := commands(parts[backend.name], fault)) is not None
        ]
        if not able or (every and len(able) < len(api.backends)):
            whom = "every backend" if every else "a backend"
            raise EvidenceUnavailable(
                str(context.deployment.path),
                f"[[parts]] gives no commands to {fault} {whom} of {name} and to bring it back",
            )
        found += able if every else able[:1]
    return found


class Stage:
    """Everything that watches a trial, and the hand that breaks; left, all is healed."""

    def __init__(
        self, context: Context, fault: str, broken: Sequence[Target], direct_path: str | None = "/"
    ) -> None:
        self.context = context
        self.fault = fault
        self.targets = broken
        self.injector: FaultInjector = context.injector
        self.injected: dict[str, Injected] = {}
        self._past: list[Injected] = []
        self.watch = Watch(context)
        self._logs = ProxyLogs.of(context.proxies)
        self._apis = {t.api: context.api(t.api) for t in broken}
        self.wanted = _wanted(context)
        self._direct: dict[str, list[Direct]] = {t.server: [] for t in broken}
        self.probes = Probes(
            self._apis,
            {name: _sources(context, api) for name, api in self._apis.items()},
            KEPT,
            {t.server: (t.address, direct_path) for t in broken if direct_path is not None},
            context.deployment.tls,
            self.wanted.hang_s + 5,
        )
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack:
            self._stack.callback(self.injector.heal_all)
            self._stack.enter_context(self._logs)
            self._stack.enter_context(self.watch)
            self._stack.callback(self.probes.stop, 0.0)
            self.began_ns = time.time_ns()
            self.probes.start()
            self._baseline()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _baseline(self) -> None:
        wanted = sum(min(SOURCES, len(_sources(self.context, api))) for api in self._apis.values())
        began = time.monotonic()
        self.until(
            lambda: len(self.probes.answered) >= wanted and time.monotonic() - began > BASELINE_S, SETTLE_S
        )

    def until(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Wait until a condition holds; False where it does not in time."""
        deadline = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def pause(self, seconds: float) -> None:
        """Let the clients go on for a while: what they meet in it is the evidence."""
        time.sleep(seconds)

    def inject(self, chosen: Sequence[Target] | None = None, *, record: bool = True) -> None:
        """Break the targets, all at once; `EvidenceUnavailable` where a command fails.

        Without `record` it is a step on the way, of which the evidence does not speak.
        """

        def one(target: Target) -> None:
            done = carried_out(self.injector.inject, target.commands)
            if not record:
                return
            if target.server in self.injected:
                self._past.append(self.injected[target.server])
            self.injected[target.server] = Injected(
                api=target.api,
                section=target.section,
                server=target.server,
                fault=target.commands.fault,
                at_ns=done.at_ns or done.began_ns,
                exact=done.at_ns is not None,
                ended_ns=done.ended_ns,
            )

        self._say(chosen, "")
        _each(one, chosen or self.targets)

    def _say(self, chosen: Sequence[Target] | None, ending: str) -> None:
        done = [f"{target.server} {target.commands.fault}{ending}" for target in chosen or self.targets]
        self.context.say(", ".join(done))

    def heal(self, chosen: Sequence[Target] | None = None, *, record: bool = True) -> None:
        """Bring the targets back, all at once; `EvidenceUnavailable` where a command fails."""

        def one(target: Target) -> None:
            began = time.time_ns()
            done = carried_out(self.injector.heal, target.commands)
            injected = self.injected.get(target.server)
            if record and injected is not None:
                self.injected[target.server] = injected.model_copy(
                    update={"heal_began_ns": done.at_ns or began, "healed_ns": done.ended_ns}
                )

        self._say(chosen, " is ended")
        _each(one, chosen or self.targets)

    def shows(self, *statuses: str, chosen: Sequence[Target] | None = None) -> bool:
        """Whether the proxy shows all targets with one of these statuses."""
        return all(self.watch.shows(t.section, t.server, *statuses) for t in chosen or self.targets)

    def serving(self, target: Target) -> bool:
        """Whether a backend's last direct answer was a healthy one."""
        last = self._directs(target.server)[-1:]
        return bool(last) and last[0].healthy

    def note(self, target: Target, direct: Direct) -> None:
        """Keep a direct request that was made beside the probes'."""
        self._direct[target.server].append(direct)

    def _directs(self, server: str) -> list[Direct]:
        return [*self.probes.directs.get(server, ()), *self._direct.get(server, ())]

    def trial(self, wait_s: float = 3.0) -> Trial:
        """End the clients, and give what was seen; requests open after `wait_s` count as not answered."""
        self.probes.stop(wait_s)
        self.watch.check()
        ended = time.time_ns()
        wanted = {(a.source, a.port) for a in self.probes.attempts if a.status and not a.kept}
        self._logs.await_lines(lambda: wanted <= self._ends(), LINES_WITHIN_S)
        entries = self._logs.read()
        injected = tuple(
            each.model_copy(update={"direct": tuple(self._directs(each.server))})
            for each in (*self._past, *self.injected.values())
        )
        apis = {api.proxy_section: api for api in self._apis.values()}
        connections = [c for c in entries.connections if c.backend in apis]
        return Trial(
            fault=self.fault,
            began_ns=self.began_ns,
            ended_ns=ended,
            checks=self.context.proxies[0].checks,
            wanted=self.wanted,
            backends={s: tuple(b.name for b in api.backends) for s, api in apis.items()},
            injected=injected,
            proxies=self.watch.proxies,
            changes=tuple(self.watch.changes),
            logged=bool(self._logs.all),
            log_doubts=tuple(self._doubts(entries)),
            said=tuple(
                Said(section=e.section, server=e.server, state=e.state,
                     received_ns=e.received_ns, reason=e.reason)
                for e in entries.events
                if e.section in apis
            ),
            check_ms=dict(self.watch.check_ms),
            largest_gap_ns=self.watch.largest_gap_ns,
            gaps=tuple(self.watch.gaps),
            attempts=attributed(self.probes.attempts, connections),
        )  # fmt: skip

    def _ends(self) -> set[tuple[str, int]]:
        """Address and port of each client of a connection in the log so far."""
        return {connection.end for connection in self._logs.read().connections}

    def _doubts(self, entries: ProxyLog) -> Iterator[str]:
        """Why the log may lack lines."""
        for log in self._logs.used():
            if log.dropped:
                yield f"{log.where}: {log.dropped} lines were lost"
            yield from log.doubts
        if entries.doubt:
            yield entries.doubt


def _each(work: Callable[[Target], None], chosen: Sequence[Target]) -> None:
    with ThreadPoolExecutor(max_workers=len(chosen)) as pool:
        for done in [pool.submit(work, target) for target in chosen]:
            done.result()


def _sources(context: Context, api: Api) -> Sequence[str | None]:
    family = socket.AF_INET6 if ":" in api.front.host else socket.AF_INET
    found = addresses(context.deployment.clients.sources, SOURCES, family=family)
    for source in found[:1] + found[-1:]:
        check_bindable(source)
    return found or [None] * (KEPT * 2)


def _wanted(context: Context) -> Wanted:
    expect = context.deployment.expect
    timeouts = (expect.timeout_queue_s, expect.timeout_server_s, expect.timeout_connect_s)
    return Wanted(
        max_detection_s=expect.max_detection_s,
        max_recovery_s=expect.max_recovery_s,
        cut_sessions=expect.cut_sessions,
        hang_s=max((t for t in timeouts if t is not None), default=60.0),
    )
