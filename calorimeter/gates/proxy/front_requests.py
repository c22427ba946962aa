"""The experiment of P1 and P2: `GET /` at a front address, as clients send it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from calorimeter.core import foreign
from calorimeter.core.deployment import Api, Tls
from calorimeter.gates.clients.http_get import HttpConnection, tls_context
from calorimeter.gates.clients.sources import in_turn
from calorimeter.gates.clients.visit_rounds import sources
from calorimeter.gates.clients.visits import ANSWER_S
from calorimeter.gates.context import Context
from calorimeter.gates.evidence import proxy_polling
from calorimeter.gates.evidence.placement import ServerAt
from calorimeter.gates.evidence.stats_sources import proxy_stats_if_visible
from calorimeter.gates.proxy.front import ApiVersion, FrontReplies, FrontReply

SHOWN = 200

REQUESTS = 59
"""The fewest requests that show a violation in one of twenty (rule of three, 95 %)."""


def front(context: Context, api_name: str) -> FrontReplies:
    """Request the versions at the API's front address, and read whether the proxy counted that."""
    api = context.api(api_name)
    clients = sources(context, api)
    stats = proxy_stats_if_visible(context.deployment)
    before = proxy_polling.sessions(stats, api.proxy_section)
    got = replies(api, in_turn(clients, REQUESTS), context.deployment.tls)
    after = proxy_polling.sessions(stats, api.proxy_section)
    return FrontReplies(
        api=api_name,
        url=f"{api.parts.scheme}://{api.front}/",
        front=str(api.front),
        backends=_backends(api, proxy_polling.placed(stats, api.proxy_section)),
        section=api.proxy_section,
        replies=got,
        counted=after - before if before is not None and after is not None else None,
        section_known=None if not stats else before is not None,
    )


def _backends(api: Api, placed: Sequence[ServerAt]) -> dict[str, str]:
    """The addresses of the described backends, and those that the proxy has instead."""
    described = {backend.name: backend.address for backend in api.backends}
    known = {*described.values(), *(each for some in proxy_polling.resolved(api).values() for each in some)}
    return described | {f"{at.server} in the proxy": at.address for at in placed if at.address not in known}


def replies(api: Api, clients: Sequence[str | None], tls: Tls) -> tuple[FrontReply, ...]:
    """The replies to a request from each source, one after another, up to the first without an answer."""
    return tuple(asyncio.run(_replies(api, clients, tls)))


async def _replies(api: Api, clients: Sequence[str | None], tls: Tls) -> list[FrontReply]:
    secure, got = tls_context(api, tls), list[FrontReply]()
    for source in clients:
        connection = HttpConnection(api.front, source, secure)
        answer = await connection.get(within_s=ANSWER_S)
        connection.close()
        body = answer.body if answer.status else ""
        got.append(
            FrontReply(
                source=source or "",
                status=answer.status,
                error=answer.error,
                unsent=answer.unsent,
                answer=body[:SHOWN],
                versions=_versions(body),
            )
        )
        if not answer.status:
            break
    return got


def _versions(text: str) -> tuple[ApiVersion, ...]:
    """The versions of Heat's document; empty if it is another document."""
    try:
        found = foreign.member(foreign.json_value(text), "versions")
        return tuple(
            ApiVersion(
                id=str(version["id"]),
                status=str(version.get("status", "")),
                href=next((str(link["href"]) for link in version.get("links", [])), ""),
            )
            for version in found
        )
    except foreign.MISREAD:
        return ()
