"""Attribution by the proxies' logs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar, Self

from calorimeter.core.deployment import Api
from calorimeter.gates.clients.attribution import (
    Attributed,
    Attribution,
    NobodyAnswers,
    counts_of_clients,
)
from calorimeter.gates.clients.log_join import with_lines
from calorimeter.gates.clients.visits import EvidenceKind, LogCount, StateLine, Visit
from calorimeter.gates.context import Context
from calorimeter.gates.evidence import proxy_polling
from calorimeter.gates.evidence.proxy_log import LoggedConnection
from calorimeter.gates.evidence.proxy_logs import ProxyLogs
from calorimeter.gates.evidence.proxy_stats import StatsSource
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

LINES_WITHIN_S = 10.0
"""Time for the log lines of connections that have ended: HAProxy writes them at once."""

STRAGGLERS_S = 2.0
"""Time without a new line after which none is awaited; also the time for our own lines once as many as are
awaited have come: behind address translation none of ours comes."""

PROBE_LINE_S = 3.0
"""Time for the line of the single connection that shows what the log contains."""


class LogAttribution(Attribution):
    """The logs of all proxies, being received."""

    kind: ClassVar[EvidenceKind] = "log"

    def __init__(self, context: Context, stats: Sequence[StatsSource], logs: ProxyLogs) -> None:
        super().__init__(context, stats)
        self.logs = logs
        self._ended: dict[str, int | None] = {}

    @classmethod
    @contextmanager
    def opened(cls, context: Context, stats: Sequence[StatsSource]) -> Iterator[Self]:
        """Receive the logs. Raises EvidenceUnavailable if a proxy names none."""
        for proxy in context.proxies:
            if not proxy.logs:
                raise EvidenceUnavailable(
                    str(context.deployment.path), f"proxy {proxy.name!r} names no logs"
                )
        with ProxyLogs.of(context.proxies) as logs:
            yield cls(context, stats, logs)

    def doubt(self, api: Api) -> str | None:
        """As `Attribution.doubt`, from the line of one visit."""
        self.logs.forget()
        (visit,) = self.visit(api, [None])
        if not visit.status:
            raise NobodyAnswers(str(api.front), f"a first visit was not answered ({visit.error})")
        self._await_lines(api.proxy_section, 1, PROBE_LINE_S)
        entries = self.logs.read()
        where = ", ".join(log.where for log in self.logs.all)
        if any(connection.backend == api.proxy_section for connection in entries.connections):
            return None
        if entries.accepted:
            return f"{where} names no servers: the proxy has neither `option tcplog` nor `option httplog`"
        return f"{where} had no line of a connection within {PROBE_LINE_S:g} s"

    def start(self, apis: Iterable[Api]) -> None:
        """Forget the lines so far, and count the connections that have ended."""
        self.logs.forget()
        self._ended = {
            api.proxy_section: proxy_polling.ended(self.stats, api.proxy_section) for api in apis
        }

    def attributed(self, api: Api, visits: Sequence[Visit]) -> Attributed:
        """The visits with the servers of their lines; waits for lines that are still to come."""
        wanted = sum(visit.port != 0 for visit in visits)
        came = self._await_lines(api.proxy_section, wanted, LINES_WITHIN_S)
        before, after = self._ended[api.proxy_section], proxy_polling.ended(self.stats, api.proxy_section)
        counted = after - before if before is not None and after is not None else None
        if came:
            self._await_stragglers(api, visits, counted or 0)
        fullest = self.logs.fullest(api.proxy_section)
        connections = [connection for log in fullest for connection in log.connections]
        return Attributed(
            tuple(_attributed(visit, line) for visit, line in with_lines(visits, connections)),
            tuple(
                LogCount(
                    source=each.log.where,
                    lines=len(each.log.lines()),
                    logged=len(connections),
                    repeated=each.repeated,
                    connections=counted,
                    dropped=each.log.dropped,
                    unparsed=tuple(line.text for line in each.entries.unparsed),
                    doubts=each.log.doubts,
                )
                for each in fullest
            ),
            counts_of_clients((c.client, c.server) for c in connections),
            tuple(
                StateLine(server=e.server, state=e.state, received_ns=e.received_ns, reason=e.reason)
                for e in self.logs.events(api.proxy_section)
                if e.state != "CHECK"
            ),
            tuple(why for each in fullest for why in each.passed_over),
        )

    def _await_stragglers(self, api: Api, visits: Sequence[Visit], counted: int) -> None:
        """Wait a moment for the lines of these very visits, and for as many as the proxy counted.

        On a proxy in use, other clients' lines make up the number before the last of ours have come.
        """
        ends = {(visit.source, visit.port) for visit in visits if visit.port}

        def enough() -> bool:
            found = self._connections(api)
            return len(found) >= counted and ends <= {connection.end for connection in found}

        self.logs.await_lines(enough, STRAGGLERS_S)

    def lines(self, api: Api, wanted: int, within_s: float) -> list[LoggedConnection]:
        """As `Attribution.lines`; `option dontlognull` may keep some out."""
        self._await_lines(api.proxy_section, wanted, within_s)
        return self._connections(api)

    def _connections(self, api: Api) -> list[LoggedConnection]:
        return [c for log in self.logs.fullest(api.proxy_section) for c in log.connections]

    def _await_lines(self, section: str, wanted: int, within_s: float) -> bool:
        """Wait until the logs together hold `wanted` lines of a section; whether they do.

        Once lines have come, but no new one for `STRAGGLERS_S`, the others are lost.
        """
        held, since = 0, time.monotonic()

        def enough() -> bool:
            nonlocal held, since
            now, before = time.monotonic(), held
            held = sum(len(log.lines()) for log in self.logs.all)
            if held != before:
                since = now
            # Only the section's name is looked for: parsing waits until the burst of lines is over.
            return self.logs.holds(f" {section}/", wanted) or (held > 0 and now - since > STRAGGLERS_S)

        self.logs.await_lines(enough, within_s)
        return self.logs.holds(f" {section}/", wanted)


def _attributed(visit: Visit, line: LoggedConnection | None) -> Visit:
    if line is None:
        return visit
    return visit.model_copy(
        update={
            "server": line.server,
            "seen_as": line.client if line.client != visit.source else None,
            "retries": line.retries,
            "redispatched": line.redispatched,
        }
    )
