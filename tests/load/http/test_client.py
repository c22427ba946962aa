"""The HTTP client against raw bytes from real sockets."""

from __future__ import annotations

import resource
import socket
import subprocess
import threading
import time
from itertools import pairwise
from pathlib import Path

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.core.deployment import Tls, address
from calorimeter.load.http.client import Answer, Client, Timeouts
from calorimeter.load.http.connection import Endpoint, endpoint, tls_context
from calorimeter.load.http.deadlines import TimedOutError
from tests.load.http.raw_server import answering, read_request, serving

GET = b"GET /v1/stacks HTTP/1.1\r\nHost: heat\r\n\r\n"
POST = b"POST /v1/stacks HTTP/1.1\r\nHost: heat\r\nContent-Length: 2\r\n\r\n{}"
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
QUICK = Timeouts(connect_s=0.3, first_byte_s=0.3, whole_s=0.6)


def ask(
    to: Endpoint, *requests: bytes, timeouts: Timeouts = QUICK, repeatable: bool = True
) -> list[Answer]:
    """The answers to these requests, in order, from one client."""
    client = Client(to, timeouts=timeouts)
    answers = [client.send(request, repeatable) for request in requests]
    client.close()
    return answers


def test_answer_with_a_length_is_read_with_the_headers_that_matter() -> None:
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


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(1, 100), max_size=8), chunked=st.booleans())
def test_answer_is_the_same_however_the_network_cuts_it(cuts: list[int], chunked: bool) -> None:
    """Any cutting of the same bytes into packets gives the same answer."""
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
        [answer] = ask(to, GET, timeouts=Timeouts())
    assert (answer.status, answer.body, answer.request_id, answer.error) == (201, body, b"req-7", "")


def test_kept_alive_connection_is_used_again() -> None:
    """Many requests of one client go over one connection, from one port."""
    with serving(answering(*[HELLO] * 50)) as to:
        client = Client(to, timeouts=QUICK)
        ports = {client.send(GET).port for _ in range(50)}
        assert (len(ports), client.connections) == (1, 1)
        client.close()


def test_connection_close_is_obeyed() -> None:
    """After `Connection: close` the next request has a new connection and says so."""
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    with serving(answering(closing), answering(HELLO)) as to:
        first, second = ask(to, GET, GET)
    assert (first.error, first.reconnected) == ("", False)
    assert (second.body, second.reconnected) == (b"hello", True)
    assert second.port != first.port


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\n\r\n"]
)
def test_answer_without_a_body_ends_with_its_head(answer: bytes) -> None:
    """204 and 304 have no body even without a length."""
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
def test_what_is_not_http_is_protocol(raw: bytes) -> None:
    """Bytes that are no HTTP, or ambiguous HTTP, give `protocol`."""
    with serving(answering(raw)) as to:
        [answer] = ask(to, GET)
    assert (answer.error, answer.status) == ("protocol", 0)


def test_answer_beyond_the_limit_is_protocol() -> None:
    """An answer larger than allowed is given up, not gathered."""
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
    with serving(answering(raw)) as to:
        client = Client(to, timeouts=QUICK, max_answer_bytes=50_000)
        answer = client.send(GET)
        client.close()
    assert (answer.error, answer.body) == ("protocol", b"")


