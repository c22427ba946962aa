"""Readiness probes of daemons.

`requests` is imported in the functions that use it, so that the commands of a part start quickly.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import requests


def greets(host: str, port: int) -> bool:
    """Whether a server that speaks first (MariaDB) sends data on a new connection."""
    try:
        with socket.create_connection((host, port), timeout=1) as connection:
            return bool(connection.recv(1))
    except OSError:
        return False


def accepts(host: str, port: int) -> bool:
    """Whether a connection is accepted."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def answers(url: str, timeout_s: float = 5.0, verify: str | bool = True) -> bool:
    """Whether a GET gets an HTTP answer below 500; `verify` is how TLS is verified, as for requests."""
    import requests

    if not _accepts(url):
        return False
    try:
        with _direct() as http:
            return http.get(url, timeout=timeout_s, verify=verify, allow_redirects=False).status_code < 500
    except requests.RequestException:
        return False


def json_of(
    url: str,
    auth: tuple[str, str],
    params: Mapping[str, str] | None = None,
    verify: str | bool = True,
    timeout_s: float = 5.0,
) -> Any:
    """The JSON of a GET's answer; None unless the status is 200 and the body is JSON."""
    import requests

    if not _accepts(url):
        return None
    try:
        with _direct() as http:
            answer = http.get(url, auth=auth, params=params, timeout=timeout_s, verify=verify)
            return answer.json() if answer.status_code == 200 else None
    except (requests.RequestException, ValueError):
        return None


def _accepts(url: str) -> bool:
    """Whether the server of a URL listens: asked first, since a request costs far more."""
    parts = urlsplit(url)
    return accepts(str(parts.hostname), int(parts.port or 0))


def _direct() -> requests.Session:
    """A session that ignores $http_proxy."""
    import requests

    session = requests.Session()
    session.trust_env = False
    return session
