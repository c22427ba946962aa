"""An HTTP proxy between one command and the APIs; it records the port and request id of each request.

The unmodified command finds the relay by `http_proxy`. Each request is relayed on a connection of its own,
so that one request is one connection in HAProxy's log. Through TLS only connections are visible, not the
requests in them.
"""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from calorimeter.core.deployment import Address
from calorimeter.core.toml import Model

CONNECT_S = 30.0
ANSWER_S = 300.0
LARGEST_BODY = 64 * 2**20

_HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
    "trailer", "transfer-encoding", "upgrade",
}  # fmt: skip


class Relayed(Model):
    """One relayed request: `target` is `HOST:PORT`, `path` has no query (it may contain secrets).

    `source` and `source_port` are the relay's end of the connection to the server; empty and 0 without a
    connection. Times are ns since the epoch; `status` is 0 without an answer, or if TLS hides it.
    """

    target: str
    method: str
    path: str
    source: str
    source_port: int
    request_id: str
    sent_ns: int
    done_ns: int
    status: int


class Relay:
    """A relay on loopback while its context is open; `url` is the value for `http_proxy`."""

    def __init__(self) -> None:
        self._seen: list[Relayed] = []
        relay = self

        class Handler(_Handler):
            seen = relay._seen

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._serve, name="relay", daemon=True)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.02)

    @property
    def url(self) -> str:
        """The address that the relay listens on, as a URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def requests(self) -> tuple[Relayed, ...]:
        """The relayed requests in the order of sending."""
        return tuple(sorted(self._seen, key=lambda relayed: relayed.sent_ns))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: list[Relayed]

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: a request line may contain a token."""

    def _relay(self) -> None:
        parts = urlsplit(self.path)
        size = int(self.headers.get("Content-Length") or 0)
        if parts.scheme != "http" or not parts.hostname or size > LARGEST_BODY:
            self.send_error(400, "only http:// is relayed")
            return
        target = Address(host=parts.hostname, port=parts.port or 80)
        body = self.rfile.read(size) if size else None
        upstream = http.client.HTTPConnection(target.host, target.port, timeout=ANSWER_S)
        sent_ns = time.time_ns()
        source = ("", 0)
        try:
            upstream.connect()
            source = upstream.sock.getsockname()[:2]
            self._send_on(upstream, parts.path + (f"?{parts.query}" if parts.query else ""), body)
            answer = upstream.getresponse()
            content = answer.read(LARGEST_BODY)
            if answer.read(1) or answer.length:
                raise http.client.HTTPException("too large, or cut")
        except (OSError, http.client.HTTPException) as problem:
            self._record(str(target), parts.path, source, sent_ns)
            self.send_error(502, f"the API did not answer ({type(problem).__name__})")
            return
        finally:
            upstream.close()
        request_id = answer.headers.get("X-Openstack-Request-Id") or ""
        self._record(str(target), parts.path, source, sent_ns, request_id, answer.status)
        self._give_back(answer, content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _relay  # noqa: N815

    def _send_on(self, upstream: http.client.HTTPConnection, path: str, body: bytes | None) -> None:
        upstream.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _HOP_BY_HOP:
                upstream.putheader(name, value)
        upstream.putheader("Connection", "close")
        upstream.endheaders(body)

    def _give_back(self, answer: http.client.HTTPResponse, content: bytes) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.headers.items():
            if name.lower() not in _HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        if self.command == "HEAD":
            self.send_header("Content-Length", answer.headers.get("Content-Length", "0"))
        elif answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_CONNECT(self) -> None:
        """A tunnel for TLS: bytes are copied, not read."""
        host, _, port = self.path.rpartition(":")
        sent_ns = time.time_ns()
        try:
            upstream = socket.create_connection((host.strip("[]"), int(port)), CONNECT_S)
        except (OSError, ValueError) as problem:
            self.send_error(502, f"cannot be reached ({type(problem).__name__})")
            return
        source = upstream.getsockname()[:2]
        self.send_response_only(200, "Connection established")
        self.end_headers()
        with upstream:
            _pass_on(self.connection, upstream)
        self.close_connection = True
        self._record(self.path, "", source, sent_ns)

    def _record(
        self, target: str, path: str, source: tuple[str, int], sent_ns: int, request_id: str = "",
        status: int = 0,
    ) -> None:  # fmt: skip
        self.seen.append(
            Relayed(
                target=target, method=self.command, path=path, source=source[0], source_port=source[1],
                request_id=request_id, sent_ns=sent_ns, done_ns=time.time_ns(), status=status,
            )
        )  # fmt: skip


def _pass_on(client: socket.socket, upstream: socket.socket) -> None:
    """Copy bytes both ways until one side closes, or both are silent for `ANSWER_S`."""
    other = {client: upstream, upstream: client}
    with contextlib.suppress(OSError):
        while True:
            ready, _, _ = select.select(list(other), [], [], ANSWER_S)
            if not ready:
                return
            for side in ready:
                data = side.recv(65536)
                if not data:
                    return
                other[side].sendall(data)
