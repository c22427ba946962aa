"""Serves the live page from threads of this process: `calorimeter watch --web`."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from calorimeter.core.deployment import Address
from calorimeter.core.errors import InputError
from calorimeter.live import live_site, own_site
from calorimeter.live.live_site import LiveSite

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 64
"""Connections that are answered at a time; others are closed."""

IDLE_S = 10.0
"""How long a connection may take to send its request."""


def listening(at: Address, given: str) -> socket.socket:
    """A socket that listens there. `given` names the option in an error. Raises InputError.

    It stays in the network namespace in which it was made: call this before another one is entered.
    """
    try:
        family = socket.AF_INET6 if ":" in at.host else socket.AF_INET
        return socket.create_server((at.host, at.port), family=family)
    except OSError as problem:
        why = f"the page cannot be served there ({os.strerror(problem.errno or 0)})"
        raise InputError(
            f"{given} {at}", why, "valid: an address of this machine, and a free port"
        ) from problem


def announce(at: Address) -> None:
    """Say where the page is, and who reaches it."""
    if not ipaddress.ip_address("127.0.0.1" if at.host == "localhost" else at.host).is_loopback:
        log.warning("--web %s: whoever reaches this page sees the deployment's names and verdicts", at)
    print(f"page: http://{at}/live", file=sys.stderr, flush=True)


@contextmanager
def served(site: LiveSite, on: socket.socket) -> Iterator[None]:
    """Serve a site on a listening socket while this is entered."""
    server = LiveServer(site, on)
    thread = threading.Thread(target=server.serve_forever, name="live page", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class LiveServer(ThreadingHTTPServer):
    """A site on a socket; each connection has a thread, which ends with it."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, site: LiveSite, on: socket.socket) -> None:
        super().__init__(on.getsockname()[:2], LiveRequest, bind_and_activate=False)
        self.socket.close()
        self.socket = on
        self.site = site
        self.loopback = ipaddress.ip_address(on.getsockname()[0]).is_loopback
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, or close: too many others are open."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what is not the end of a connection: a browser that went away is no error of ours."""
        problem = sys.exception()
        if not isinstance(problem, OSError):
            log.warning("the live page: %r", problem)


class LiveRequest(BaseHTTPRequestHandler):
    """One request of the live page."""

    server: LiveServer
    timeout = IDLE_S
    server_version, sys_version = "calorimeter", ""

    def do_GET(self) -> None:
        """Answer a request of the page's own user."""
        headers = self.headers
        host, origin, site = headers.get("Host", ""), headers.get("Origin"), headers.get("Sec-Fetch-Site")
        if own_site.is_own(host, origin, site, loopback=self.server.loopback):
            found = self.server.site.answer(self.path.partition("?")[0])
        else:
            found = live_site.SiteAnswer(403, "text/plain; charset=utf-8", own_site.REFUSED)
        self.send_response(found.status)
        for name, value in live_site.HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", found.kind)
        self.send_header("Content-Length", str(len(found.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(found.body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the command's output is its own."""
