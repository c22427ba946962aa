"""Locust's page: where it listens, and that only its own user starts loads there.

It has no password. A browser on the same machine reaches it on loopback, whatever page it shows: pages of
other sites must not start or stop a load through it.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from calorimeter.core.errors import InputError
from calorimeter.load.run.worker_token import is_loopback

log = logging.getLogger(__name__)

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def guard(web_ui: Any, host: str, port: int) -> None:
    """Check that Locust's page can listen there, and let only its own pages use it. Raises InputError."""
    _check_port(host, port)
    if not is_loopback(host):
        log.warning("--web-host %s: whoever reaches Locust's page can load the deployment", host)
    web_ui.app.wsgi_app = of_this_site(web_ui.app.wsgi_app)


def of_this_site(page: Wsgi) -> Wsgi:
    """The page, for requests that no other site made."""

    def guarded(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if not _is_named_here(environ.get("HTTP_HOST", "")) or _is_of_another_site(environ):
            start("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"Open this page by its address, or as localhost.\n"]
        return page(environ, start)

    return guarded


def _is_of_another_site(environ: dict[str, Any]) -> bool:
    """Whether a browser says that a page of another site sends this."""
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and urlsplit(origin).netloc != environ.get("HTTP_HOST"):
        return True
    return environ.get("HTTP_SEC_FETCH_SITE", "none") not in ("none", "same-origin")


def _is_named_here(host: str) -> bool:
    """Whether a Host header names no site, whose name could lead here only now (DNS rebinding)."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name in ("localhost", socket.gethostname().lower(), socket.getfqdn().lower()):
            return True
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _check_port(host: str, port: int) -> None:
    """Raise InputError if Locust's page cannot listen there; Locust would print a traceback."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as problem:
        place = f"--web-host {host} --web-port {port}"
        raise InputError(
            place,
            f"the page cannot be served there ({os.strerror(problem.errno or 0)})",
            "valid: a free port",
        ) from problem
