"""The experiment of P5: waits that only a timeout of the proxy can end, for a client or for a server."""

from __future__ import annotations

import socket
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from calorimeter.core import waiting
from calorimeter.core.balance_policy import Policy
from calorimeter.core.deployment import Address, Api
from calorimeter.core.expect import Expect
from calorimeter.core.faults.schedule import FaultCommands
from calorimeter.gates.affinity.failover_trial import await_state, breakable
from calorimeter.gates.clients.attribution import Attribution
from calorimeter.gates.clients.http_get import connect, request, tls_context
from calorimeter.gates.clients.log_join import with_lines
from calorimeter.gates.clients.own_address import inject_and_probe, own_address
from calorimeter.gates.clients.visit_rounds import apis, sources, strongest
from calorimeter.gates.context import Context, shared
from calorimeter.gates.evidence import proxy_polling
from calorimeter.gates.evidence.identity import session
from calorimeter.gates.evidence.proxy_stats import StatsSource
from calorimeter.gates.evidence.stats_sources import proxy_stats
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.healing import carried_out, healing
from calorimeter.gates.proxy.timeouts import (
    APPLY,
    LATE_S,
    Mode,
    TimeoutWait,
    TimeoutWaits,
    WaitKind,
    masked_by_checks,
)
from calorimeter.gates.repeated_work import RepeatedWork

POLL_EVERY_S = 0.02
SPARE_S = 2.0
"""How much longer than the latest allowed moment a wait is watched."""

LINES_WITHIN_S = 2.0
UNDESCRIBED_S = 30.0
TRIED_SOURCES = 200
"""Sources that are tried to find one of the backend that is made unreachable, which may be a light one."""

VISITS = 3
"""Visits of each of them, to see whether it stays on its server."""

FAULT_FOR: dict[WaitKind, str] = {"hung": "freeze", "connect": "unreachable"}
"""Wait → the fault that makes a backend keep its client waiting in this way.

The first retry of a `connect` shows when the timeout fired. A `hung` backend is needed only in `mode http`,
and only if `upload` did not show the same timeout.
"""


@dataclass(frozen=True, slots=True)
class _Section:
    """An API, and the mode of its section of the proxy."""

    name: str
    api: Api
    mode: Mode

    def wait(
        self, kind: WaitKind, opening: float, began: float, watch_s: float, **seen: Any
    ) -> TimeoutWait:
        """The record of a wait; `opening` and `began` are when its connection and it started."""
        return TimeoutWait(
            api=self.name,
            mode=self.mode,
            what=kind,
            begun_s=began - opening,
            gave_up_s=watch_s,
            **seen,
        )

    def waits_with_fault(self, made: Collection[WaitKind]) -> Iterator[WaitKind]:
        """The waits that need a broken backend, after those that were made without one."""
        yield "connect"
        if self.mode == "http" and "upload" not in made:
            yield "hung"


@dataclass(frozen=True, slots=True)
class QuietWaits:
    """Waits that need no broken backend, and how late timers were at worst meanwhile (seconds)."""

    sections: Sequence[_Section]
    waits: Sequence[TimeoutWait]
    late_s: float


@dataclass(slots=True)
class _Made:
    """A wait, and the client's end of its connection."""

    wait: TimeoutWait
    source: str
    port: int


def timeouts(context: Context) -> TimeoutWaits:
    """Make the waits of both APIs at once, then those that need a broken backend.

    Raises EvidenceUnavailable if the proxy does not show in which mode it runs.
    """
    quiet = quiet_waits(context)
    stats = proxy_stats(context.deployment)
    described = described_timeouts(context.deployment.expect)
    sections, waits = quiet.sections, [*quiet.waits]
    masked: dict[str, dict[str, str]] = {section.name: {} for section in sections}
    missed: dict[str, tuple[str, ...]] = {}
    lateness = _Lateness(stats[0])
    with lateness.polling:
        for section in sections:
            for kind in section.waits_with_fault([w.what for w in waits if w.api == section.name]):
                try:
                    waits += _with_fault(context, stats, section, kind, described, masked[section.name])
                except EvidenceUnavailable as problem:
                    why = f"{problem.where}: {problem.why}"
                    missed[section.name] = (*missed.get(section.name, ()), why)
    return TimeoutWaits(
        described=described,
        waits=tuple(waits),
        masked=masked,
        missed=missed,
        late_s=max(quiet.late_s, lateness.worst_s),
    )


