"""Whether a backend itself serves, asked at its own address, past the proxy."""

from __future__ import annotations

import socket

from calorimeter.deployment import Address, Api, address

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
