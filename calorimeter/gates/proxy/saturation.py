"""The proxy is filled: to its own maxconn by held connections, and its servers to theirs by visits."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from calorimeter.core.deployment import Api
from calorimeter.gates.clients.held_connections import held
from calorimeter.gates.clients.visit_rounds import sources
from calorimeter.gates.clients.visiting import status_of, tls_context, visit_all
from calorimeter.gates.clients.visits import Visit
from calorimeter.gates.context import Context
from calorimeter.gates.evidence import proxy_polling
from calorimeter.gates.evidence.proxy_stats import StatsSource
from calorimeter.gates.evidence.stats_sources import proxy_stats
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.proxy.maxconn import PerServer, Saturation, Whole
from calorimeter.gates.repeated import Repeated

BEYOND = 20
"""Visits that come while the proxy is full."""

FULL_WITHIN_S = 5.0
FULL_S = 1.0
"""How long the proxy stays full, with the visits waiting; far below every timeout worth having."""

LOOK_EVERY_S = 0.01
TIMES_THE_LIMIT = 3
MOST_AT_ONCE = 600
STAYS_S = 0.3
"""How long a visit keeps its place after the answer, so that others must wait."""

ANSWER_S = 90.0


def saturation(context: Context) -> Saturation:
    """Fill the proxy and its servers; `EvidenceUnavailable` where its limits cannot be seen."""
    stats = proxy_stats(context.deployment)
    if not all(look.shows_sessions for look in stats):
        raise EvidenceUnavailable(stats[0].where, "a stats page does not show the process's maxconn")
    if len(stats) > 1:
        raise EvidenceUnavailable(
            str(context.deployment.path), "several proxies share the load: which one is full cannot be told"
        )
    apis = {name: api for name in ("rest", "cfn") if (api := context.deployment.api(name)) is not None}
    wanted = context.deployment.expect
    servers = tuple(_per_server(context, stats, name, api) for name, api in apis.items())
    return Saturation(
        whole=_whole(context, stats[0], tuple(apis.values())),
        servers=servers,
        timeout_queue_s=wanted.timeout_queue_s or wanted.timeout_connect_s,
    )


def _whole(context: Context, stats: StatsSource, apis: Sequence[Api]) -> Whole:
    limit, limited_by, now = _limit(stats, apis)
    # A frontend's own limit is filled through that frontend alone.
    used = apis if limited_by == "the process's" else [a for a in apis if limited_by == a.proxy_section]
    missing = limit - now
    whole = Whole(limit=limit, limited_by=limited_by)
    if missing > context.settings.connections:
        allowed = context.settings.connections
        reason = f"{missing} connections would fill the proxy, --connections allows {allowed}"
        return whole.model_copy(update={"impossible": reason})
    who = [sources(context, api) for api in used]
    tls = context.deployment.tls
    visits: list[Visit] = []
    most, queued = 0, 0

    def come() -> None:
        beyond = [who[0][number % len(who[0])] for number in range(BEYOND)]
        visits.extend(visit_all(used[0], beyond, 1, tls, in_flight=BEYOND))

    try:
        with held(used, who, missing) as opened:
            most = _await_full(stats, used, limited_by, limit)
            coming = threading.Thread(target=come, name="beyond", daemon=True)
            coming.start()
            end = time.monotonic() + FULL_S
            while time.monotonic() < end:
                most = max(most, _now(stats, used, limited_by))
                queued = max(queued, _queue(stats, used))
                time.sleep(LOOK_EVERY_S)
            full_until_ns = time.time_ns()
            count = len(opened)
    except EvidenceUnavailable as problem:
        return whole.model_copy(update={"impossible": f"{problem.where}: {problem.why}"})
    coming.join(ANSWER_S)
    return whole.model_copy(
        update={
            "held": count,
            "most": most,
            "answered_early": sum(v.status != 0 and v.done_ns < full_until_ns for v in visits),
            "queued": queued,
            "visits": tuple(visits),
        }
    )


def _limit(stats: StatsSource, apis: Sequence[Api]) -> tuple[int, str, int]:
    """The limit that is reached first, whose it is, and how many connections count to it now."""
    info = stats.show_info()
    limits = [(int(info["Maxconn"]), "the process's", int(info["CurrConns"]))]
    sections = {api.proxy_section for api in apis}
    limits += [
        (row.slim, row.section, row.scur or 0)
        for row in stats.show_stat()
        if row.kind == "frontend" and row.section in sections and row.slim
    ]
    return min(limits, key=lambda limit: limit[0])


def _now(stats: StatsSource, apis: Sequence[Api], limited_by: str) -> int:
    if limited_by == "the process's":
        return int(stats.show_info()["CurrConns"])
    sections = {api.proxy_section for api in apis}
    rows = [r for r in stats.show_stat() if r.kind == "frontend" and r.section in sections]
    return max((row.scur or 0 for row in rows), default=0)


def _queue(stats: StatsSource, apis: Sequence[Api]) -> int:
    sections = {api.proxy_section for api in apis}
    rows = [r for r in stats.show_stat() if r.section in sections and r.kind in ("backend", "server")]
    return sum(row.qcur or 0 for row in rows)


def _await_full(stats: StatsSource, apis: Sequence[Api], limited_by: str, limit: int) -> int:
    deadline = time.monotonic() + FULL_WITHIN_S
    most = 0
    while most < limit and time.monotonic() < deadline:
        most = max(most, _now(stats, apis, limited_by))
        time.sleep(LOOK_EVERY_S)
    return most


def _per_server(context: Context, stats: Sequence[StatsSource], name: str, api: Api) -> PerServer:
    """More visits at once than the servers' maxconn together; none where they have no maxconn."""
    rows = proxy_polling.server_rows(stats, api.proxy_section)
    limits = {row.name: row.slim for row in rows if row.slim}
    unlimited = tuple(row.name for row in rows if not row.slim)
    wanted = context.deployment.expect.server_maxconn
    evidence = PerServer(api=name, limits=limits, unlimited=unlimited, wanted_limit=wanted)
    if not limits:
        return evidence
    at_once = min(max(TIMES_THE_LIMIT * sum(limits.values()), BEYOND), MOST_AT_ONCE)
    who = sources(context, api)
    each = [who[number % len(who)] for number in range(at_once)]
    with _watched(stats, api) as peak:
        visits = asyncio.run(_stay_all(api, each, tls_context(api, context.deployment.tls)))
    return evidence.model_copy(
        update={
            "at_once": at_once,
            "most": dict(peak.most),
            "queued": peak.queued,
            "visits": tuple(visits),
        }
    )


