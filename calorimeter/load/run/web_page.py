"""Locust's page: where it listens, and that only its own user starts loads there.

It has no password. A browser on the same machine reaches it on loopback, whatever page it shows: pages of
other sites must not start or stop a load through it.
"""

from __future__ import annotations

import logging
import os
import socket
from typing import Any

from calorimeter.core.errors import InputError
from calorimeter.live.own_site import of_this_site
from calorimeter.load.run.worker_token import is_loopback

log = logging.getLogger(__name__)


def guard(web_ui: Any, host: str, port: int) -> None:
    """Check that Locust's page can listen there, and let only its own pages use it. Raises InputError."""
    _check_port(host, port)
    loopback = is_loopback(host)
    if not loopback:
        log.warning("--web-host %s: whoever reaches Locust's page can load the deployment", host)
    web_ui.app.wsgi_app = of_this_site(web_ui.app.wsgi_app, loopback=loopback)


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
