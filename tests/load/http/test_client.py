"""The HTTP client reads answers: raw bytes from real sockets."""

from __future__ import annotations

import socket
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.load.http.client import Client, RequestTimeouts
from tests.load.http.raw_server import GET, HELLO, QUICK, answering, ask, read_request, serving


def test_answer_with_a_length_is_read_with_its_headers() -> None:
    """Status, body, request id and location of an answer with Content-Length, times in order."""
    raw = (
        b"HTTP/1.1 302 Found\r\nLocation: http://heat/v1/x\r\nX-OpenStack-Request-ID: req-1\r\n"
        b"Content-Length: 5\r\n\r\nmoved"
    )
    with serving(answering(raw)) as to:
        [answer] = ask(to, GET)
    assert (answer.status, answer.body, answer.error) == (302, b"moved", "")
    assert (answer.location, answer.request_id) == (b"http://heat/v1/x", b"req-1")
    assert 0 < answer.sent_ns <= answer.first_byte_ns <= answer.done_ns
    assert abs(answer.done_ns - time.time_ns()) < 60e9
    assert answer.port > 0


def test_chunked_answer_is_joined() -> None:
    """A chunked body with an extension and a trailer is the sum of its chunks."""
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    raw += b"5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nX-End: 1\r\n\r\n"
    with serving(answering(raw, HELLO)) as to:
        first, second = ask(to, GET, GET)
    assert first.body == b"hello world"
    assert (second.body, second.port) == (b"hello", first.port)


@settings(max_examples=30)
@given(cuts=st.lists(st.integers(1, 100), max_size=8), chunked=st.booleans())
def test_answer_is_the_same_however_the_network_cuts_it(cuts: list[int], chunked: bool) -> None:
    """The same bytes in any packets give the same answer."""
    body = b"0123456789" * 3
    raw = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nX-Openstack-Request-Id: req-7\r\n"
    if chunked:
        raw += (
            b"Transfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n14\r\n01234567890123456789\r\n0\r\n\r\n"
        )
    else:
        raw += b"Content-Length: 30\r\n\r\n" + body
    places = sorted({cut % len(raw) for cut in cuts} | {0, len(raw)})

    def converse(sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        read_request(sock)
        for start, end in pairwise(places):
            sock.sendall(raw[start:end])
            time.sleep(0.0005)

    with serving(converse) as to:
        [answer] = ask(to, GET, timeouts=RequestTimeouts())
    assert (answer.status, answer.body, answer.request_id, answer.error) == (201, body, b"req-7", "")


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\n\r\n"]
)
def test_answer_without_a_body_ends_with_its_head(answer: bytes) -> None:
    """204 and 304 have no body, even without a length."""
    with serving(answering(answer, HELLO)) as to:
        first, second = ask(to, GET, GET)
    assert (first.body, first.error, second.body, second.port) == (b"", "", b"hello", first.port)


def test_head_has_no_body_whatever_its_length_says() -> None:
    """An answer to HEAD ends with its head, and the connection is not trusted further."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    with serving(answering(head), answering(HELLO)) as to:
        first, second = ask(to, GET.replace(b"GET", b"HEAD"), GET)
    assert (first.status, first.body, first.error, second.body) == (200, b"", "", b"hello")


def test_body_that_ends_with_the_connection_is_whole() -> None:
    """Without length and without chunks the end of the stream is the end of the body."""
    with serving(answering(b"HTTP/1.0 200 OK\r\n\r\nall of it")) as to:
        [answer] = ask(to, GET)
    assert (answer.status, answer.body, answer.error) == (200, b"all of it", "")


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nContent-",
    ],
)
def test_cut_answer_is_closed(raw: bytes) -> None:
    """A connection that ends in the middle of an answer gives `closed`, and no status."""
    with serving(answering(raw)) as to:
        [answer] = ask(to, GET)
    assert (answer.error, answer.status) == ("closed", 0)
    assert answer.first_byte_ns > 0


@pytest.mark.parametrize(
    "raw",
    [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"],
)
def test_bytes_that_are_not_http_are_protocol(raw: bytes) -> None:
    """Bytes that are not HTTP, or ambiguous HTTP, give `protocol`."""
    with serving(answering(raw)) as to:
        [answer] = ask(to, GET)
    assert (answer.error, answer.status) == ("protocol", 0)


def test_answer_beyond_the_limit_is_protocol() -> None:
    """An answer that is larger than allowed is abandoned, not collected."""
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
    with serving(answering(raw)) as to:
        client = Client(to, timeouts=QUICK, max_answer_bytes=50_000)
        answer = client.send(GET)
        client.close()
    assert (answer.error, answer.body) == ("protocol", b"")
