"""Visits whose connections stay open until the last one is: what `balance leastconn` is judged by."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence

from calorimeter.core.deployment import Api, Tls
from calorimeter.gates.clients.http_get import HttpConnection, tls_context
from calorimeter.gates.clients.visits import ANSWER_S, Visit


def held_visits(api: Api, sources: Sequence[str | None], tls: Tls) -> list[Visit] | None:
    """One visit of each source in this order, each on a connection that stays open until all were made.

    None if an answered connection did not stay open: the API, or the proxy, closes it after the answer.
    """
    return asyncio.run(_held(api, sources, tls_context(api, tls)))


async def _held(api: Api, sources: Sequence[str | None], tls: ssl.SSLContext | None) -> list[Visit] | None:
    connections = [HttpConnection(api.front, source, tls) for source in sources]
    try:
        visits = []
        for connection in connections:
            answer = await connection.get(within_s=ANSWER_S, keep=True)
            visits.append(Visit(source=answer.source, port=answer.port, **answer.fields))
        kept = [each.open for each, visit in zip(connections, visits, strict=True) if visit.served]
    finally:
        for connection in connections:
            connection.close()
    return visits if all(kept) else None
