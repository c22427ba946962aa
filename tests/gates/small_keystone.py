"""A small Keystone on a real socket: it gives tokens and a catalog, or refuses."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

ENDPOINT = "http://10.0.0.1:8004/v1/p"


class Keystone(HTTPServer):
    """`refuses` says for each request for a token, in turn, whether it is refused; `url` is its API's."""

    def __init__(self, refuses: Sequence[bool]) -> None:
        super().__init__(("127.0.0.1", 0), _Tokens)
        self.refuses = list(refuses)
        self.url = f"http://127.0.0.1:{self.server_port}/v3"


class _Tokens(BaseHTTPRequestHandler):
    server: Keystone

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        refused = self.server.refuses.pop(0)
        endpoint = {"interface": "public", "region": "R", "region_id": "R", "url": ENDPOINT, "id": "e"}
        token = {
            "methods": ["password"],
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "expires_at": "2126-01-01T00:00:00.000000Z",
            "user": {"id": "u", "name": "u", "domain": {"id": "default", "name": "Default"}},
            "project": {"id": "p", "name": "p", "domain": {"id": "default", "name": "Default"}},
            "catalog": [{"type": "orchestration", "name": "heat", "id": "h", "endpoints": [endpoint]}],
        }
        body = json.dumps({"error": {"message": "away", "code": 503}} if refused else {"token": token})
        self.send_response(503 if refused else 201)
        self.send_header("X-Subject-Token", "t")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@contextmanager
def small_keystone(*refuses: bool) -> Iterator[Keystone]:
    """A Keystone that refuses these requests for a token; there must be no others."""
    with Keystone(refuses) as keystone:
        thread = threading.Thread(target=keystone.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield keystone
        finally:
            keystone.shutdown()
            thread.join()
    assert not keystone.refuses, "fewer tokens were requested than expected"
