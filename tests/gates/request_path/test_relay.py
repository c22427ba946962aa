"""The relay in front of a real HTTP server: it forwards bytes unchanged and records requests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from calorimeter.gates.request_path.relay import Relay


class Echo(BaseHTTPRequestHandler):
    """Echoes each request, in chunks, as gunicorn may."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = f"{self.command} {self.path} {self.headers.get('X-Auth-Token')} ".encode()
        body += self.rfile.read(size)
        self.send_response(201)
        self.send_header("X-Openstack-Request-Id", "req-1")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))

    do_GET = do_POST = do_DELETE = do_HEAD = _answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of the echo."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"127.0.0.1:{served.server_address[1]}"
        served.shutdown()
        thread.join()


def ask(relay: Relay, method: str, url: str, **more: object) -> requests.Response:
    """A request through the relay."""
    return requests.request(method, url, proxies={"http": relay.url}, timeout=10, **more)  # type: ignore[arg-type]


def test_request_passes_unchanged_and_is_recorded(server: str) -> None:
    """Method, path with query, headers and body arrive; port, request id and status are recorded."""
    with Relay() as relay:
        answer = ask(
            relay, "POST", f"http://{server}/v1/p?a=1", data=b"body", headers={"X-Auth-Token": "SECRET"}
        )
        assert (answer.status_code, answer.text) == (201, "POST /v1/p?a=1 SECRET body")
        (seen,) = relay.requests()
    assert (seen.target, seen.method, seen.path) == (server, "POST", "/v1/p")
    assert (seen.source, seen.request_id, seen.status) == ("127.0.0.1", "req-1", 201)
    assert seen.source_port > 0
    assert seen.sent_ns < seen.done_ns
    assert "SECRET" not in repr(seen)


def test_each_request_has_a_connection_of_its_own(server: str) -> None:
    """A client that keeps its connection alive still shows one port a request."""
    with Relay() as relay, requests.Session() as session:
        for _ in range(3):
            session.get(f"http://{server}/", proxies={"http": relay.url}, timeout=10)
        assert len({seen.source_port for seen in relay.requests()}) == 3


def test_an_answer_without_a_body_passes(server: str) -> None:
    """HEAD has no body to wait for."""
    with Relay() as relay:
        assert ask(relay, "HEAD", f"http://{server}/").status_code == 201


def test_server_that_is_down_is_a_bad_gateway() -> None:
    """The command gets an answer of the relay's; the missing answer is recorded."""
    with Relay() as relay:
        assert ask(relay, "GET", "http://127.0.0.1:1/").status_code == 502
        (seen,) = relay.requests()
    assert (seen.target, seen.status, seen.source_port) == ("127.0.0.1:1", 0, 0)


def test_a_tunnel_passes_unread_and_is_counted(server: str) -> None:
    """Of a CONNECT only the connection is recorded."""
    host, _, port = server.rpartition(":")
    with Relay() as relay:
        with socket.create_connection((host, int(relay.url.rpartition(":")[2])), timeout=10) as client:
            client.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\n\r\n".encode())
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
            client.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
            answer = client.makefile("rb").read()
        assert b"201" in answer
    (seen,) = relay.requests()
    assert (seen.method, seen.target, seen.status, seen.request_id) == ("CONNECT", server, 0, "")
