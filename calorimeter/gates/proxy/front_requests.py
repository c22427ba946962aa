"""`GET /` at a front address, as clients send it."""

from __future__ import annotations

import errno
import json
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from calorimeter.core.deployment import Api, Tls
from calorimeter.gates.clients.visit_rounds import sources
from calorimeter.gates.context import Context
from calorimeter.gates.evidence import proxy_polling
from calorimeter.gates.evidence.placement import ServerAt
from calorimeter.gates.evidence.stats_sources import proxy_stats_if_visible
from calorimeter.gates.proxy.front import Front, Reply, Version

ANSWER_S = 30.0
SHOWN = 200

OURS = frozenset(
    {
        errno.EADDRNOTAVAIL,  # no free port, or a source that is no address of this machine
        errno.EADDRINUSE,
        errno.EAFNOSUPPORT,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EPERM,  # a packet filter of this machine
        errno.EACCES,
        errno.ENETDOWN,
        errno.ENETUNREACH,  # no route from here
        socket.EAI_AGAIN,  # no name server answers
    }
)
"""Errors by which nothing left this machine: whoever listens at the front address had no part in them."""

ASKED = 59
"""Requests: the fewest by which a violation of one in twenty shows (rule of three, 95 %)."""


def front(context: Context, api_name: str) -> Front:
    """Ask for the versions at the API's front address, and see whether the proxy counted it."""
    api = context.api(api_name)
    who = sources(context, api)
    stats = proxy_stats_if_visible(context.deployment)
    before = proxy_polling.sessions(stats, api.proxy_section)
    replies = tuple(asked(api, [who[number % len(who)] for number in range(ASKED)], context.deployment.tls))
    after = proxy_polling.sessions(stats, api.proxy_section)
    return Front(
        api=api_name,
        url=_url(api),
        front=str(api.front),
        backends=_backends(api, proxy_polling.placed(stats, api.proxy_section)),
        section=api.proxy_section,
        replies=replies,
        counted=after - before if before is not None and after is not None else None,
        section_known=None if not stats else before is not None,
    )


def _backends(api: Api, placed: Sequence[ServerAt]) -> dict[str, str]:
    """The described backends' addresses, and those that the proxy has instead."""
    described = {backend.name: backend.address for backend in api.backends}
    known = {*described.values(), *(each for some in proxy_polling.resolved(api).values() for each in some)}
    return described | {f"{at.server} in the proxy": at.address for at in placed if at.address not in known}


def asked(api: Api, who: Sequence[str | None], tls: Tls) -> Iterator[Reply]:
    """A request from each source, one after another; the first without an answer is the last."""
    for source in who:
        reply = _asked(_url(api), source, tls)
        yield reply
        if not reply.status:
            return


def _url(api: Api) -> str:
    return f"{api.parts.scheme}://{api.front}/"


class _From(HTTPAdapter):
    """Connections from one source address; None: the one that the operating system picks."""

    def __init__(self, source: str | None) -> None:
        self._source = (source, 0) if source else None
        super().__init__()

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        """As requests makes its pools, with that address."""
        super().init_poolmanager(*args, **more, source_address=self._source)


def _asked(url: str, source: str | None, tls: Tls) -> Reply:
    try:
        with requests.Session() as http:
            http.trust_env = False
            http.mount(url, _From(source))
            answer = http.get(
                url,
                timeout=ANSWER_S,
                allow_redirects=False,
                verify=tls.for_requests,
                headers={"Connection": "close"},
            )
    except requests.RequestException as problem:
        why, unsent = reason(problem)
        return Reply(source=source or "", status=0, error=why, unsent=unsent)
    return Reply(
        source=source or "",
        status=answer.status_code,
        answer=answer.text[:SHOWN],
        versions=_versions(answer.text),
    )


def reason(problem: requests.RequestException) -> tuple[str, bool]:
    """Why no answer came, and whether it is this machine's own doing."""
    if isinstance(problem, requests.Timeout):
        return f"no answer within {ANSWER_S:g} s", False
    for cause in _causes(problem):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror, cause.errno in OURS and not isinstance(
                cause, ssl.SSLError
            )  # own numbers
        if isinstance(cause, ConnectionError):  # of http.client, which has no errno for it
            return "closed without an answer", False
    return type(problem).__name__, False


def _causes(problem: BaseException) -> Iterator[BaseException]:
    """What an error was made of, the innermost first; requests and urllib3 keep it in different places."""
    for inner in (getattr(problem, "reason", None), *problem.args, problem.__cause__):
        if isinstance(inner, BaseException):
            yield from _causes(inner)
    yield problem


def _versions(text: str) -> tuple[Version, ...]:
    """The versions of Heat's document; none where it is another."""
    try:
        found = json.loads(text)["versions"]
        return tuple(
            Version(
                id=str(version["id"]),
                status=str(version.get("status", "")),
                href=next((str(link["href"]) for link in version.get("links", [])), ""),
            )
            for version in found
        )
    except (ValueError, KeyError, TypeError):
        return ()