@dataclass(slots=True)
class _Peak:
    """The greatest figures that the proxy showed."""

    most: Counter[str] = field(default_factory=Counter)
    queued: int = 0


@contextmanager
def _watched(stats: Sequence[StatsSource], api: Api) -> Iterator[_Peak]:
    peak = _Peak()

    def look() -> None:
        queued = 0
        for reader in stats:
            for row in reader.show_stat():
                if row.section != api.proxy_section:
                    continue
                if row.kind in ("backend", "server"):
                    queued += row.qcur or 0
                if row.kind == "server":
                    peak.most[row.name] = max(peak.most[row.name], row.scur or 0)
        peak.queued = max(peak.queued, queued)

    with Repeated("peak", LOOK_EVERY_S, look) as looks:
        yield peak
    looks.check()


async def _stay_all(api: Api, who: Sequence[str | None], tls: ssl.SSLContext | None) -> list[Visit]:
    return list(await asyncio.gather(*(_stay(api, source, tls) for source in who)))


async def _stay(api: Api, source: str | None, tls: ssl.SSLContext | None) -> Visit:
    """One visit that keeps its connection for a while after the answer."""
    visit = Visit(source=source or "", port=0, sent_ns=time.time_ns(), done_ns=0, status=0)
    writer, update = None, {}
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection(
                api.front.host, api.front.port, ssl=tls, local_addr=(source, 0) if source else None
            )
            update = dict(zip(("source", "port"), writer.get_extra_info("sockname")[:2], strict=True))
            writer.write(f"GET / HTTP/1.1\r\nHost: {api.front}\r\n\r\n".encode())
            status, error = status_of(await reader.read(65536))
            update |= {"status": status, "error": error}
    except TimeoutError:
        update |= {"error": "timeout"}
    except OSError as problem:
        update |= {"error": problem.strerror or type(problem).__name__}
    update |= {"done_ns": time.time_ns()}
    if writer is not None:
        await asyncio.sleep(STAYS_S)
        writer.close()
    return visit.model_copy(update=update)
