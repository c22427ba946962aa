"""Many source addresses visit an API over fresh connections, and each connection is attributed."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Sequence
from typing import Any

from calorimeter.core.deployment import Api, Tls
from calorimeter.gates.clients.visits import GIVEN_UP, Visit

IN_FLIGHT = 32
"""Connections at a time: enough to keep the APIs busy, far below every maxconn."""

ANSWER_S = 30.0
"""Time for one visit, from connecting to the end of the answer."""

GIVE_UP = 20
"""So many unanswered visits tell that, and whose they are; more only take time."""


def request(api: Api) -> bytes:
    """The bytes of an unauthenticated `GET /` that asks for the connection to be closed."""
    return f"GET / HTTP/1.1\r\nHost: {api.front}\r\nConnection: close\r\n\r\n".encode()


def visit_all(
    api: Api,
    sources: Sequence[str | None],
    times: int,
    tls: Tls,
    *,
    in_flight: int = IN_FLIGHT,
    give_up: int | None = None,
) -> list[Visit]:
    """Let each source visit the API `times` times, in rounds, so that its visits lie apart in time.

    A source of None is the address that the operating system picks. After `give_up` visits that were not
    answered no more are begun, and those under way are ended.
    """
    each = [s for _ in range(times) for s in sources]
    return asyncio.run(_visit_all(api, each, tls_context(api, tls), in_flight, give_up))


def tls_context(api: Api, tls: Tls) -> ssl.SSLContext | None:
    """How a TLS front is verified; None for plain HTTP."""
    if api.parts.scheme != "https":
        return None
    made = ssl.create_default_context(cafile=tls.ca_file)
    if not tls.verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


async def _visit_all(
    api: Api,
    sources: Sequence[str | None],
    tls: ssl.SSLContext | None,
    in_flight: int,
    give_up: int | None,
) -> list[Visit]:
    payload = request(api)
    waiting = iter(enumerate(sources))
    made: dict[int, Visit] = {}
    enough = asyncio.Event()
    unanswered = 0

    def ours() -> asyncio.Task[Any]:
        task = asyncio.current_task()
        assert task is not None
        return task

    async def worker() -> None:
        nonlocal unanswered
        for number, source in waiting:
            visit = await _visit(api, source, payload, tls)
            made[number] = visit
            unanswered += not visit.served
            if give_up is not None and unanswered >= give_up:
                enough.set()
            if enough.is_set() or ours().cancelling():
                return

    workers = [asyncio.create_task(worker()) for _ in range(min(in_flight, len(sources)))]
    given_up = asyncio.create_task(enough.wait())
    everybody = asyncio.gather(*workers)
    await asyncio.wait((everybody, given_up), return_when=asyncio.FIRST_COMPLETED)
    if enough.is_set():
        for each in workers:
            each.cancel()  # a visit that is cancelled is noted as not answered
    given_up.cancel()
    await everybody
    return [made[number] for number in sorted(made)]


async def _visit(api: Api, source: str | None, payload: bytes, tls: ssl.SSLContext | None) -> Visit:
    sent_ns = time.time_ns()
    port, status, error, used = 0, 0, "", source or ""
    writer = None
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection(
                api.front.host,
                api.front.port,
                ssl=tls,
                local_addr=(source, 0) if source else None,
            )
            used, port = writer.get_extra_info("sockname")[:2]
            _set_nodelay(writer)
            writer.write(payload)
            status, error = status_of(await reader.read())
    except TimeoutError:
        error = "timeout"
    except asyncio.CancelledError:
        error = GIVEN_UP
    except OSError as problem:
        error = problem.strerror or type(problem).__name__
    finally:
        if writer is not None:
            writer.close()
    return Visit(
        source=used, port=port, sent_ns=sent_ns, done_ns=time.time_ns(), status=status, error=error
    )


def _set_nodelay(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def status_of(answer: bytes) -> tuple[int, str]:
    """The HTTP status of an answer; 0 and why where it is none."""
    if not answer:
        return 0, "closed without an answer"
    words = answer.split(b"\r\n", 1)[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        return 0, "the answer is not HTTP"
    return int(words[1]), ""
