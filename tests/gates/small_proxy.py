"""A real HAProxy in front of two toy APIs: gates on real sockets, without a lab."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from calorimeter.core import waiting
from calorimeter.gates.evidence.proxy_stats import StatsSocket
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from tests.gates.other_evidence import syslog

CONFIG = """
global
  log {udp} local0
  stats socket {folder}/user.sock level user
  stats socket {folder}/operator.sock level operator
defaults
  mode {mode}
  option {mode}log
  timeout connect 2s
  timeout client {client}
  timeout server 5s
  {defaults}
listen r
  bind 127.0.0.1:{front} {tls}
  log global
  log {udp} local1
  log {syslog} local1
  balance source
  server a 127.0.0.1:{a} {words}
  server b 127.0.0.1:{b} {words}
"""

DEPLOYMENT = """
name = "small"
[rest]
url = "{scheme}://127.0.0.1:{front}/v1"
proxy_section = "r"
backends = [{{ name = "a", address = "127.0.0.1:{a}" }}, {{ name = "b", address = "127.0.0.1:{b}" }}]
[[proxy]]
stats = ["unix://{folder}/user.sock"]
logs = ["udp://{udp}", "file://{folder}/haproxy.log"]
[clients]
sources = ["127.16.0.0/16"]
"""


class Api(ThreadingHTTPServer):
    """An API that answers every `GET` with its version document."""

    request_queue_size = 256
    document = b""


class _Versions(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, Api)
        self.send_response(300)
        self.send_header("Content-Length", str(len(self.server.document)))
        self.end_headers()
        self.wfile.write(self.server.document)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


class SmallProxy(NamedTuple):
    """The deployment file of the proxy, the two ports of the backends, the front port, and the APIs."""

    file: Path
    a: int
    b: int
    front: int
    apis: tuple[Api, ...]


PORTS = range(10_000, 20_000)
"""Below those that the kernel gives to clients, and to labs: nobody takes one before HAProxy does."""


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """A port that nobody listens on."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket(socket.AF_INET, kind) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def small_proxy(
    folder: Path,
    mode: str = "tcp",
    *,
    swapped: bool = False,
    client: str = "5s",
    certificate: Path | None = None,
    authority: Path | None = None,
    versions: str = "",
    defaults: str = "",
    words: str = "",
) -> Iterator[SmallProxy]:
    """A proxy that logs twice to a UDP port and once to a file; its description names `user.sock` alone.

    `swapped`: its server a is the described b, and its b the described a. `client` is its `timeout client`;
    `certificate` a PEM file, with which its front address speaks TLS, `versions` are words on its versions,
    and `authority` is who vouches for it (default: itself). `defaults` are more lines of that
    section, `words` end each server line.
    """
    front, udp = free_port(), f"127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    link = {"href": f"http://127.0.0.1:{front}/v1/"}
    document = json.dumps({"versions": [{"id": "v1.0", "status": "CURRENT", "links": [link]}]}).encode()
    with ExitStack() as stack:
        apis = [stack.enter_context(Api(("127.0.0.1", 0), _Versions)) for _ in range(2)]
        for api in apis:
            api.document = document
            threading.Thread(target=api.serve_forever, args=(0.05,), daemon=True).start()
            stack.callback(api.shutdown)
        a, b = (api.server_port for api in apis)
        log = stack.enter_context(syslog(folder / "haproxy.log"))
        config = folder / "haproxy.cfg"
        first, second = (b, a) if swapped else (a, b)
        config.write_text(
            CONFIG.format(
                udp=udp, syslog=f"127.0.0.1:{log}", folder=folder, mode=mode, front=front, a=first,
                b=second, client=client, tls=f"ssl crt {certificate} {versions}" if certificate else "",
                defaults=defaults, words=words,
            )
        )  # fmt: skip
        file = folder / "deployment.toml"
        scheme = "https" if certificate else "http"
        tls = f'\n[tls]\nca_file = "{authority or certificate}"\n' if certificate else ""
        text = DEPLOYMENT.format(scheme=scheme, front=front, udp=udp, folder=folder, a=a, b=b)
        file.write_text(text + tls)
        process = subprocess.Popen(["haproxy", "-q", "-db", "-f", str(config)])
        stack.callback(process.wait)
        stack.callback(process.kill)
        _await(StatsSocket(f"unix://{folder}/user.sock"), process)
        yield SmallProxy(file, a, b, front, tuple(apis))


def _await(stats: StatsSocket, process: subprocess.Popen[bytes]) -> None:
    def answers() -> bool:
        assert process.poll() is None, "HAProxy ended at once"
        try:
            return bool(stats.show_info())
        except EvidenceUnavailable:
            return False

    waiting.until(answers, 10)
