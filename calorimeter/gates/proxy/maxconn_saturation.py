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
    """Fill the proxy and its servers. Raises EvidenceUnavailable if its limits cannot be read."""
    stats = proxy_stats(context.deployment)
    if len(stats) > 1:
        raise EvidenceUnavailable(
            str(context.deployment.path),
            "several proxies share the load: which one is full cannot be determined",
        )
    fill = fillable(stats[0], tuple(apis(context).values()), context.deployment)
    expect = context.deployment.expect
    servers = tuple(_fill_servers(context, stats[0], name, api) for name, api in apis(context).items())
    return MaxconnSaturation(
        whole=_fill_proxy(context, stats[0], fill, tuple(apis(context).values())),
        servers=servers,
        timeout_queue_s=expect.timeout_queue_s or expect.timeout_connect_s,
    )


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
