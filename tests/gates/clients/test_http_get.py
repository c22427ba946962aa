"""The HTTP client of visits and probes, against raw answers."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl

import pytest

from calorimeter.core.deployment import Address
from calorimeter.gates.clients.http_get import GetRecord, HttpConnection, reason
from tests.load.http.raw_server import answering, serving

LENGTH = b"HTTP/1.1 300 Choices\r\nContent-Length: 2\r\n\r\nok"
CHUNKS = b"HTTP/1.1 300 Choices\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"


def got(answer: bytes, requests: int = 1, *, keep: bool = False, body: bool = True) -> list[GetRecord]:
    """What the client makes of this answer to each of its requests on one connection."""

    async def get(to: Address) -> list[GetRecord]:
        connection = HttpConnection(to, "127.16.0.9")
        answers = [await connection.get(within_s=5, keep=keep, body=body) for _ in range(requests)]
        connection.close()
        return answers

    with serving(answering(*[answer] * requests)) as at:
        return asyncio.run(get(Address(host=at.host, port=at.port)))


@pytest.mark.parametrize("received", [LENGTH, CHUNKS])
def test_body_is_read_to_its_end(received: bytes) -> None:
    """With a length or in chunks; the answer names the client's end of its connection."""
    (answer,) = got(received)
    assert (answer.status, answer.error, answer.body) == (300, "", "ok")
    assert answer.source == "127.16.0.9"
    assert answer.port > 0
    assert answer.sent_ns < answer.done_ns


def test_kept_connection_carries_several_requests() -> None:
    """All from one port."""
    answers = got(LENGTH, requests=3, keep=True)
    assert [answer.status for answer in answers] == [300, 300, 300]
    assert len({answer.port for answer in answers}) == 1


@pytest.mark.parametrize(
    ("received", "keep", "error"),
    [
        (LENGTH[:-1], False, "closed without an answer"),
        (LENGTH[:10], False, "closed without an answer"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", False, "the answer is not HTTP"),
        (CHUNKS, True, "an answer without a length"),
        (LENGTH.replace(b"2", b"-2"), True, "the answer is not HTTP"),
        (LENGTH.replace(b"2", b"\xb2"), False, "the answer is not HTTP"),
        (LENGTH.replace(b"2", b"9" * 5000), True, "the answer is too large"),
        (LENGTH.replace(b"2", b"99999999"), True, "the answer is too large"),
        (LENGTH + b"x" * 2**24, False, "the answer is too large"),
    ],
)
def test_other_answers_have_no_status(received: bytes, keep: bool, error: str) -> None:
    """An answer that is cut off, is not HTTP, or whose end is unknown on a kept connection."""
    (answer,) = got(received, keep=keep)
    assert (answer.status, answer.error, answer.unsent) == (0, error, False)


def test_head_alone_is_enough_if_no_body_is_wanted() -> None:
    """The end of the body is not waited for."""
    (answer,) = got(LENGTH[:-1], body=False)
    assert (answer.status, answer.error) == (300, "")


@pytest.mark.parametrize(
    ("problem", "why", "unsent"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files", True),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "Network is unreachable", True),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "No route to host", False),
        (
            OSError("Multiple exceptions: [Errno 111] …, [Errno 99] …"),
            "Cannot assign requested address",
            True,
        ),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), "Temporary failure", True),
        (socket.gaierror(socket.EAI_NONAME, "Name not known"), "Name not known", False),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), "certificate verify failed", False),
    ],
)
def test_whose_error_it_is(problem: OSError, why: str, unsent: bool) -> None:
    """Errors of this machine are distinguished from those of the other side."""
    assert reason(problem) == (why, unsent)
