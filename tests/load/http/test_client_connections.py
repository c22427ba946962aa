"""The connections of the HTTP client: their reuse, ends and failures, against real sockets."""

from __future__ import annotations

import resource
import socket
import subprocess
import threading
import time
from pathlib import Path

import gevent
import pytest

from calorimeter.core import tls_front
from calorimeter.core.deployment import Tls, address
from calorimeter.load.http.client import Client, RequestTimeouts
from calorimeter.load.http.connection import Endpoint, endpoint
from calorimeter.load.http.deadlines import TimedOutError
from tests.load.http.raw_server import GET, HELLO, POST, QUICK, answering, ask, read_request, serving


def test_kept_alive_connection_is_used_again() -> None:
    """Many requests of one client go over one connection, from one port."""
    with serving(answering(*[HELLO] * 50)) as to:
        client = Client(to, timeouts=QUICK)
        ports = {client.send(GET).port for _ in range(50)}
        assert (len(ports), client.connections) == (1, 1)
        client.close()


def test_connection_close_is_obeyed() -> None:
    """After `Connection: close`, the next request uses a new connection, and is marked so."""
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    with serving(answering(closing), answering(HELLO)) as to:
        first, second = ask(to, GET, GET)
    assert (first.error, first.reconnected) == ("", False)
    assert (second.body, second.reconnected) == (b"hello", True)
    assert second.port != first.port


def test_surplus_bytes_end_the_connection_not_the_answer() -> None:
    """Bytes after a complete answer are not read as the next answer."""
    with serving(
        answering(HELLO + HELLO), answering(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew")
    ) as to:
        first, second = ask(to, GET, GET)
    assert (first.body, first.error, second.body) == (b"hello", "", b"new")


def test_refused_connection_is_connect() -> None:
    """A port without a listener gives `connect`, with the reason."""
    with serving() as to:
        pass
    [answer] = ask(to, GET)
    assert (answer.error, answer.status, answer.port) == ("connect", 0, 0)
    assert "refused" in answer.detail
    assert answer.sent_ns <= answer.done_ns


@pytest.mark.slow
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


@pytest.mark.slow
def test_silent_tls_handshake_times_out_as_connect() -> None:
    """A server that accepts and never answers the TLS handshake gives `connect` after connect_s."""
    with serving(lambda sock: time.sleep(0.5)) as plain:
        to = endpoint(address(f"127.0.0.1:{plain.port}"), "https")
        started = time.monotonic()
        [answer] = ask(to, GET)
        took = time.monotonic() - started
    assert (answer.error, answer.status) == ("connect", 0)
    assert 0.3 <= took < 0.5


@pytest.mark.slow
def test_silent_server_times_out_at_the_first_byte() -> None:
    """No first byte within first_byte_s gives `timeout`, and the connection is not used again."""

    def silent(sock: socket.socket) -> None:
        read_request(sock)
        time.sleep(0.5)

    with serving(silent, answering(HELLO)) as to:
        late, next_one = ask(to, GET, GET)
    assert (late.error, late.first_byte_ns) == ("timeout", 0)
    assert 0.3e9 <= late.done_ns - late.sent_ns < 0.45e9
    assert next_one.body == b"hello"


@pytest.mark.slow
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
    """If a kept-alive connection ends before the first byte, the request is repeated, and marked so."""
    with serving(answer_then_die_on_the_next, answering(HELLO)) as to:
        first, second = ask(to, GET, GET)
    assert (first.reconnected, second.reconnected, second.error) == (False, True, "")
    assert second.port != first.port


@pytest.mark.parametrize("problem", [ConnectionRefusedError(111, "refused"), TimedOutError()])
def test_request_that_was_sent_and_cannot_be_repeated_is_closed(
    problem: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed second connection is `closed`: `connect` would mean that nothing was sent."""

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
    """A request that may have been carried out is not sent twice; its error is `closed`."""
    with serving(answer_then_die_on_the_next, answering(HELLO)) as to:
        client = Client(to, timeouts=QUICK)
        assert client.send(GET).body == b"hello"
        answer = client.send(POST, repeatable=False)
        client.close()
    assert (answer.error, client.connections) == ("closed", 1)


def test_create_notices_a_connection_that_was_closed_while_idle() -> None:
    """A create on a connection that the server has closed is sent once, on a new connection."""
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
        [answer] = ask(to, request, timeouts=RequestTimeouts())
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
    asked, go = threading.Event(), threading.Event()

    def late(sock: socket.socket) -> None:
        read_request(sock)
        asked.set()
        go.wait(5)
        sock.sendall(HELLO)

    with serving(late, answering(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew")) as to:
        client = Client(to, timeouts=RequestTimeouts())
        greenlet = gevent.spawn(client.send, GET)
        with gevent.Timeout(5):
            while not asked.is_set():
                gevent.sleep(0.001)
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
    return Endpoint(to.host, to.port, to.family, to.sockaddr, tls_front.verifying(tls))


def test_tls_with_verification(certificate: tuple[Path, Path]) -> None:
    """With the right authority, TLS works and is kept alive, even with a body of many records."""
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"y" * 300_000
    with serving(answering(HELLO, large), certificate=certificate) as to:
        answers = ask(over_tls(to, Tls(ca_file=certificate[0])), GET, GET, timeouts=RequestTimeouts())
    assert [len(answer.body) for answer in answers] == [5, 300_000]
    assert answers[0].port == answers[1].port


def test_tls_that_does_not_verify_is_connect(certificate: tuple[Path, Path]) -> None:
    """A certificate of an unknown authority gives `connect`, unless verification is off."""
    with serving(answering(HELLO), answering(HELLO), certificate=certificate) as to:
        [refused] = ask(over_tls(to, Tls()), GET, timeouts=RequestTimeouts())
        [accepted] = ask(over_tls(to, Tls(verify=False)), GET, timeouts=RequestTimeouts())
    assert refused.error == "connect"
    assert "certificate verify failed" in refused.detail
    assert accepted.body == b"hello"
