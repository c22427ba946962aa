"""Many source addresses visit an API: one fresh connection and one `GET /` per visit."""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext

from calorimeter.core.deployment import Api, Tls
from calorimeter.gates.clients.client_requests import ClientRequests
from calorimeter.gates.clients.http_get import HttpConnection, tls_context
from calorimeter.gates.clients.visits import ANSWER_S, GIVEN_UP, Visit

Sources = Sequence[str | None]
"""Client addresses; None is the one that the operating system picks."""

IN_FLIGHT = 32
"""Visits at a time: enough to keep the APIs busy, far below every maxconn."""

GIVE_UP = 20
"""Unanswered visits that are evidence enough; further ones would only take time."""


def visit_all(
    api: Api,
    sources: Sources,
    tls: Tls,
    in_flight: int = IN_FLIGHT,
    give_up: int | None = None,
    requests: ClientRequests | None = None,
) -> list[Visit]:
    """Visit the API from these sources, in this order, `in_flight` visits at a time.

    A source may occur several times. After `give_up` unanswered visits no further visit starts, and those
    in flight are cancelled and recorded as not answered (`GIVEN_UP`). `requests` are what the sources send;
    where they keep cookies, a source waits for its earlier visit.
    """
    sent = requests or ClientRequests()
    return asyncio.run(_visit_all(api, sources, tls_context(api, tls), in_flight, give_up, sent))


async def _visit_all(
    api: Api,
    sources: Sources,
    tls: ssl.SSLContext | None,
    in_flight: int,
    give_up: int | None,
    requests: ClientRequests,
) -> list[Visit]:
    waiting = iter(enumerate(sources))
    turns: defaultdict[str | None, asyncio.Lock] = defaultdict(asyncio.Lock)
    visits: dict[int, Visit] = {}
    enough = asyncio.Event()
    unanswered = 0

    async def worker() -> None:
        nonlocal unanswered
        this = asyncio.current_task()
        for number, source in waiting:
            async with turns[source] if requests.keeps_cookies else nullcontext():
                visits[number], connection = await visit(api, source, tls, requests)
            connection.close()
            unanswered += not visits[number].served
            if give_up is not None and unanswered >= give_up:
                enough.set()
            if enough.is_set() or (this is not None and this.cancelling()):
                return

    workers = [asyncio.create_task(worker()) for _ in range(min(in_flight, len(sources)))]
    given_up = asyncio.create_task(enough.wait())
    all_workers = asyncio.gather(*workers)
    await asyncio.wait((all_workers, given_up), return_when=asyncio.FIRST_COMPLETED)
    if enough.is_set():
        for each in workers:
            each.cancel()
    given_up.cancel()
    await all_workers
    return [visits[number] for number in sorted(visits)]


async def visit(
    api: Api,
    source: str | None,
    tls: ssl.SSLContext | None,
    requests: ClientRequests,
    *,
    keep: bool = False,
    within_s: float = ANSWER_S,
) -> tuple[Visit, HttpConnection]:
    """One visit, and its connection; `keep`: the connection stays open until the caller closes it."""
    connection = HttpConnection(api.front, source, tls)
    answer = await connection.get(
        requests.path(source),
        within_s=within_s,
        keep=keep,
        body=not keep,
        if_cancelled=GIVEN_UP,
        headers=requests.headers(source),
    )
    for client in {source, answer.source}:
        requests.answered(client, answer.received)
    return Visit(source=answer.source, port=answer.port, **answer.fields), connection
