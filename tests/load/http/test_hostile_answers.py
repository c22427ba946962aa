"""Whatever bytes a server sends, a request has one answer, and the user's next request is answered."""

from __future__ import annotations

import socket
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.load.http.client import MAX_HEAD_BYTES, Answer, RequestTimeouts
from calorimeter.load.http.request_line import UnsafeRequestError, request_line
from tests.load.http.raw_server import GET, HELLO, answering, ask, read_request, serving

LINES = st.sampled_from(
    [
        *(b"HTTP/1.1 200 OK", b"HTTP/1.1 999 X", b"HTTP/1.1 000 X", b"HTTP/1.1 101 X", b"HTTP/1.0 204"),
        *(b"HTTP/1.1 100 Continue", b"HTTP/2 200", b"HTTP/1.1 9999 X", b"Content-Length: 5"),
        *(
            b"Content-Length: -1",
            b"Content-Length: 99999999999999999999",
            b"Content-Length:",
            b"Upgrade: x",
        ),
        *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Connection: upgrade", b"X", b"X:"),
        *(b": x", b"X-Openstack-Request-Id:", b"X-Openstack-Request-Id: \xff", b"Location: \xfe\t"),
        *(b"Content-Encoding: gzip", b" folded", b"", b"5", b"hello", b"0", b"FFFFFFFFFFFFFFFFF", b"-1"),
    ]
)
SWITCH = b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n"
START = st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", SWITCH])
JOINED = st.tuples(st.sampled_from([b"\n", b"\r\n"]), st.lists(LINES, max_size=9))
RAW = st.binary(max_size=60) | JOINED.map(lambda drawn: drawn[0].join(drawn[1]))


def first_and_next(raw: bytes) -> Answer:
    """The answer to a request that is answered with these bytes; the next one is answered well."""
    with serving(answering(raw), answering(HELLO)) as to:
        first, following = ask(to, GET, GET)
    assert (following.status, following.body, following.error) == (200, b"hello", "")
    assert first.error in ("", "closed", "timeout", "protocol")
    assert (first.status != 0) is (not first.error)
    assert 0 < first.sent_ns <= first.done_ns and first.request_id.isascii()
    return first


@settings(max_examples=60)
@given(START, RAW, st.sampled_from([b"", b"\r\n\r\n"]))
def test_any_bytes_are_one_answer(start: bytes, raw: bytes, end: bytes) -> None:
    """Complete or with an error of its own; nothing is raised."""
    first_and_next(start + raw + end)


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (SWITCH + b"\r\n", "protocol"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 4000, "protocol"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000, "protocol"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 2 * MAX_HEAD_BYTES, "protocol"),
        (b"HTTP/1.1 200 " + b"O" * 2 * MAX_HEAD_BYTES, "protocol"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "closed"),
        (b"HTTP/1.0 000\r\n\r\n", "protocol"),
        (b"HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nX-Openstack-Request-Id:\r\nLocation:\r\nContent-Length: 0\r\n\r\n", ""),
    ],
    ids=[
        "101",
        "many 100",
        "many headers",
        "long header",
        "long reason",
        "chunk",
        "short",
        "000",
        "999",
        "empty",
    ],
)
def test_hostile_heads(raw: bytes, error: str) -> None:
    """Each has the error that it has in statistics; heads are bounded, `100 Continue` included."""
    assert first_and_next(raw).error == error


@pytest.mark.parametrize("value", [b"req-\xff", b"req-\xc3\xa9", b"x" * 65])
def test_a_request_id_that_no_table_can_hold_is_none(value: bytes) -> None:
    """It is not ASCII, or too long; control characters are no HTTP."""
    raw = b"HTTP/1.1 200 OK\r\nX-Openstack-Request-Id: %b\r\nContent-Length: 0\r\n\r\n" % value
    assert first_and_next(raw).request_id == b""
    control = b"HTTP/1.1 200 OK\r\nX-Openstack-Request-Id: a\x1b[2J\r\nContent-Length: 0\r\n\r\n"
    assert first_and_next(control).error == "protocol"


def test_a_packed_body_stays_packed() -> None:
    """The client asks for no encoding and unpacks none: a bomb is as large as it is on the wire."""
    bomb = zlib.compress(bytes(5 * 2**20))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    tracemalloc.start()
    try:
        assert first_and_next(head + bomb).body == bomb
        assert tracemalloc.get_traced_memory()[1] < 2**18
    finally:
        tracemalloc.stop()


def test_an_answer_in_drops_ends_in_time() -> None:
    """A byte whenever the last one was read: the request ends with its own timeout."""

    def drip(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
        while True:
            sock.send(b"x")

    with serving(drip, answering(HELLO)) as to:
        first, following = ask(to, GET, GET, timeouts=RequestTimeouts(0.3, 0.2, 0.2))
    assert (first.error, following.error) in (("timeout", ""), ("protocol", ""))


@pytest.mark.parametrize("end", "\r\n\0 é\u2028")
def test_no_request_line_holds_another(end: str) -> None:
    """The last line of defence: a target with such a character is not sent."""
    with pytest.raises(UnsafeRequestError):
        request_line("GET", f"/v1/{end}x")
    assert request_line("GET", "/v1/x?a=%0d") == b"GET /v1/x?a=%0d HTTP/1.1\r\n"
