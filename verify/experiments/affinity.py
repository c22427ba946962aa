"""Visits from many sources, with each connection's backend from the proxy's own log."""

from __future__ import annotations

import socket
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from contextlib import ExitStack

from calorimeter.deployment import Api
from calorimeter.toml import Model
from verify.bench import Bench
from verify.checks.affinity import LogCount, Visit, Visits
from verify.evidence.log_listener import LogSource, open_logs
from verify.evidence.proxy_log import Connection, read
from verify.evidence.proxy_stats import ServerStat, StatsSource, open_stats
from verify.evidence.unavailable import EvidenceUnavailable
from verify.experiments.visits import visit_all
from verify.sources import addresses, check_bindable

LINES_WITHIN_S = 10.0
"""Time for the log lines of connections that have ended: HAProxy writes them at once."""


class Counted(Model):
    """The proxy's own count of a section's connections: ever, and now."""

    ever: int
    now: int


def visits(bench: Bench, api_name: str) -> Visits:
    """Let the bench's sources visit an API and attribute each visit by the logs of all proxies.

    Raises `EvidenceUnavailable` where the API, the proxy or its log is not described.
    """
    return bench.once(f"visits-{api_name}", lambda: _visits(bench, api_name))


def _visits(bench: Bench, api_name: str) -> Visits:
    api = bench.api(api_name)
    logs = [log for proxy in bench.proxies for log in open_logs(proxy)]
    if not logs:
        raise EvidenceUnavailable(str(bench.deployment.path), "[[proxy]] names no logs")
    with ExitStack() as listening:
        for log in logs:
            listening.enter_context(log)
        before = counted(bench, api)
        made = visit_all(api, sources(bench, api), bench.settings.visits, bench.deployment.tls)
        _await_lines(logs, api.proxy_section, sum(visit.status != 0 for visit in made))
        after = counted(bench, api)
    entries = [(log, read(log.lines())) for log in logs]
    connections = [c for _, entry in entries for c in entry.connections if c.backend == api.proxy_section]
    return Visits(
        api=api_name,
        section=api.proxy_section,
        servers=tuple(backend.name for backend in api.backends),
        visits=attribute(made, connections),
        logs=tuple(
            LogCount(
                source=log.where,
                lines=len(log.lines()),
                logged=len(connections),
                connections=after.ever - before.ever - after.now if before and after else None,
                dropped=log.dropped,
                unparsed=tuple(line.text for line in entry.unparsed),
            )
            for log, entry in entries
        ),
    )


def sources(bench: Bench, api: Api) -> Sequence[str | None]:
    """The addresses that visit: those of `[clients]`, or the one that the operating system picks."""
    family = socket.AF_INET6 if ":" in api.front.host else socket.AF_INET
    found = addresses(bench.deployment.clients.sources, bench.settings.sources, family=family)
    for address in found[:1] + found[-1:]:
        check_bindable(address)
    return found or [None]


def counted(bench: Bench, api: Api) -> Counted | None:
    """The connections of an API's section by the proxies' own counters; None where none can be read."""
    found: list[Counted] = []
    for proxy in bench.proxies:
        for stats in open_stats(bench.deployment, proxy):
            rows = _rows(stats)
            if rows is not None:
                found += [
                    Counted(ever=row.stot or 0, now=row.scur or 0)
                    for row in rows
                    if row.section == api.proxy_section and row.kind == "backend"
                ]
                break
    if not found:
        return None
    return Counted(ever=sum(c.ever for c in found), now=sum(c.now for c in found))


def _rows(stats: StatsSource) -> tuple[ServerStat, ...] | None:
    try:
        return stats.show_stat()
    except EvidenceUnavailable:
        return None


def attribute(visits: Iterable[Visit], connections: Iterable[Connection]) -> tuple[Visit, ...]:
    """The visits, each with the server of its connection: the one from its address and port.

    A port that was used twice is matched in the order of time.
    """
    by_client: defaultdict[tuple[str, int], deque[Connection]] = defaultdict(deque)
    for connection in sorted(connections, key=lambda c: c.accepted_ns):
        address = connection.client.removeprefix("::ffff:")
        by_client[address, connection.client_port].append(connection)
    attributed = []
    for visit in visits:
        waiting = by_client.get((visit.source, visit.port))
        server = waiting.popleft().server if waiting else None
        attributed.append(visit.model_copy(update={"server": server}))
    return tuple(attributed)


def _await_lines(logs: Sequence[LogSource], section: str, wanted: int) -> None:
    """Wait until the logs together hold `wanted` lines of a section, or the time for it is over."""
    # Parsing is left for later: here only the section's name counts, at the end of a burst.
    needle = f" {section}/"
    deadline = time.monotonic() + LINES_WITHIN_S

    def enough(_: object) -> bool:
        return sum(needle in line.text for log in logs for line in log.lines()) >= wanted

    while not enough(()) and (left := deadline - time.monotonic()) > 0:
        # One log's news wake this; those of the others are looked at meanwhile.
        logs[0].wait_for(enough if len(logs) == 1 else lambda _: False, min(left, 0.5))