@shared
def quiet_waits(context: Context) -> QuietWaits:
    """The waits of both APIs that need no broken backend, at once. Raises as `timeouts`."""
    stats = proxy_stats(context.deployment)
    described = described_timeouts(context.deployment.expect)
    sections = [_Section(name, api, _mode(stats, api)) for name, api in apis(context).items()]
    context.say(f"connections that only a timeout ends, for {_longest_s(described, sections):g} s")
    lateness = _Lateness(stats[0])
    with lateness.polling, strongest(context, context.api("rest"), stats) as attribution:
        attribution.start([section.api for section in sections])
        made = _without_fault(context, sections, described)
        waits = [w for section in sections for w in _with_terminations(attribution, section, made)]
    return QuietWaits(sections, tuple(waits), lateness.worst_s)


def _longest_s(described: dict[str, float], sections: Sequence[_Section]) -> float:
    kinds: tuple[WaitKind, ...] = ("silent", "hung", "upload")
    return max(
        _watch_s(described, section.mode, kind)
        for section in sections
        for kind in kinds
        if (section.mode, kind) in APPLY
    )


def described_timeouts(expect: Expect) -> dict[str, float]:
    """Timeout → seconds, of the described ones. `timeout queue` belongs to P4."""
    names = ("client", "server", "connect", "http-request")
    described = {name: getattr(expect, f"timeout_{name.replace('-', '_')}_s") for name in names}
    return {name: seconds for name, seconds in described.items() if seconds is not None}


def _mode(stats: Sequence[StatsSource], api: Api) -> Mode:
    for row in stats[0].show_stat():
        if row.section == api.proxy_section and row.mode in ("tcp", "http"):
            return "http" if row.mode == "http" else "tcp"
    raise EvidenceUnavailable(stats[0].where, f"does not show the mode of {api.proxy_section}")


def _watch_s(described: dict[str, float], mode: str, kind: WaitKind) -> float:
    """How long a wait is watched: until the shortest of its timeouts must have fired."""
    known = [described[name] for name in APPLY[mode, kind] if name in described]
    return min(known, default=UNDESCRIBED_S) + LATE_S + SPARE_S


def _without_fault(
    context: Context, sections: Sequence[_Section], described: dict[str, float]
) -> list[_Made]:
    """The waits that need no broken backend, all at the same time."""
    planned: list[tuple[_Section, WaitKind, bytes]] = []
    for section in sections:
        planned.append((section, "silent", b""))
        if section.mode == "tcp":
            # Half a request: the API waits for the other half and answers nothing.
            planned.append((section, "hung", f"GET / HTTP/1.1\r\nHost: {section.api.front}\r\n".encode()))
        elif section.name == "cfn":
            planned.append((section, "upload", _cfn_upload(section.api)))
        elif context.deployment.identity is not None:
            planned.append((section, "upload", _rest_upload(context)))

    def make(plan: tuple[_Section, WaitKind, bytes]) -> _Made:
        section, kind, payload = plan
        watch_s = _watch_s(described, section.mode, kind)
        return _wait(context, section, kind, sources(context, section.api)[0], payload, watch_s)

    with ThreadPoolExecutor(max_workers=len(planned)) as pool:
        return list(pool.map(make, planned))


def _rest_upload(context: Context) -> bytes:
    """A create whose body is never sent; heat-api reads the body only after it has checked the token."""
    identity = session(context.deployment)
    token = f"X-Auth-Token: {identity.token()}"
    url = identity.rest_url("/stacks")
    return upload_without_body(context.api("rest").front, url, "application/json", token)


