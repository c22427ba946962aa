"""Waits that only a timeout of the proxy can end: for a client, for a body, for an answer, for a server."""

from __future__ import annotations

import socket
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from calorimeter.core.deployment import Api, Expect, Tls
from calorimeter.gates.affinity.failover_trial import await_state, breakable
from calorimeter.gates.clients.attribution import Attribution, strongest
from calorimeter.gates.clients.held_connections import connect
from calorimeter.gates.clients.own_address import own_address, struck
from calorimeter.gates.clients.visit_rounds import sources
from calorimeter.gates.clients.visiting import tls_context
from calorimeter.gates.context import Context
from calorimeter.gates.evidence import proxy_polling
from calorimeter.gates.evidence.identity import session
from calorimeter.gates.evidence.proxy_stats import StatsSource
from calorimeter.gates.evidence.stats_sources import proxy_stats
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.healing import carried_out, healing
from calorimeter.gates.proxy.timeouts import APPLY, LATE_S, Mode, Timeouts, Wait, What
from calorimeter.gates.repeated import Repeated

LOOK_EVERY_S = 0.02
SPARE_S = 2.0
"""How much longer than the latest allowed moment a wait is watched."""

LINES_WITHIN_S = 2.0
UNDESCRIBED_S = 30.0
FEW = 200
"""Sources that are tried to find one of the backend that is made unreachable, which may be a light one."""

VISITS = 3
"""Of each of them, to see that it stays where it is."""

BROKEN_FOR: dict[What, str] = {"hung": "freeze", "connect": "unreachable"}
"""What is waited for → the fault that makes a backend keep its client waiting so. Of a `connect` its first
retry shows when the timeout fired; a `hung` backend is needed in `mode http` alone, where `upload` cannot
show the same."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """An API whose timeouts are waited for, in the mode of its section of the proxy."""

    name: str
    api: Api
    mode: Mode

    def broken(self, seen: Collection[What]) -> Iterator[What]:
        """What of it needs a broken backend to be waited for."""
        yield "connect"
        if self.mode == "http" and "upload" not in seen:
            yield "hung"


def timeouts(context: Context) -> Timeouts:
    """Make the waits of each API at once, then those that need a broken backend.

    Raises `EvidenceUnavailable` where the proxy does not show in which mode it runs.
    """
    stats = proxy_stats(context.deployment)
    described = described_timeouts(context.deployment.expect)
    apis = {name: api for name in ("rest", "cfn") if (api := context.deployment.api(name)) is not None}
    asked = [_Asked(name, api, _mode(stats, api)) for name, api in apis.items()]
    masked: dict[str, dict[str, str]] = {name: {} for name in apis}
    missed: dict[str, tuple[str, ...]] = {}
    late = _Lateness(stats[0])
    with late.looks:
        with strongest(context, context.api("rest"), stats) as way:
            if way.log is not None:
                way.log.forget()
            made = _at_once(context, asked, described)
            _await_lines(way, asked, [wait for wait, _ in made])
            waits = [_with_termination(way, apis[wait.api], wait, end) for wait, end in made]
        for each in asked:
            for what in each.broken([wait.what for wait in waits if wait.api == each.name]):
                try:
                    waits += _with_fault(context, stats, each, what, described, masked[each.name])
                except EvidenceUnavailable as problem:
                    missed[each.name] = (*missed.get(each.name, ()), f"{problem.where}: {problem.why}")
    return Timeouts(
        described=described, waits=tuple(waits), masked=masked, missed=missed, late_s=late.worst_s
    )


def described_timeouts(expect: Expect) -> dict[str, float]:
    """Timeout → seconds, of those that are described; `queue` is the matter of saturation (P4)."""
    found = {
        "client": expect.timeout_client_s,
        "server": expect.timeout_server_s,
        "connect": expect.timeout_connect_s,
        "http-request": expect.timeout_http_request_s,
    }
    return {name: seconds for name, seconds in found.items() if seconds is not None}


def _mode(stats: Sequence[StatsSource], api: Api) -> Mode:
    for row in stats[0].show_stat():
        if row.section == api.proxy_section and row.mode in ("tcp", "http"):
            return "http" if row.mode == "http" else "tcp"
    raise EvidenceUnavailable(stats[0].where, f"does not show the mode of {api.proxy_section}")


def _watch_s(described: dict[str, float], mode: str, what: What) -> float:
    """How long a wait is watched: until the shortest of its timeouts must have fired."""
    known = [described[name] for name in APPLY[mode, what] if name in described]
    return min(known, default=UNDESCRIBED_S) + LATE_S + SPARE_S


Begin = Callable[[], socket.socket]
End = tuple[str, int]
"""Address and port of a connection's client."""


