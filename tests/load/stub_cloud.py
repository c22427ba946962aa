"""Keystone and Heat's list of stacks on one port of this machine: enough for a load that only lists."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_DOMAIN = {"id": "default", "name": "Default"}
_TOKEN = {
    "token": {
        "expires_at": "2099-01-01T00:00:00.000000Z",
        "issued_at": "2026-01-01T00:00:00.000000Z",
        "methods": ["password"],
        "project": {
            "id": "0123456789abcdef0123456789abcdef",
            "name": "p",
            "domain": {"id": "default", "name": "Default"},
        },
        "user": {"id": "u", "name": "u", "domain": _DOMAIN},
        "roles": [{"id": "r", "name": "member"}],
        "catalog": [],
    }
}

DEPLOYMENT = """\
name = "stub"
[consent]
level = "load"
[rest]
url = "URL/v1"
proxy_section = "rest"
backends = [{ name = "rest-1", address = "127.0.0.1:PORT" }]
[identity]
auth_url = "URL/v3"
username = "u"
password = { env = "STUB_PASSWORD" }
project = "p"
"""

SCENARIO = """\
name = "stub-list"
about = "Lists."
users = 4
spawn_per_s = 100
duration_s = 2
think_s = [0.05, 0.05]
clean_up_s = 5
[rest]
template = "tiny.yaml"
mix = { list = 1 }
"""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """A version of Keystone, or no stacks."""
        url = f"http://{self.headers['Host']}/v3"
        version = {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": url}]}
        self._answer(200, {"version": version} if self.path.startswith("/v3") else {"stacks": []})

    def do_POST(self) -> None:
        """A token."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(201, _TOKEN)

    def _answer(self, status: int, tree: object) -> None:
        body = json.dumps(tree).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Subject-Token", "t")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def stub_cloud(folder: Path) -> Iterator[Path]:
    """Serve until the context ends; the deployment file in `folder`, and stub-list.toml beside it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = str(server.server_port)
        file = folder / "deployment.toml"
        file.write_text(DEPLOYMENT.replace("URL", f"http://127.0.0.1:{port}").replace("PORT", port))
        (folder / "stub-list.toml").write_text(SCENARIO)
        yield file
        server.shutdown()
