"""Requests to a backend at its own address, past the proxy: whether it serves, and whether a fault hit."""

from __future__ import annotations

from collections.abc import Callable

from calorimeter.core.deployment import Address, Api, address
from calorimeter.core.faults.shell_command import CommandResult
from calorimeter.gates.clients.http_get import connect, request

WITHIN_S = 1.0


def own_address(api: Api, server: str) -> Address:
    """Where a backend of an API listens."""
    return next(address(backend.address) for backend in api.backends if backend.name == server)


def serves(where: Address, within_s: float = WITHIN_S) -> bool:
    """Whether a request gets any answer within `within_s` (s), HTTP or not."""
    try:
        with connect(where, timeout_s=within_s) as client:
            client.sendall(request(where))
            return bool(client.recv(1))
    except OSError:
        return False


def inject_and_probe(
    own: Address | None, act: Callable[[], CommandResult]
) -> tuple[CommandResult, bool | None]:
    """Inject a fault, and report whether the backend stopped answering at its own address.

    None if it did not answer before, or cannot be reached there: a command may succeed and hit another.
    """
    served = own is not None and serves(own)
    done = act()
    return done, not serves(own) if own is not None and served else None
