"""Source addresses that clients send from."""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence
from ipaddress import ip_network
from itertools import cycle, islice
from typing import TypeVar

from calorimeter.core.errors import InputError

T = TypeVar("T")


def addresses(networks: Sequence[str], count: int, *, family: int = socket.AF_INET) -> list[str]:
    """At most `count` source addresses of one address family, drawn evenly from the networks.

    The draw is random, because a regular step can coincide with the number of servers; its seed is fixed,
    so it is always the same. Raises InputError if a text is not a network.
    """
    version = 4 if family == socket.AF_INET else 6
    pools = []
    for text in networks:
        try:
            network = ip_network(text, strict=False)
        except ValueError as problem:
            raise InputError("clients.sources", str(problem), "valid: a network or an address") from None
        if network.version == version:
            pools.append(network)
    result: list[str] = []
    for position, network in enumerate(pools):
        wanted = -(-(count - len(result)) // (len(pools) - position))
        size = min(network.num_addresses, 2**62)  # a longer range has no length in Python
        hosts = range(1, size - 1) if size > 2 else range(size)
        drawn = random.Random(str(network)).sample(hosts, min(wanted, len(hosts)))
        result += [str(network[offset]) for offset in drawn]
    return result


def in_turn(sources: Sequence[T], count: int) -> list[T]:
    """`count` of these sources, each of them in turn."""
    return list(islice(cycle(sources), count))


def check_bindable(address: str) -> None:
    """Raise InputError if this machine cannot send from `address`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError as problem:
        raise InputError(
            "clients.sources",
            f"this machine cannot send from {address} ({problem.strerror})",
            "valid: addresses of this machine",
        ) from problem
