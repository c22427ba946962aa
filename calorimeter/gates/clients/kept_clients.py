"""Clients that send several requests over one connection, beside the visits over new ones."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from calorimeter.core.deployment import Api
from calorimeter.gates.clients.attribution import Attribution
from calorimeter.gates.clients.http_get import HttpConnection, tls_context
from calorimeter.gates.clients.visits import ANSWER_S, KeptClient

CLIENTS = 10
REQUESTS = 5

LINES_WITHIN_S = 3.0


def kept_clients(
    attribution: Attribution, api: Api, sources: Sequence[str | None]
) -> tuple[KeptClient, ...]:
    """Clients that kept one connection for all their requests, and the servers that the log names.

    Empty if the evidence is not the log, or if the connections do not stay open: the API, or the proxy,
    closes them after an answer.
    """
    if attribution.kind != "log":
        return ()
    attribution.start([api])
    ends = asyncio.run(_keep(attribution, api, sources[:CLIENTS]))
    named: defaultdict[tuple[str, int], list[str | None]] = defaultdict(list)
    for line in attribution.lines(api, len(ends) * REQUESTS, LINES_WITHIN_S):
        named[line.end].append(line.server)
    return tuple(
        KeptClient(source=end[0], requests=REQUESTS, servers=tuple(filter(None, named[end])))
        for end in ends
        if all(named[end])
    )


async def _keep(attribution: Attribution, api: Api, sources: Sequence[str | None]) -> list[tuple[str, int]]:
    """Address and port of each client all of whose requests were answered on its first connection."""
    tls, sent = tls_context(api, attribution.context.deployment.tls), attribution.requests(api)

    async def client(source: str | None) -> tuple[str, int] | None:
        connection = HttpConnection(api.front, source, tls)
        try:
            for number in range(REQUESTS):
                if number and not connection.open:
                    return None
                answer = await connection.get(
                    sent.path(source), within_s=ANSWER_S, keep=True, headers=sent.headers(source)
                )
                sent.answered(source, answer.received)
                if not 0 < answer.status < 500:
                    return None
        finally:
            connection.close()
        return answer.source, answer.port

    return [end for source in sources if (end := await client(source)) is not None]
