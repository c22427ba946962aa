"""Which backend each connection was given: by the proxies' logs, live sessions, or counters.

Each attribution runs some visits and gives them back with their servers. The log is the strongest: it
names every connection, others' too. The table of live sessions names those that are held open. Counters
tell of one visit at a time, and only where nobody else visits meanwhile.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from calorimeter.core.deployment import Api, Tls
from calorimeter.gates.clients.visiting import ANSWER_S, IN_FLIGHT, status_of, tls_context, visit_all
from calorimeter.gates.clients.visits import LogCount, Source, Told, Visit
from calorimeter.gates.context import Context
from calorimeter.gates.evidence import proxy_polling
from calorimeter.gates.evidence.proxy_log import Connection, plain
from calorimeter.gates.evidence.proxy_logs import ProxyLogs
from calorimeter.gates.evidence.proxy_stats import StatsSource
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

LINES_WITHIN_S = 10.0
"""Time for the log lines of connections that have ended: HAProxy writes them at once."""

STRAGGLERS_S = 2.0
"""Time beyond that for single ones; behind address translation none comes, for its address is another."""

PROBE_LINE_S = 3.0
"""Time for the line of a single connection, when it is found out what the log shows."""

HELD = 100
"""Connections held open at a time for the table of live sessions."""


class NobodyAnswers(EvidenceUnavailable):
    """The API's front address gives no answer."""


@dataclass(slots=True)
class Attributed:
    """Visits with their servers, and how whole the evidence is."""

    visits: tuple[Visit, ...]
    logs: tuple[LogCount, ...] = ()
    clients: dict[str, dict[str, int]] = field(default_factory=dict)
    told: tuple[Told, ...] = ()
    passed_over: tuple[str, ...] = ()


Visiting = Callable[[], list[Visit]]


class Log:
    """The logs of all proxies, being received."""

    def __init__(self, context: Context, logs: ProxyLogs, stats: Sequence[StatsSource]) -> None:
        self.context = context
        self.logs = logs
        self.stats = stats

    @classmethod
    @contextmanager
    def listening(cls, context: Context, stats: Sequence[StatsSource]) -> Iterator[Log]:
        """Receive the logs; `EvidenceUnavailable` where a proxy has none."""
        for proxy in context.proxies:
            if not proxy.logs:
                raise EvidenceUnavailable(
                    str(context.deployment.path), f"proxy {proxy.name!r} names no logs"
                )
        with ProxyLogs.of(context.proxies) as logs:
            yield cls(context, logs, stats)

    def attribute(self, api: Api, visiting: Visiting) -> Attributed:
        """Let the visits be made, wait for their lines, and attribute them."""
        self.forget()
        before = proxy_polling.ended(self.stats, api.proxy_section)
        return self.attributed(api, visiting(), before)

    def attributed(self, api: Api, made: Sequence[Visit], before: int | None) -> Attributed:
        """The visits made since the log was last forgotten, when `before` connections had ended."""
        self.await_lines(api.proxy_section, sum(visit.port != 0 for visit in made))
        after = proxy_polling.ended(self.stats, api.proxy_section)
        counted = after - before if before is not None and after is not None else None
        self._await_stragglers(api, made, counted or 0)
        fullest = self.logs.fullest(api.proxy_section)
        found = [connection for each in fullest for connection in each.connections]
        return Attributed(
            joined(made, found),
            tuple(
                LogCount(
                    source=each.log.where,
                    lines=len(each.log.lines()),
                    logged=len(found),
                    repeated=each.repeated,
                    connections=counted,
                    dropped=each.log.dropped,
                    unparsed=tuple(line.text for line in each.entries.unparsed),
                    doubts=each.log.doubts,
                )
                for each in fullest
            ),
            _clients((c.client, c.server) for c in found),
            tuple(
                Told(server=e.server, state=e.state, received_ns=e.received_ns, reason=e.reason)
                for e in self.logs.events(api.proxy_section)
                if e.state != "CHECK"
            ),
            tuple(why for each in fullest for why in each.passed_over),
        )

    def _await_stragglers(self, api: Api, made: Sequence[Visit], counted: int) -> None:
        """Wait for the lines of these very visits, and for as many as the proxy counted, a moment at most.

        On a proxy in use others' lines make up for the number before the last of ours have come.
        """
        ends = {(visit.source, visit.port) for visit in made if visit.port}

        def enough() -> bool:
            found = self.connections(api)
            return len(found) >= counted and ends <= {c.end for c in found}

        self.logs.await_lines(enough, STRAGGLERS_S)

    def forget(self) -> None:
        """Forget the lines so far."""
        self.logs.forget()

    def connections(self, api: Api) -> list[Connection]:
        """The connections of an API's section in the lines so far."""
        return [c for each in self.logs.fullest(api.proxy_section) for c in each.connections]

    def await_lines(self, section: str, wanted: int, within_s: float = LINES_WITHIN_S) -> None:
        """Wait until the logs together hold `wanted` lines of a section, or the time for it is over."""
        # Parsing is left for later: here only the section's name counts, at the end of a burst.
        self.logs.await_lines(lambda: self.logs.holds(f" {section}/", wanted), within_s)

    def doubt(self, api: Api) -> str | None:
        """Why this log does not name the servers of connections; None where it does.

        Raises `EvidenceUnavailable` where nobody answers: then nothing else can tell more.
        """
        self.forget()
        (visit,) = visit_all(api, [None], 1, self.context.deployment.tls)
        if not visit.status:
            raise NobodyAnswers(str(api.front), f"a first visit was not answered ({visit.error})")
        self.await_lines(api.proxy_section, 1, PROBE_LINE_S)
        entries = self.logs.read()
        where = ", ".join(log.where for log in self.logs.all)
        if any(c.backend == api.proxy_section for c in entries.connections):
            return None
        if entries.accepted:
            return f"{where} names no servers: the proxy has neither `option tcplog` nor `option httplog`"
        return f"{where} had no line of a connection within {PROBE_LINE_S:g} s"


