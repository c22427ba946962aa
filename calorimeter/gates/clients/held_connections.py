"""Connections that are opened and held, without the machinery of an HTTP client."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from calorimeter.core.deployment import Api
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

CONNECT_S = 10.0
SPARE_FILES = 200
"""File descriptors beside those of the held connections."""


def request(api: Api) -> bytes:
    """A `GET /` after which the connection stays open."""
    return f"GET / HTTP/1.1\r\nHost: {api.front}\r\n\r\n".encode()


def connect(api: Api, source: str | None, timeout_s: float = CONNECT_S) -> socket.socket:
    """A TCP connection to the front address from `source`; raises OSError."""
    front = api.front
    return socket.create_connection(
        (front.host, front.port), timeout_s, source_address=(source, 0) if source else None
    )


@contextmanager
def held(
    apis: Sequence[Api], sources: Sequence[Sequence[str | None]], count: int
) -> Iterator[list[socket.socket]]:
    """`count` connections, in turn to each API and from each of its sources; closed on leaving.

    Raises `EvidenceUnavailable` where this machine allows fewer, or the front does not accept them.
    """
    allow_files(count + SPARE_FILES)
    opened: list[socket.socket] = []
    try:
        for number in range(count):
            which = number % len(apis)
            who = sources[which]
            source = who[number // len(apis) % len(who)]
            try:
                opened.append(connect(apis[which], source))
            except OSError as problem:
                reason = problem.strerror or str(problem)
                why = f"connection {number + 1} of {count} could not be opened ({reason})"
                raise EvidenceUnavailable(str(apis[which].front), why) from problem
        yield opened
    finally:
        for connection in opened:
            connection.close()


def allow_files(wanted: int) -> None:
    """Raise this process's limit of open files; `EvidenceUnavailable` where the hard limit is lower."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise EvidenceUnavailable(
            "this machine", f"allows {hard} open files a process (ulimit -Hn), {wanted} are needed"
        )
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
