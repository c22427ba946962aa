"""Source addresses: each user has one, which depends only on the user's number."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

from calorimeter.core.errors import InputError


class SourceAddresses(Sequence[str]):
    """The usable addresses of a list of networks and single addresses, in order; computed, not stored."""

    def __init__(self, given: Sequence[str], *, where: str = "clients.sources") -> None:
        self._networks: list[IPv4Network | IPv6Network] = []
        for text in given:
            try:
                self._networks.append(ip_network(text, strict=False))
            except ValueError as problem:
                raise InputError(
                    where, f"{text!r} is not an address", "valid: ADDRESS or NETWORK/BITS"
                ) from problem

    def of_family(self, family: int) -> SourceAddresses:
        """The addresses of one family (`socket.AF_INET` or `socket.AF_INET6`)."""
        version = 6 if family == socket.AF_INET6 else 4
        return SourceAddresses([str(network) for network in self._networks if network.version == version])

    def __len__(self) -> int:
        return min(sum(_usable(network)[1] for network in self._networks), 2**62)

    def __getitem__(self, index: int) -> str:  # type: ignore[override]
        """The address at `index`; IndexError beyond the last."""
        for network in self._networks:
            first, count = _usable(network)
            if index < count:
                return str(network[first + index])
            index -= count
        raise IndexError(index)

    def of_user(self, number: int) -> str | None:
        """The address of a user; with more users than addresses, they repeat. None: the system's choice."""
        return self[number % len(self)] if self._networks else None

    def check(self) -> None:
        """Raise InputError if this machine cannot send from the first or the last address of a network."""
        for network in self._networks:
            first, count = _usable(network)
            for address in dict.fromkeys((str(network[first]), str(network[first + count - 1]))):
                family = socket.AF_INET6 if network.version == 6 else socket.AF_INET
                with socket.socket(family, socket.SOCK_STREAM) as sock:
                    try:
                        sock.bind((address, 0))
                    except OSError as problem:
                        if family == socket.AF_INET6 and _local_prefix(address):
                            continue
                        raise InputError(
                            f"clients.sources {network}",
                            f"{address} cannot be a source address here ({problem.strerror})",
                            "valid: addresses of this machine",
                        ) from problem


def _local_prefix(address: str) -> bool:
    """Whether a route makes an IPv6 address local, although no interface has it."""
    try:
        command = ["ip", "-6", "route", "get", address]
        found = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return found.stdout.startswith("local ")


def _usable(network: IPv4Network | IPv6Network) -> tuple[int, int]:
    """The index of the first usable address, and their number; network and broadcast address are not."""
    if network.num_addresses <= 2:
        return 0, network.num_addresses
    return 1, network.num_addresses - (2 if network.version == 4 else 1)
