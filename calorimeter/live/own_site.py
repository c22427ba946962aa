"""Which requests a page without a password answers: those that its own user makes, by its own address.

A browser on the same machine reaches the page whatever other page it shows. A name of another site can be
made to lead here (DNS rebinding), so a page on loopback answers to names of loopback alone.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any
from urllib.parse import urlsplit

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

REFUSED = b"Open this page by its address, or as localhost.\n"


def is_own(host: str, origin: str | None, fetch_site: str | None, *, loopback: bool) -> bool:
    """Whether a request with these headers (`Host`, `Origin`, `Sec-Fetch-Site`) is its own user's.

    `loopback` is whether the page listens on loopback alone. Otherwise any address is a name of this
    machine, and so is the machine's own name.
    """
    if origin is not None and _place(origin) != host:
        return False
    return (fetch_site or "none") in ("none", "same-origin") and _is_named_here(host, loopback)


def of_this_site(page: Wsgi, *, loopback: bool) -> Wsgi:
    """The page, for requests that no other site made."""

    def guarded(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        host, origin = environ.get("HTTP_HOST", ""), environ.get("HTTP_ORIGIN")
        if not is_own(host, origin, environ.get("HTTP_SEC_FETCH_SITE"), loopback=loopback):
            start("403 Forbidden", [("Content-Type", "text/plain")])
            return [REFUSED]
        return page(environ, start)

    return guarded


def _place(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _is_named_here(host: str, loopback: bool) -> bool:
    """Whether a Host header names no site, whose name could lead here only now."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name == "localhost" or (not loopback and name in _names_of_this_machine()):
            return True
        return ipaddress.ip_address(name).is_loopback or not loopback
    except ValueError:
        return False


@cache
def _names_of_this_machine() -> frozenset[str]:
    return frozenset({socket.gethostname().lower(), socket.getfqdn().lower()})
