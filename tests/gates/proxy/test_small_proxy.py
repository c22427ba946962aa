"""Gates through a real HAProxy in front of two toy APIs: what a lab would take longer to show."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from calorimeter.core.verdict import Outcome, Verdict
from calorimeter.gates.evidence.proxy_stats import StatsSocket
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from tests.gates import in_process
from tests.gates.other_evidence import syslog

pytestmark = pytest.mark.lab

CONFIG = """
global
  log {udp} local0
  stats socket {folder}/user.sock level user
defaults
  mode {mode}
  option {mode}log
  timeout connect 2s
  timeout client 5s
  timeout server 5s
listen r
  bind 127.0.0.1:{front}
  log global
  log {udp} local1
  log {syslog} local1
  balance source
  server a 127.0.0.1:{a}
  server b 127.0.0.1:{b}
"""

DEPLOYMENT = """
name = "small"
[rest]
url = "http://127.0.0.1:{front}/v1"
proxy_section = "r"
backends = [{{ name = "a", address = "127.0.0.1:{a}" }}, {{ name = "b", address = "127.0.0.1:{b}" }}]
[[proxy]]
stats = ["unix://{folder}/user.sock"]
logs = ["udp://{udp}", "file://{folder}/haproxy.log"]
[clients]
sources = ["127.16.0.0/16"]
"""


class Api(ThreadingHTTPServer):
    """An API that knows its versions and nothing else."""

    request_queue_size = 256
    document = b""


class _Versions(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Api)
        self.send_response(300)
        self.send_header("Content-Length", str(len(self.server.document)))
        self.end_headers()
        self.wfile.write(self.server.document)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class Small(NamedTuple):
    """The proxy's description, and the two ports of the backends."""

    file: Path
    a: int
    b: int


def _free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def small(folder: Path, mode: str, *, swapped: bool = False) -> Iterator[Small]:
    """A proxy that logs twice to a UDP port and once to a file; `swapped`: its a is b, and its b is a."""
    front, udp = _free_port(), f"127.0.0.1:{_free_port(socket.SOCK_DGRAM)}"
    link = {"href": f"http://127.0.0.1:{front}/v1/"}
    document = json.dumps({"versions": [{"id": "v1.0", "status": "CURRENT", "links": [link]}]}).encode()
    with ExitStack() as stack:
        apis = [stack.enter_context(Api(("127.0.0.1", 0), _Versions)) for _ in range(2)]
        for api in apis:
            api.document = document
            threading.Thread(target=api.serve_forever, daemon=True).start()
            stack.callback(api.shutdown)
        a, b = (api.server_port for api in apis)
        log = stack.enter_context(syslog(folder / "haproxy.log"))
        config = folder / "haproxy.cfg"
        first, second = (b, a) if swapped else (a, b)
        config.write_text(
            CONFIG.format(
                udp=udp, syslog=f"127.0.0.1:{log}", folder=folder, mode=mode, front=front, a=first, b=second
            )
        )
        file = folder / "deployment.toml"
        file.write_text(DEPLOYMENT.format(front=front, udp=udp, folder=folder, a=a, b=b))
        process = subprocess.Popen(["haproxy", "-q", "-db", "-f", str(config)])
        stack.callback(process.wait)
        stack.callback(process.kill)
        _await(StatsSocket(f"unix://{folder}/user.sock"), process)
        yield Small(file, a, b)


def _await(stats: StatsSocket, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            stats.show_info()
        except EvidenceUnavailable:
            continue
        return
    raise AssertionError("HAProxy ended at once")


def judged(at: Small, folder: Path) -> dict[str, Verdict]:
    """The gates that only look."""
    return in_process.verified(at.file, "S1,S3,S4,S8,P1", folder / "runs", sources=300, visits=2)


@pytest.mark.parametrize("mode", ["tcp", "http"])
def test_three_copies_of_each_line_count_once(tmp_path: Path, mode: str) -> None:
    """Two logs, one of them with each line twice: a connection is one, and the verdict names its log."""
    with small(tmp_path, mode) as at:
        found = judged(at, tmp_path)
    assert {v.judgement.outcome for v in found.values()} == {Outcome.PASS}, found
    figures = found["S1"].judgement.figures
    assert (figures["sources"], figures["connections"], figures["requests"]) == (300, 600, 600)
    assert str(figures["log"]).startswith("udp://127.0.0.1:")
    front = found["P1"].judgement.figures
    assert [front[name] for name in ("sources", "connections", "requests")] == [59, 59, 59]
    assert front["sessions_counted_by_the_proxy"] == 59


def test_swapped_servers_are_found_by_their_addresses(tmp_path: Path) -> None:
    """On a socket of the lowest level: everybody is on the predicted name, and on the other backend."""
    with small(tmp_path, "tcp", swapped=True) as at:
        found = judged(at, tmp_path)
    assert {gate for gate, v in found.items() if v.judgement.outcome is not Outcome.PASS} == {"S3"}
    assert found["S3"].judgement.counter_examples == (
        f"REST a is at 127.0.0.1:{at.b} in the proxy, 127.0.0.1:{at.a} is described: that is b",
        f"REST b is at 127.0.0.1:{at.a} in the proxy, 127.0.0.1:{at.b} is described: that is a",
    )
