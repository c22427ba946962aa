"""A backend asked at its own address, past the proxy: whether it serves, and whether a fault struck it."""

from __future__ import annotations

import socket
from collections.abc import Callable

from calorimeter.core.deployment import Address, Api, address
from calorimeter.core.faults.shell_command import CommandResult

WITHIN_S = 1.0


def own_address(api: Api, server: str) -> Address:
    """Where a backend of an API listens."""
    return next(address(backend.address) for backend in api.backends if backend.name == server)


def serves(where: Address, within_s: float = WITHIN_S) -> bool:
    """Whether anything at all is answered to a request within `within_s` (s)."""
    try:
        with socket.create_connection((where.host, where.port), within_s) as client:
            client.settimeout(within_s)
            client.sendall(f"GET / HTTP/1.1\r\nHost: {where}\r\nConnection: close\r\n\r\n".encode())
            return bool(client.recv(1))
    except OSError:
        return False


def struck(own: Address | None, act: Callable[[], CommandResult]) -> tuple[CommandResult, bool | None]:
    """Bring a fault about; and whether a backend that served at its own address then did so no more.

    None where it did not serve before, or cannot be asked there: a command may end well and strike another.
    """
    served = own is not None and serves(own)
    done = act()
    return done, not serves(own) if own is not None and served else None
