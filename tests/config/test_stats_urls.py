"""The URLs at which HAProxy reports its state; compared with a running HAProxy."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from calorimeter.config import haproxy
from calorimeter.config.describe.stats_urls import pages, socket_urls
from calorimeter.config.haproxy import HAProxyConfig
from tests.config.haproxy.running_haproxy import running

DEFAULTS = """\
defaults
 mode http
 timeout connect 1s
 timeout server 1s
 timeout client 1s
 stats uri /inherited
 stats auth user:word
"""
SECTIONS = (
    ("listen a", ""),
    ("listen b", "stats enable"),
    ("listen c", "stats uri /own"),
    ("listen d", "stats refresh 5s"),
    ("frontend e", "default_backend back"),
    ("listen f", "mode tcp"),
    ("listen g", "stats scope ."),
)
BACK = "backend back\n stats uri /back\n"
PATHS = ("/inherited", "/own", "/back", "/haproxy?stats")


def resolved(text: str, environment: dict[str, str] | None = None) -> HAProxyConfig:
    """The configuration of a text."""
    return haproxy.resolve(haproxy.parse([("f", text)], environment or {}))


@pytest.mark.parametrize(
    ("lines", "urls"),
    [
        ("stats socket /run/h.sock mode 600 level admin", ["unix:///run/h.sock"]),
        ("stats socket unix@/run/h.sock", ["unix:///run/h.sock"]),
        ("unix-bind prefix /jail user x\n stats socket /run/h.sock", ["unix:///jail/run/h.sock"]),
        ("stats socket ipv4@127.0.0.1:9999 level user", ["tcp://127.0.0.1:9999"]),
        ("stats socket :9999,[::1]:9998", ["tcp://127.0.0.1:9999", "tcp://[::1]:9998"]),
        ("stats socket $HERE:9999\n stats timeout 2m", ["tcp://10.0.0.1:9999"]),
        ("stats socket $NOWHERE/h.sock\n stats socket fd@3\n stats socket abns@x", []),
    ],
)
def test_the_forms_of_a_stats_socket(lines: str, urls: list[str]) -> None:
    """Paths, addresses, several of them, and variables; what other processes cannot reach is left out."""
    assert list(socket_urls(resolved(f"global\n {lines}\n", {"HERE": "10.0.0.1"}))) == urls


def test_pages_are_where_a_running_haproxy_has_them(tmp_path: Path) -> None:
    """Inherited pages, own ones that replace them, the default URI, that of a backend; none in mode tcp."""
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in SECTIONS]
        ports = [each.getsockname()[1] for each in taken]
    text = DEFAULTS + BACK
    for (head, line), port in zip(SECTIONS, ports, strict=True):
        text += f"{head}\n bind 127.0.0.1:{port}\n {line}\n"
    ours = {url for urls, _ in pages(resolved(text)) for url in urls}
    theirs = set()
    with running(text, tmp_path):
        for port in ports:
            for path in PATHS:
                connection = HTTPConnection("127.0.0.1", port, timeout=2)
                try:
                    connection.request("GET", path)
                    if connection.getresponse().status in (200, 401):
                        theirs.add(f"http://127.0.0.1:{port}{path}")
                except OSError:
                    continue
                finally:
                    connection.close()
    assert ours == theirs
    assert len({urlsplit(url).port for url in ours}) == len(SECTIONS) - 1