def joined(visits: Iterable[Visit], connections: Iterable[Connection]) -> tuple[Visit, ...]:
    """The visits, each with the server of its connection: the one from its address and port.

    A port that was used twice is matched in the order of time.
    """
    by_client: defaultdict[tuple[str, int], deque[Connection]] = defaultdict(deque)
    for connection in sorted(connections, key=lambda c: c.accepted_ns):
        by_client[connection.end].append(connection)
    attributed = []
    for visit in visits:
        waiting = by_client.get((visit.source, visit.port))
        if not waiting:
            attributed.append(visit)
            continue
        its = waiting.popleft()
        seen = its.client if its.client != visit.source else None
        update = {
            "server": its.server,
            "seen_as": seen,
            "retries": its.retries,
            "redispatched": its.redispatched,
        }
        attributed.append(visit.model_copy(update=update))
    return tuple(attributed)


def _clients(found: Iterable[tuple[str, str | None]]) -> dict[str, dict[str, int]]:
    """How often each client was on each server; on an IPv6 listener an IPv4 client stays itself."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for client, server in found:
        counts[plain(client)][server or ""] += 1
    return {client: dict(servers) for client, servers in sorted(counts.items())}


def by_sessions(
    tls: Tls,
    api: Api,
    sources: Sequence[str | None],
    times: int,
    stats: Sequence[StatsSource],
    give_up: int | None = None,
) -> Attributed:
    """Attribute by the table of live sessions: connections are held open while it is read."""
    made: list[Visit] = []
    seen: list[tuple[str, str | None]] = []
    everybody = [source for _ in range(times) for source in sources]
    for start in range(0, len(everybody), HELD):
        batch = everybody[start : start + HELD]
        found, sessions = asyncio.run(_held(api, batch, tls, stats))
        made += found
        seen += sessions
        if _given_up(made, give_up):
            break
    return Attributed(tuple(made), (), _clients(seen))


async def _held(
    api: Api, sources: Sequence[str | None], tls: Tls, stats: Sequence[StatsSource]
) -> tuple[list[Visit], list[tuple[str, str | None]]]:
    secure = tls_context(api, tls)
    answers = await asyncio.gather(*(_hold(api, source, secure) for source in sources))
    sessions = {
        (plain(s.client), s.client_port): s
        for look in stats
        for s in look.show_sess()
        if s.backend == api.proxy_section
    }
    visits = []
    for visit, writer in answers:
        session = sessions.get((visit.source, visit.port))
        seen = session.client if session and session.client != visit.source else None
        server = session.server if session else None
        visits.append(visit.model_copy(update={"server": server, "seen_as": seen}))
        if writer is not None:
            writer.close()
    return visits, [(s.client, s.server) for s in sessions.values()]


async def _hold(
    api: Api, source: str | None, tls: ssl.SSLContext | None
) -> tuple[Visit, asyncio.StreamWriter | None]:
    """One visit whose connection stays open after the answer."""
    visit = Visit(source=source or "", port=0, sent_ns=time.time_ns(), done_ns=0, status=0)
    writer = None
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection(
                api.front.host, api.front.port, ssl=tls, local_addr=(source, 0) if source else None
            )
            used, port = writer.get_extra_info("sockname")[:2]
            writer.write(f"GET / HTTP/1.1\r\nHost: {api.front}\r\n\r\n".encode())
            status, error = status_of(await reader.read(65536))
            update = {"source": used, "port": port, "status": status, "error": error}
    except TimeoutError:
        update = {"error": "timeout"}
    except OSError as problem:
        update = {"error": problem.strerror or type(problem).__name__}
    return visit.model_copy(update={**update, "done_ns": time.time_ns()}), writer


def by_counters(
    tls: Tls,
    api: Api,
    sources: Sequence[str | None],
    times: int,
    stats: Sequence[StatsSource],
    give_up: int | None = None,
) -> Attributed:
    """Attribute by the servers' session counters, one visit at a time.

    A visit during which more or less than one session was counted is not attributed.
    """
    made: list[Visit] = []
    before = proxy_polling.chosen(stats, api.proxy_section)
    for source in (source for _ in range(times) for source in sources):
        (visit,) = visit_all(api, [source], 1, tls)
        after = proxy_polling.chosen(stats, api.proxy_section)
        gained = after - before
        if gained.total() == 1:
            visit = visit.model_copy(update={"server": next(iter(gained))})
        made.append(visit)
        before = after
        if _given_up(made, give_up):
            break
    return Attributed(tuple(made), (), _clients((v.source, v.server) for v in made))


def _given_up(made: Sequence[Visit], give_up: int | None) -> bool:
    return give_up is not None and sum(not visit.served for visit in made) >= give_up


@dataclass(frozen=True, slots=True)
class Attribution:
    """The strongest way to attribute visits that a first visit has shown to work."""

    api: Api
    tls: Tls
    evidence: Source
    passed_over: tuple[str, ...]
    stats: Sequence[StatsSource]
    log: Log | None = None

    def visits(
        self,
        sources: Sequence[str | None],
        times: int,
        in_flight: int = IN_FLIGHT,
        give_up: int | None = None,
    ) -> Attributed:
        """Let each source visit `times` times, and attribute the visits (see `visit_all`)."""
        if self.evidence == "sessions":
            return by_sessions(self.tls, self.api, sources, times, self.stats, give_up)
        if self.evidence == "counters":
            return by_counters(self.tls, self.api, sources, times, self.stats, give_up)
        assert self.log is not None

        def visiting() -> list[Visit]:
            return visit_all(self.api, sources, times, self.tls, in_flight=in_flight, give_up=give_up)

        return self.log.attribute(self.api, visiting)


@contextmanager
def strongest(context: Context, api: Api, stats: Sequence[StatsSource]) -> Iterator[Attribution]:
    """Find the strongest evidence, and hold it open; `EvidenceUnavailable` where there is none."""
    tls = context.deployment.tls
    with ExitStack() as open_logs_of_this:
        log, doubt = None, None
        try:
            log = open_logs_of_this.enter_context(Log.listening(context, stats))
            doubt = log.doubt(api)
        except NobodyAnswers:
            raise
        except EvidenceUnavailable as problem:
            doubt = f"{problem.where}: {problem.why}"
        if doubt is None:
            yield Attribution(api, tls, "log", (), stats, log)
            return
    reasons = [doubt]
    if stats and all(look.shows_sessions for look in stats):
        (probe,) = by_sessions(tls, api, [None], 1, stats).visits
        if probe.server is not None:
            yield Attribution(api, tls, "sessions", tuple(reasons), stats)
            return
        reasons.append("the table of live sessions names no server after an answer")
    else:
        reasons.append("no stats socket shows live sessions")
    if not stats:
        raise EvidenceUnavailable(str(context.deployment.path), "; ".join(reasons))
    yield Attribution(api, tls, "counters", tuple(reasons), stats)