def _cfn_upload(api: Api) -> bytes:
    """A call whose form is never sent; heat-api-cfn reads the form to identify the caller."""
    return upload_without_body(api.front, f"{api.url.rstrip('/')}/", "application/x-www-form-urlencoded")


def upload_without_body(front: Address, url: str, content_type: str, *more: str) -> bytes:
    """The headers of a POST to a URL that announce a body."""
    lines = [
        f"POST {urlsplit(url).path} HTTP/1.1",
        f"Host: {front}",
        f"Content-Type: {content_type}",
        "Content-Length: 64",
    ]
    return ("\r\n".join([*lines, *more]) + "\r\n\r\n").encode()


def _sent(context: Context, api: Api, source: str | None, payload: bytes) -> socket.socket:
    """A connection, through TLS if the front speaks it, on which `payload` was sent."""
    connection = connect(api.front, source, tls=tls_context(api, context.deployment.tls))
    if payload:
        connection.sendall(payload)
    return connection


def _wait(
    context: Context, section: _Section, kind: WaitKind, client: str | None, payload: bytes, watch_s: float
) -> _Made:
    """Open a connection, send a payload, and time when the proxy ends it."""
    opening = time.monotonic()
    ended_s, answer = None, b""
    try:
        with _sent(context, section.api, client, payload) as connection:
            source, port = connection.getsockname()[:2]
            began = time.monotonic()
            connection.settimeout(watch_s)
            # TimeoutError: it still lasts. A reset is an end without an answer.
            with suppress(TimeoutError):
                with suppress(ConnectionResetError):
                    answer = connection.recv(4096)
                ended_s = time.monotonic() - began
    except OSError as problem:
        raise EvidenceUnavailable(section.name, problem.strerror or str(problem)) from problem
    ended_by = answer.split(b"\r\n", 1)[0].decode("ascii", "replace") if answer else "closed"
    by = ended_by if ended_s is not None else ""
    wait = section.wait(kind, opening, began, watch_s, ended_s=ended_s, ended_by=by)
    return _Made(wait, source, port)


def _with_terminations(
    attribution: Attribution, section: _Section, made: Sequence[_Made]
) -> list[TimeoutWait]:
    """A section's waits, each with the termination state in the proxy's log, if it has a line of it."""
    own = [each for each in made if each.wait.api == section.name]
    # `option dontlognull` may keep some out.
    ended = sum(each.wait.ended_s is not None for each in own)
    lines = attribution.lines(section.api, ended, LINES_WITHIN_S)
    return [
        each.wait.model_copy(update={"termination": line.termination}) if line else each.wait
        for each, line in with_lines(own, lines)
    ]


def _with_fault(
    context: Context,
    stats: Sequence[StatsSource],
    section: _Section,
    kind: WaitKind,
    described: dict[str, float],
    masked: dict[str, str],
) -> list[TimeoutWait]:
    """One whole request to a backend that is broken for it, unless health checks end that wait first."""
    name, api = APPLY[section.mode, kind][0], section.api
    if name not in described:
        return []
    fault = breakable(context, api, stats, FAULT_FOR[kind]) if context.may_break else None
    if fault is None:
        masked[name] = f"is not proven: no backend may be made {FAULT_FOR[kind]!r} here"
        return []
    if (why := _masked(context, stats, api, fault, described[name])) is not None:
        masked[name] = why
        return []
    balance = context.deployment.expect.of(section.name).balance
    if Policy.of(balance) is not Policy.SOURCE:
        masked[name] = f"is not proven: `balance {balance}` sends no client to one backend for sure"
        return []
    source, payload = source_of(context, stats, api, fault.part), request(api.front, keep=True)
    watch_s = _watch_s(described, section.mode, kind)
    with healing(context):
        context.say(f"{fault.part} {fault.fault}")
        own = own_address(api, fault.part, context.deployment.tls)
        _, happened = inject_and_probe(own, lambda: carried_out(context.injector.inject, fault))
        if happened is False:
            raise EvidenceUnavailable(
                f"{fault.part}: {fault.fault}",
                "did not happen: it answered at its own address after the command had succeeded",
            )
        if kind == "connect":
            before, opening = _retries(stats, api, fault.part), time.monotonic()
            with _sent(context, api, source, payload):
                wait = _first_retry(stats, section, fault.part, before, opening, watch_s)
        else:
            wait = _wait(context, section, kind, source, payload, watch_s).wait
    await_state(context, stats, api, fault, up=True)
    return [wait]


