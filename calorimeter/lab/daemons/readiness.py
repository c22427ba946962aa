"""Questions that tell whether a daemon serves.

`requests` is imported where it is used: a part's command should not take longer than its action.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests


def greets(host: str, port: int) -> bool:
    """Whether a server that speaks first (MariaDB) says something to a new connection."""
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


def answers(url: str, timeout_s: float = 5.0) -> bool:
    """Whether a GET gets an HTTP answer that is no server error."""
    import requests

    try:
        with _direct() as http:
            return http.get(url, timeout=timeout_s, allow_redirects=False).status_code < 500
    except requests.RequestException:
        return False


def json_of(url: str, auth: tuple[str, str], params: Mapping[str, str] | None = None) -> Any:
    """The JSON that a GET gives, or None where it gives none."""
    import requests

    try:
        with _direct() as http:
            answer = http.get(url, auth=auth, params=params, timeout=5)
            return answer.json() if answer.status_code == 200 else None
    except (requests.RequestException, ValueError):
        return None


def _direct() -> requests.Session:
    """A session that a proxy for the web in the environment ($http_proxy) does not come between."""
    import requests

    session = requests.Session()
    session.trust_env = False
    return session