def test_surplus_bytes_end_the_connection_not_the_answer() -> None:
    """What follows a whole answer unasked is not taken for the next answer."""
    with serving(
        answering(HELLO + HELLO), answering(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew")
    ) as to:
        first, second = ask(to, GET, GET)
    assert (first.body, first.error, second.body) == (b"hello", "", b"new")


def test_refused_connection_is_connect() -> None:
    """Nobody listening gives `connect`, with the reason."""
    with serving() as to:
        pass
    [answer] = ask(to, GET)
    assert (answer.error, answer.status, answer.port) == ("connect", 0, 0)
    assert "refused" in answer.detail
    assert answer.sent_ns <= answer.done_ns


def test_connection_that_is_not_accepted_times_out_as_connect() -> None:
    """A listener whose queue is full gives `connect` after connect_s."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        started = time.monotonic()
        [answer] = ask(endpoint(address(f"127.0.0.1:{full.getsockname()[1]}")), GET)
        took = time.monotonic() - started
        for filler in fillers:
            filler.close()
    assert answer.error == "connect"
    assert 0.3 <= took < 0.5


def test_silent_tls_handshake_times_out_as_connect() -> None:
    """A server that accepts and then says nothing of TLS gives `connect` after connect_s."""
    with serving(lambda sock: time.sleep(0.5)) as plain:
        to = endpoint(address(f"127.0.0.1:{plain.port}"), "https")
        started = time.monotonic()
        [answer] = ask(to, GET)
        took = time.monotonic() - started
    assert (answer.error, answer.status) == ("connect", 0)
    assert 0.3 <= took < 0.5


def test_silent_server_times_out_at_the_first_byte() -> None:
    """No first byte in first_byte_s gives `timeout`, and the connection is not used again."""

    def silent(sock: socket.socket) -> None:
        read_request(sock)
        time.sleep(0.5)

    with serving(silent, answering(HELLO)) as to:
        late, next_one = ask(to, GET, GET)
    assert (late.error, late.first_byte_ns) == ("timeout", 0)
    assert 0.3e9 <= late.done_ns - late.sent_ns < 0.45e9
    assert next_one.body == b"hello"


def test_slow_body_times_out_as_a_whole() -> None:
    """A body that drips for longer than whole_s gives `timeout`, with a first byte."""

    def dripping(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _ in range(20):
            sock.sendall(b"x")
            time.sleep(0.05)

    with serving(dripping) as to:
        [answer] = ask(to, GET)
    assert answer.error == "timeout"
    assert answer.first_byte_ns > 0
    assert 0.6e9 <= answer.done_ns - answer.sent_ns < 0.75e9


def answer_then_die_on_the_next(sock: socket.socket) -> None:
    """Answer one request; take the next and close without a byte."""
    read_request(sock)
    sock.sendall(HELLO)
    read_request(sock)


def test_stale_connection_is_replaced_once() -> None:
    """Where a kept-alive connection ends before the first byte, the request is repeated and says so."""
    with serving(answer_then_die_on_the_next, answering(HELLO)) as to:
        first, second = ask(to, GET, GET)
    assert (first.reconnected, second.reconnected, second.error) == (False, True, "")
    assert second.port != first.port


@pytest.mark.parametrize("problem", [ConnectionRefusedError(111, "refused"), TimedOutError()])
def test_request_that_went_out_is_closed_where_it_cannot_be_repeated(
    problem: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No second connection is not `connect`, which says that nothing was sent: the first one carried it."""

    def fail(*_: object) -> None:
        raise problem

    with serving(answer_then_die_on_the_next) as to:
        client = Client(to, timeouts=QUICK)
        assert client.send(GET).body == b"hello"
        monkeypatch.setattr("calorimeter.load.http.client.connect", fail)
        answer = client.send(GET)
        unsent = client.send(GET)
    assert (answer.error, client.connections) == ("closed", 3)
    assert 0 < answer.sent_ns < answer.done_ns
    assert unsent.error == "connect"


def test_create_is_not_repeated() -> None:
    """A request that may have been carried out is not sent twice: its outcome is `closed`."""
    with serving(answer_then_die_on_the_next, answering(HELLO)) as to:
        client = Client(to, timeouts=QUICK)
        assert client.send(GET).body == b"hello"
        answer = client.send(POST, repeatable=False)
        client.close()
    assert (answer.error, client.connections) == ("closed", 1)


def test_create_notices_a_connection_that_was_closed_while_idle() -> None:
    """A create on a connection that the server has closed meanwhile goes out once, on a new one."""
    with serving(answering(HELLO), answering(HELLO)) as to:
        client = Client(to, timeouts=QUICK)
        client.send(GET)
        gevent.sleep(0.1)
        answer = client.send(POST, repeatable=False)
        client.close()
    assert (answer.error, answer.body, answer.reconnected) == ("", b"hello", True)


def test_new_connection_that_dies_is_not_tried_again() -> None:
    """The first request of a connection is never repeated."""
    with serving(lambda sock: None, answering(HELLO)) as to:
        [answer] = ask(to, GET)
    assert answer.error == "closed"


def test_source_address_is_the_bound_one() -> None:
    """The server sees the source address that the client was given."""
    seen: list[str] = []

    def note(sock: socket.socket) -> None:
        seen.append(sock.getpeername()[0])
        answering(HELLO)(sock)

    with serving(note, note) as to:
        for source in ("127.9.8.7", "127.0.0.1"):
            client = Client(to, source, QUICK)
            assert client.send(GET).status == 200
            client.close()
    assert seen == ["127.9.8.7", "127.0.0.1"]


def test_ipv6() -> None:
    """IPv6 endpoints work, and are written in brackets."""
    with serving(answering(HELLO), host="::1") as to:
        client = Client(to, "::1", QUICK)
        assert client.send(GET).body == b"hello"
        client.close()
        assert to.authority.startswith("[::1]:")


def test_large_request_is_sent_whole() -> None:
    """A request larger than the socket's buffers arrives complete."""
    body = b"x" * 5_000_000
    request = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    got: list[int] = []

    def count(sock: socket.socket) -> None:
        got.append(len(read_request(sock)))
        sock.sendall(HELLO)

    with serving(count) as to:
        [answer] = ask(to, request, timeouts=Timeouts())
    assert (got, answer.body) == ([len(request)], b"hello")


def test_keep_alive_above_descriptor_1023() -> None:
    """Connections whose descriptors are above 1,023 are kept and used again, as select() could not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    ballast = [socket.socket() for _ in range(1100)]
    try:
        assert ballast[-1].fileno() > 1023
        with serving(answering(*[HELLO] * 5)) as to:
            client = Client(to, timeouts=QUICK)
            assert {client.send(GET).error for _ in range(5)} == {""}
            assert client.connections == 1
            client.close()
    finally:
        for sock in ballast:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_killed_request_leaves_no_half_answer_behind() -> None:
    """A greenlet killed in the middle of a request does not leave its answer for the next one."""
    go = threading.Event()

    def late(sock: socket.socket) -> None:
        read_request(sock)
        go.wait(5)
        sock.sendall(HELLO)

    with serving(late, answering(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew")) as to:
        client = Client(to, timeouts=Timeouts())
        greenlet = gevent.spawn(client.send, GET)
        gevent.sleep(0.05)
        greenlet.kill()
        go.set()
        assert client.send(GET).body == b"new"
        client.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def over_tls(to: Endpoint, tls: Tls) -> Endpoint:
    """The same endpoint under TLS."""
    return Endpoint(to.host, to.port, to.family, to.sockaddr, tls_context(tls))


def test_tls_with_verification(certificate: tuple[Path, Path]) -> None:
    """Against the right authority TLS works, kept alive, also with a body of many records."""
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"y" * 300_000
    with serving(answering(HELLO, large), certificate=certificate) as to:
        answers = ask(over_tls(to, Tls(ca_file=certificate[0])), GET, GET, timeouts=Timeouts())
    assert [len(answer.body) for answer in answers] == [5, 300_000]
    assert answers[0].port == answers[1].port


def test_tls_that_does_not_verify_is_connect(certificate: tuple[Path, Path]) -> None:
    """A certificate of an unknown authority is no connection, unless verification is off."""
    with serving(answering(HELLO), answering(HELLO), certificate=certificate) as to:
        [refused] = ask(over_tls(to, Tls()), GET, timeouts=Timeouts())
        [taken] = ask(over_tls(to, Tls(verify=False)), GET, timeouts=Timeouts())
    assert refused.error == "connect"
    assert "certificate verify failed" in refused.detail
    assert taken.body == b"hello"
