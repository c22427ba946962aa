"""`GET` requests over connections from chosen source addresses: the HTTP client of visits and probes.

A connection carries no more than these experiments need, so that what the proxy sees of it (addresses,
ports, packets, its end) is what they intend.
"""

from __future__ import annotations

import asyncio
import errno
import http.client
import io
import os
import re
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from calorimeter.core import tls_front
from calorimeter.core.deployment import Address, Api, Tls
from calorimeter.gates.clients.visits import NO_ANSWER

CONNECT_S = 10.0
LARGEST_HEAD = 65536
LARGEST_BODY = 16 * 2**20
CLOSED = "closed without an answer"
NOT_HTTP = "the answer is not HTTP"
TOO_LARGE = "the answer is too large"

LOCAL_ERRORS = frozenset(
    {
        errno.EADDRNOTAVAIL,  # no free port, or the source is not an address of this machine
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
"""errno values that mean that the request never left this machine; they say nothing about the server."""


@dataclass(frozen=True, slots=True)
class GetRecord:
    """The record of one request. Times are ns since the epoch.

    `source` and `port` are the client's end of the connection (port 0: it was never open). `status` is 0 if
    no answer came; `error` then says why, and `unsent` whether the request never left this machine.
    `received` is the answer as it came, head and body.
    """

    source: str
    port: int
    sent_ns: int
    done_ns: int
    status: int
    error: str = ""
    unsent: bool = False
    received: bytes = b""

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that the records of all requests have in common."""
        return {name: getattr(self, name) for name in ("sent_ns", "done_ns", "status", "error")}

    @property
    def body(self) -> str:
        """The text of the body, which may come in chunks; empty if it is incomplete."""
        socket_like: Any = SimpleNamespace(makefile=lambda _: io.BytesIO(self.received))
        response = http.client.HTTPResponse(socket_like)
        try:
            response.begin()
            return response.read().decode("utf-8", "replace")
        except (http.client.HTTPException, ValueError):
            return ""


@dataclass(slots=True)
class HttpConnection:
    """One HTTP/1.1 connection from `source` (None: any), opened by its first request."""

    to: Address
    source: str | None = None
    tls: ssl.SSLContext | None = None
    _end: tuple[str, int] = ("", 0)
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(
        self,
        path: str = "/",
        *,
        within_s: float,
        keep: bool = False,
        body: bool = True,
        if_cancelled: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> GetRecord:
        """Send `GET path` and read the answer: to its end, or (not `body`) no further than its head.

        `keep` asks the server to keep the connection; the body then needs a Content-Length. If the task is
        cancelled, `if_cancelled` becomes the error of the answer; without it the cancellation goes on.
        """
        sent_ns = time.time_ns()
        status, error, unsent, received = 0, "", False, b""
        try:
            async with asyncio.timeout(within_s):
                received = await self._exchange(
                    request(self.to, path, keep=keep, headers=headers), keep, body
                )
            status = _status(received)
        except TimeoutError:
            error = f"{NO_ANSWER} {within_s:g} s"
        except asyncio.CancelledError:
            if if_cancelled is None:
                raise
            error = if_cancelled
        except asyncio.IncompleteReadError:
            error = CLOSED
        except asyncio.LimitOverrunError:
            error = NOT_HTTP
        except OSError as problem:
            error, unsent = reason(problem)
        except ValueError as problem:
            error = str(problem)
        source, port = self._end
        return GetRecord(
            source or self.source or "", port, sent_ns, time.time_ns(), status, error, unsent, received
        )

    async def _exchange(self, sent: bytes, keep: bool, body: bool) -> bytes:
        if self._streams is None:
            self._streams = await self._open()
        reader, writer = self._streams
        writer.write(sent)
        head = await reader.readuntil(b"\r\n\r\n")
        if not body:
            return head
        length = _length(head)
        if not keep:
            rest = await _to_the_end(reader)
            if len(rest) < (length or 0):
                raise asyncio.IncompleteReadError(rest, length)
            return head + rest
        if length is None:
            raise ValueError("an answer without a length")
        return head + await reader.readexactly(length)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        streams = await asyncio.open_connection(
            self.to.host,
            self.to.port,
            ssl=self.tls,
            local_addr=(self.source, 0) if self.source else None,
            limit=LARGEST_HEAD,
        )
        self._end = streams[1].get_extra_info("sockname")[:2]
        return streams

    @property
    def open(self) -> bool:
        """Whether the other side has not closed the connection, as far as it is known."""
        return self._streams is not None and not self._streams[0].at_eof()

    def close(self) -> None:
        """Close the connection if it is open; the next request opens another."""
        if self._streams is not None:
            with suppress(OSError):
                self._streams[1].close()
            self._streams = None


def _status(received: bytes) -> int:
    words = received.split(b"\r\n", 1)[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise ValueError(NOT_HTTP)
    return int(words[1])


def _length(head: bytes) -> int | None:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            digits = line.partition(b":")[2].strip()
            if not digits.isdigit():
                raise ValueError(NOT_HTTP)
            if len(digits) > 12 or int(digits) > LARGEST_BODY:
                raise ValueError(TOO_LARGE)
            return int(digits)
    return None


async def _to_the_end(reader: asyncio.StreamReader) -> bytes:
    parts, left = [], LARGEST_BODY
    while part := await reader.read(2**16):
        left -= len(part)
        if left < 0:
            raise ValueError(TOO_LARGE)
        parts.append(part)
    return b"".join(parts)


def reason(problem: OSError) -> tuple[str, bool]:
    """Why no answer came, in words; and whether that is a matter of this machine alone."""
    number = problem.errno or 0
    if not number:  # asyncio joins the errors of several addresses in one text
        number = int((re.findall(r"\[Errno (\d+)\]", str(problem)) or ["0"])[-1])
    tls = isinstance(problem, ssl.SSLError)  # has error numbers of its own
    known = number > 0 and not tls
    words = os.strerror(number) if known else problem.strerror or str(problem) or type(problem).__name__
    return words[:120], number in LOCAL_ERRORS and not tls


def request(
    to: Address, path: str = "/", *, keep: bool = False, headers: Mapping[str, str] | None = None
) -> bytes:
    """The bytes of an unauthenticated `GET`; it asks the server to close the connection unless `keep`."""
    own = {name.lower() for name in headers or {}}
    given = {"Host": str(to)} if "host" not in own else {}
    given |= dict(headers or {}) | ({} if keep else {"Connection": "close"})
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()


def tls_context(api: Api, tls: Tls) -> ssl.SSLContext | None:
    """How a TLS front is verified; None for plain HTTP."""
    return tls_front.verifying(tls) if api.parts.scheme == "https" else None


def connect(
    to: Address,
    source: str | None = None,
    timeout_s: float = CONNECT_S,
    tls: ssl.SSLContext | None = None,
) -> socket.socket:
    """A connection from `source`, for experiments that send no whole request: plain TCP, or through TLS.

    Raises OSError.
    """
    plain = socket.create_connection(
        (to.host, to.port), timeout_s, source_address=(source, 0) if source else None
    )
    if tls is None:
        return plain
    try:
        return tls.wrap_socket(plain, server_hostname=to.host)
    except BaseException:
        plain.close()
        raise
