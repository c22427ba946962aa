"""The experiment of P4: fill the proxy by held connections, and its servers by visits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Sequence

from calorimeter.core import waiting
from calorimeter.core.deployment import Api, Tls
from calorimeter.gates.clients.client_requests import ClientRequests
from calorimeter.gates.clients.held_connections import held
from calorimeter.gates.clients.http_get import tls_context
from calorimeter.gates.clients.sources import in_turn
from calorimeter.gates.clients.visit_rounds import apis, sources
from calorimeter.gates.clients.visiting import visit, visit_all
from calorimeter.gates.clients.visits import Visit
from calorimeter.gates.context import Context
from calorimeter.gates.evidence import proxy_polling
from calorimeter.gates.evidence.proxy_state import ServerStat
from calorimeter.gates.evidence.proxy_stats import StatsSource
from calorimeter.gates.evidence.stats_sources import proxy_stats
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.proxy.connection_limit import (
    PROCESS,
    ConnectionLimit,
    connections_now,
    fillable,
    section_rows,
)
from calorimeter.gates.proxy.maxconn import MaxconnSaturation, ProxySaturation, ServerSaturation
from calorimeter.gates.repeated_work import RepeatedWork

FEELERS = 40
"""Visits to each front that show which of several proxies serve."""

STRAYS = 10
"""A proxy serves if it counts more than one in so many of them. Of two that share the visits to one front
by chance, one counts so few in 2 of 10 million trials (binomial)."""

BEYOND = 20
"""Visits that are made while the proxy is full."""

FULL_WITHIN_S = 5.0
FULL_S = 1.0
"""How long the proxy stays full while the visits wait; far below every sensible timeout."""

POLL_EVERY_S = 0.01
TIMES_THE_LIMIT = 3
MOST_AT_ONCE = 600
STAYS_S = 0.3
"""How long a visit keeps its connection after the answer, so that others must wait."""

ANSWER_S = 90.0


def saturation(context: Context) -> MaxconnSaturation:
    """Fill the proxy that serves, and its servers.

    Raises EvidenceUnavailable if its limits cannot be read, or no proxy serves.
    """
    fronts = tuple(apis(context).values())
    serving = _serving(context, proxy_stats(context.deployment), fronts)
    expect = context.deployment.expect
    if len(serving) > 1:
        nothing = ProxySaturation(limit=0, limited_by=PROCESS)
        names = tuple(stats.where for stats in serving)
        return MaxconnSaturation(whole=nothing, servers=(), timeout_queue_s=None, shared_by=names)
    fill = fillable(serving[0], fronts, context.deployment)
    servers = tuple(_fill_servers(context, serving[0], name, api) for name, api in apis(context).items())
    return MaxconnSaturation(
        whole=_fill_proxy(context, serving[0], fill, fronts),
        servers=servers,
        timeout_queue_s=expect.timeout_queue_s or expect.timeout_connect_s,
    )


def _serving(
    context: Context, stats: Sequence[StatsSource], fronts: Sequence[Api]
) -> Sequence[StatsSource]:
    """The proxies that count connections while some are made to the fronts: of a VRRP pair, one."""
    if len(stats) == 1:
        return stats

    def counted() -> list[int]:
        rows = [section_rows(each, fronts) for each in stats]
        return [sum(row.stot or 0 for row in own if row.kind == "backend") for own in rows]

    def rises() -> list[int]:
        return [now - then for now, then in zip(counted(), before, strict=True)]

    before = counted()
    for api in fronts:
        visit_all(api, in_turn(sources(context, api), FEELERS), context.deployment.tls, FEELERS)
    found = waiting.poll(rises, FULL_WITHIN_S, enough=lambda new: sum(new) >= FEELERS * len(fronts))
    # A monitor may connect to a proxy that does not serve.
    serving = [each for each, new in zip(stats, found, strict=True) if new * STRAYS > sum(found)]
    if not serving:
        raise EvidenceUnavailable(
            str(context.deployment.path), "no proxy counted the connections that were made to the front"
        )
    return serving


def _fill_proxy(
    context: Context, stats: StatsSource, fill: ConnectionLimit, fronts: Sequence[Api]
) -> ProxySaturation:
    limit, limited_by, now = fill
    # A frontend's own limit is filled through that frontend alone.
    used = fronts if limited_by == PROCESS else [a for a in fronts if limited_by == a.proxy_section]
    missing, allowed = limit - now, context.strength("connections")
    whole = ProxySaturation(limit=limit, limited_by=limited_by)
    if missing > allowed:
        why = f"{missing} connections would fill the proxy, --connections allows {allowed}"
        return whole.model_copy(update={"impossible": why})
    clients = [sources(context, api) for api in used]
    visits: list[Visit] = []
    queued = 0

    def visit_beyond() -> None:
        beyond = in_turn(clients[0], BEYOND)
        visits.extend(visit_all(used[0], beyond, context.deployment.tls, BEYOND))

    def connections() -> int:
        return connections_now(stats, used, limited_by)

    try:
        with held(used, clients, missing) as opened:
            most = waiting.poll(
                connections, FULL_WITHIN_S, enough=lambda now: now >= limit, every_s=POLL_EVERY_S
            )
            visiting = threading.Thread(target=visit_beyond, name="beyond", daemon=True)
            visiting.start()
            end = time.monotonic() + FULL_S
            while time.monotonic() < end:
                most = max(most, connections())
                queued = max(queued, _queued(section_rows(stats, used)))
                time.sleep(POLL_EVERY_S)
            full_until_ns = time.time_ns()
            count = len(opened)
    except EvidenceUnavailable as problem:
        return whole.model_copy(update={"impossible": f"{problem.where}: {problem.why}"})
    visiting.join(ANSWER_S)
    return whole.model_copy(
        update={
            "held": count,
            "most": most,
            "answered_early": sum(v.status != 0 and v.done_ns < full_until_ns for v in visits),
            "queued": queued,
            "visits": tuple(visits),
        }
    )


def _queued(rows: Sequence[ServerStat]) -> int:
    return sum(row.qcur or 0 for row in rows if row.kind in ("backend", "server"))


def _fill_servers(context: Context, stats: StatsSource, name: str, api: Api) -> ServerSaturation:
    """Make more visits at once than the servers' maxconn together; none if they have no maxconn."""
    servers = proxy_polling.server_rows([stats], api.proxy_section)
    limits = {row.name: row.slim for row in servers if row.slim}
    unlimited = tuple(row.name for row in servers if not row.slim)
    wanted = context.deployment.expect.of(name).server_maxconn
    evidence = ServerSaturation(api=name, limits=limits, unlimited=unlimited, wanted_limit=wanted)
    if not limits:
        return evidence
    at_once = min(max(TIMES_THE_LIMIT * sum(limits.values()), BEYOND), MOST_AT_ONCE)
    most: Counter[str] = Counter()
    queued = 0

    def read() -> None:
        nonlocal queued
        rows = section_rows(stats, [api])
        queued = max(queued, _queued(rows))
        for row in rows:
            if row.kind == "server":
                most[row.name] = max(most[row.name], row.scur or 0)

    with RepeatedWork("peak", POLL_EVERY_S, read) as polling:
        clients = in_turn(sources(context, api), at_once)
        visits = asyncio.run(_stay(api, clients, context.deployment.tls))
    polling.check()
    update = {"at_once": at_once, "most": dict(most), "queued": queued, "visits": tuple(visits)}
    return evidence.model_copy(update=update)


async def _stay(api: Api, clients: Sequence[str | None], tls: Tls) -> list[Visit]:
    """A visit from each source, all at once; each keeps its connection for a while after the answer."""
    secure = tls_context(api, tls)

    async def stay(source: str | None) -> Visit:
        made, connection = await visit(api, source, secure, ClientRequests(), keep=True, within_s=ANSWER_S)
        if made.port:
            await asyncio.sleep(STAYS_S)
        connection.close()
        return made

    return list(await asyncio.gather(*(stay(source) for source in clients)))
