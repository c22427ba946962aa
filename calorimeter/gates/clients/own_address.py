"""Requests to a backend at its own address, past the proxy: whether it serves, and whether a fault hit."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from calorimeter.core import tls_front
from calorimeter.core.deployment import Address, Api, Backend, Tls, address
from calorimeter.core.faults.shell_command import CommandResult
from calorimeter.gates.clients.http_get import connect, request

WITHIN_S = 1.0


@dataclass(frozen=True, slots=True)
class OwnAddress:
    """Where a backend listens; `tls` is how it is verified there, None if it speaks plain HTTP."""

    at: Address
    tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        """The root of its URLs."""
        return f"{'https' if self.tls else 'http'}://{self.at}"


def of_backend(backend: Backend, tls: Tls) -> OwnAddress:
    """Where a backend listens."""
    return OwnAddress(address(backend.address), tls_front.verifying(tls) if backend.tls else None)


def of_front(api: Api, tls: Tls) -> OwnAddress:
    """Where clients reach an API: the proxy's front."""
    return OwnAddress(api.front, tls_front.verifying(tls) if api.parts.scheme == "https" else None)


def own_address(api: Api, server: str, tls: Tls) -> OwnAddress | None:
    """Where the backend of an API with this name listens; None if the API has none of this name."""
    return next((of_backend(backend, tls) for backend in api.backends if backend.name == server), None)


def serves(where: OwnAddress, within_s: float = WITHIN_S) -> bool:
    """Whether a request gets any answer within `within_s` (s), HTTP or not."""
    try:
        with connect(where.at, timeout_s=within_s, tls=where.tls) as client:
            client.sendall(request(where.at))
            return bool(client.recv(1))
    except OSError:
        return False


def refuses(where: OwnAddress, within_s: float = WITHIN_S) -> bool:
    """Whether a connection is refused at once, as if no process listens there."""
    try:
        connect(where.at, timeout_s=within_s).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def inject_and_probe(
    own: OwnAddress | None, act: Callable[[], CommandResult]
) -> tuple[CommandResult, bool | None]:
    """Inject a fault, and report whether the backend stopped answering at its own address.

    None if it did not answer before, or cannot be reached there: a command may succeed and hit another.
    """
    served = own is not None and serves(own)
    done = act()
    return done, not serves(own) if own is not None and served else None