def _at_once(
    context: Context, asked: Sequence[_Asked], described: dict[str, float]
) -> list[tuple[Wait, End]]:
    """The waits that need nothing broken, all at the same time; each with our end of its connection."""
    planned: list[tuple[_Asked, What, Begin]] = []
    for each in asked:
        planned.append((each, "silent", _beginning(context, each.api, b"")))
        if each.mode == "tcp":
            # Half a request: the API waits for the other half, and says nothing.
            half = f"GET / HTTP/1.1\r\nHost: {each.api.front}\r\n".encode()
            planned.append((each, "hung", _beginning(context, each.api, half)))
        elif each.name == "cfn":
            planned.append((each, "upload", _beginning(context, each.api, _without_form(each.api))))
        elif context.deployment.identity is not None:
            planned.append((each, "upload", _beginning(context, each.api, _without_body(context))))

    def one(plan: tuple[_Asked, What, Begin]) -> tuple[Wait, End]:
        each, what, begin = plan
        return _wait(each, what, begin, _watch_s(described, each.mode, what))

    with ThreadPoolExecutor(max_workers=len(planned)) as pool:
        return list(pool.map(one, planned))


def _without_body(context: Context) -> bytes:
    """A create whose body never comes; heat-api reads it only from those it knows."""
    identity = session(context.deployment)
    path = urlsplit(identity.rest_url("/stacks")).path
    return _headers(context.api("rest"), path, "application/json", f"X-Auth-Token: {identity.token()}")


def _without_form(api: Api) -> bytes:
    """A call whose form never comes; heat-api-cfn reads it to find out who calls."""
    return _headers(api, f"{urlsplit(api.url).path.rstrip('/')}/", "application/x-www-form-urlencoded")


def _headers(api: Api, path: str, content: str, *more: str) -> bytes:
    """The headers of a POST that promise a body."""
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {api.front}",
        f"Content-Type: {content}",
        "Content-Length: 64",
    ]
    return ("\r\n".join([*lines, *more]) + "\r\n\r\n").encode()


def _beginning(context: Context, api: Api, payload: bytes) -> Begin:
    source = sources(context, api)[0]
    return lambda: _sent(api, source, payload, context.deployment.tls)


def _sent(api: Api, source: str | None, payload: bytes, tls: Tls) -> socket.socket:
    """A connection, through TLS where the front speaks it, on which `payload` was sent."""
    connection = connect(api, source)
    if secure := tls_context(api, tls):
        connection = secure.wrap_socket(connection, server_hostname=api.front.host)
    if payload:
        connection.sendall(payload)
    return connection


def _wait(of: _Asked, what: What, begin: Begin, watch_s: float) -> tuple[Wait, End]:
    """Begin and see when the proxy ends it."""

    def ended(after_s: float | None, by: str = "") -> Wait:
        return Wait(
            api=of.name,
            mode=of.mode,
            what=what,
            ended_s=after_s,
            begun_s=began - connecting,
            gave_up_s=watch_s,
            ended_by=by,
        )

    began = connecting = time.monotonic()
    try:
        with begin() as connection:
            host, port = connection.getsockname()[:2]
            began = time.monotonic()
            connection.settimeout(watch_s)
            try:
                answer = connection.recv(4096)
            except TimeoutError:
                return ended(None), (host, port)
            except ConnectionResetError:
                answer = b""
            after_s = time.monotonic() - began
    except OSError as problem:
        raise EvidenceUnavailable(of.name, problem.strerror or str(problem)) from problem
    said = answer.split(b"\r\n", 1)[0].decode("ascii", "replace") if answer else "closed"
    return ended(after_s, said), (host, port)


def _await_lines(way: Attribution, asked: Sequence[_Asked], waits: Sequence[Wait]) -> None:
    """Wait for the log's lines of the waits that have ended; `option dontlognull` may keep some out."""
    if way.log is None:
        return
    for each in asked:
        ended = sum(wait.api == each.name and wait.ended_s is not None for wait in waits)
        way.log.await_lines(each.api.proxy_section, ended, LINES_WITHIN_S)


def _with_termination(way: Attribution, api: Api, wait: Wait, end: End) -> Wait:
    """The wait with the proxy's own word on its end, where its log has it."""
    if way.log is None:
        return wait
    for connection in way.log.connections(api):
        if connection.end == end:
            return wait.model_copy(update={"termination": connection.termination})
    return wait