def _masked(
    context: Context, stats: Sequence[StatsSource], api: Api, fault: FaultCommands, timeout_s: float
) -> str | None:
    """Why health checks may end the wait before this timeout does; None if no proxy's checks can."""
    rows = [row for row in proxy_polling.server_rows(stats, api.proxy_section) if row.name == fault.part]
    if any(row.status == "no check" or not row.check_status for row in rows):
        return None
    reasons = (masked_by_checks(proxy.checks, fault.fault, timeout_s) for proxy in context.proxies)
    return next(filter(None, reasons), None)


def source_of(context: Context, stats: Sequence[StatsSource], api: Api, server: str) -> str:
    """A source that the proxy sends to this server. Raises EvidenceUnavailable if none can be relied on."""
    tried = sources(context, api)[:TRIED_SOURCES]
    with strongest(context, api, stats) as attribution:
        visits = attribution.visits(api, list(tried) * VISITS).visits
    found: defaultdict[str, set[str]] = defaultdict(set)
    for visit in visits:
        if visit.server is not None:
            found[visit.source].add(visit.server)
    unsteady = sum(len(servers) > 1 for servers in found.values())
    if unsteady:
        why = (
            f"{unsteady} of {len(found)} sources are on more than one backend: none can be sent to {server}"
        )
        raise EvidenceUnavailable(api.proxy_section, why)
    source = next((source for source, servers in found.items() if server in servers), None)
    if source is None:
        why = f"{len(found)} of {len(tried)} sources could be placed, none of them on {server}"
        raise EvidenceUnavailable(api.proxy_section, why)
    return source


def _first_retry(
    stats: Sequence[StatsSource],
    section: _Section,
    server: str,
    before: int,
    opening: float,
    watch_s: float,
) -> TimeoutWait:
    """The wait until the proxy counts more than `before` retries of a server."""
    began = time.monotonic()

    def retried() -> float | None:
        return time.monotonic() - began if _retries(stats, section.api, server) > before else None

    ended_s = waiting.poll(retried, watch_s, every_s=POLL_EVERY_S)
    return section.wait("connect", opening, began, watch_s, ended_s=ended_s, ended_by="the first retry")


def _retries(stats: Sequence[StatsSource], api: Api, server: str) -> int:
    """Failed attempts of a server: retries, redispatches and connections given up."""
    rows = [row for row in proxy_polling.server_rows(stats, api.proxy_section) if row.name == server]
    return sum((row.wretr or 0) + (row.wredis or 0) + (row.econ or 0) for row in rows)


class _Lateness:
    """How late timers are at worst, while `polling` is entered.

    This process's timers: by one that should fire every 50 ms. The proxy's: at most by how long it takes to
    answer a request for its state, because its timers share a loop with these answers.
    """

    EVERY_S = 0.05

    def __init__(self, proxy: StatsSource) -> None:
        self.worst_s = 0.0
        self._proxy = proxy
        self.polling = RepeatedWork("lateness", self.EVERY_S, self._read)
        self._since = time.monotonic()

    def _read(self) -> None:
        woke = time.monotonic()
        with suppress(EvidenceUnavailable):  # the experiment itself reads this source, and reports that
            self._proxy.show_stat()
        now = time.monotonic()
        self.worst_s = max(self.worst_s, woke - self._since - self.EVERY_S, now - woke)
        self._since = now