def _with_fault(
    context: Context,
    stats: Sequence[StatsSource],
    of: _Asked,
    what: What,
    described: dict[str, float],
    masked: dict[str, str],
) -> list[Wait]:
    """One whole request to a backend broken for it, unless the health checks end the wait before."""
    name, fault, api = APPLY[of.mode, what][0], BROKEN_FOR[what], of.api
    if name not in described:
        return []
    how = breakable(context, api, stats, fault) if context.may_break else None
    if how is None:
        masked[name] = f"is not proven: no backend may be made {fault!r} here"
        return []
    outlasts = _checks_first(context, stats, api, how.part, described[name])
    if outlasts is not None:
        masked[name] = outlasts
        return []
    source = _source_of(context, stats, api, how.part)
    payload = f"GET / HTTP/1.1\r\nHost: {api.front}\r\n\r\n".encode()
    watch_s = _watch_s(described, of.mode, what)

    def begin() -> socket.socket:
        return _sent(api, source, payload, context.deployment.tls)

    with healing(context):
        context.say(f"{how.part} {fault}")
        _, happened = struck(own_address(api, how.part), lambda: carried_out(context.injector.inject, how))
        if happened is False:
            raise EvidenceUnavailable(
                f"{how.part}: {fault}",
                "did not happen: it answered at its own address after the command had ended well",
            )
        if what == "connect":
            wait = _first_retry(stats, of, how.part, begin, watch_s)
        else:
            wait = _wait(of, what, begin, watch_s)[0]
    await_state(context, stats, api, how.part, up=True)
    return [wait]


def _checks_first(
    context: Context, stats: Sequence[StatsSource], api: Api, server: str, bound_s: float
) -> str | None:
    """Why the health checks end the wait before this timeout does; None where they do not."""
    rows = [row for row in proxy_polling.server_rows(stats, api.proxy_section) if row.name == server]
    if any(row.status == "no check" or not row.check_status for row in rows):
        return None
    for proxy in context.proxies:
        checks = proxy.checks
        if checks is None:
            return "may be masked by the health checks, of which [[proxy]] says nothing"
        longest = checks.inter_s + checks.fall * (checks.timeout_check_s or checks.inter_s)
        longest += (checks.fall - 1) * (checks.fastinter_s or checks.inter_s)
        if longest <= bound_s:
            how = f"which take the server out in {longest:g} s"
            return f"({bound_s:g} s) is masked by the health checks, {how}"
        if bound_s > checks.inter_s:
            return f"({bound_s:g} s) and the health checks ({checks.inter_s:g} to {longest:g} s) race"
    return None


def _source_of(context: Context, stats: Sequence[StatsSource], api: Api, server: str) -> str:
    """A source that the proxy sends to this server; `EvidenceUnavailable` where none can be relied on."""
    who = sources(context, api)[:FEW]
    with strongest(context, api, stats) as way:
        visits = way.visits(who, VISITS).visits
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
        why = f"{len(found)} of {len(who)} sources could be placed, none of them on {server}"
        raise EvidenceUnavailable(api.proxy_section, why)
    return source


def _first_retry(
    stats: Sequence[StatsSource], of: _Asked, server: str, begin: Begin, watch_s: float
) -> Wait:
    before = _retries(stats, of.api, server)
    connecting = time.monotonic()
    with begin():
        began = time.monotonic()
        ended = None
        while ended is None and time.monotonic() < began + watch_s:
            if _retries(stats, of.api, server) > before:
                ended = time.monotonic() - began
            time.sleep(LOOK_EVERY_S)
    return Wait(
        api=of.name,
        mode=of.mode,
        what="connect",
        ended_s=ended,
        begun_s=began - connecting,
        gave_up_s=watch_s,
        ended_by="the first retry",
    )


def _retries(stats: Sequence[StatsSource], api: Api, server: str) -> int:
    """Failed attempts of a server: retries, redispatches and connections given up."""
    rows = [row for row in proxy_polling.server_rows(stats, api.proxy_section) if row.name == server]
    return sum((row.wretr or 0) + (row.wredis or 0) + (row.econ or 0) for row in rows)


class _Lateness:
    """How late timers are: this process's, by one that should fire every 50 ms; and at most the proxy's,
    which share a loop with its answers to who looks at its state."""

    EVERY_S = 0.05

    def __init__(self, proxy: StatsSource) -> None:
        self.worst_s = 0.0
        self._proxy = proxy
        self.looks = Repeated("lateness", self.EVERY_S, self._look)
        self._since = time.monotonic()

    def _look(self) -> None:
        woke = time.monotonic()
        with suppress(EvidenceUnavailable):  # it is looked at elsewhere too, where that is told
            self._proxy.show_stat()
        now = time.monotonic()
        self.worst_s = max(self.worst_s, woke - self._since - self.EVERY_S, now - woke)
        self._since = now
