"""The guide's sample: machines A, B and C with the guide's addresses, and two client hosts."""

from __future__ import annotations

from types import MappingProxyType

from calorimeter.core.bounds import is_digits

HOSTS = MappingProxyType(
    {
        "A": "10.0.0.1",
        "B": "10.0.0.2",
        "C": "10.0.0.3",
        "client-1": "10.0.0.101",
        "client-2": "10.0.0.102",
    }
)
"""Host → its address on the LAN. A, B and C have the guide's addresses."""

SOURCES = MappingProxyType({"client-1": "10.1.0.0/16", "client-2": "10.2.0.0/16"})
"""Client host → the network whose addresses are all local to it."""

API_HOSTS = ("B", "C")
"""Hosts on which APIs and engines are placed alternately."""

CLIENT = "client-1"
"""The host on which the suite runs and to which the proxy logs."""

BROKER_USER, BROKER_PASSWORD = "stackrabbit", "admin"
"""The guide's (DevStack's) values. The broker cannot be reached from outside the namespaces."""

STATS_PORT = 9999

PORTS = MappingProxyType(
    {
        "rest": 8004,
        "cfn": 8000,
        "log": 5140,
        "amqp": 5672,
        "management": 15672,
        "epmd": 4369,
        "erlang": 25672,
        "mariadb": 3306,
        "memcached": 11211,
        "keystone": 5000,
    }
)
"""Well-known ports of the services on A (`log`: on the client host)."""


def host_of(name: str) -> str:
    """The host of a part or port name."""
    kind, _, number = name.rpartition("-")
    if name == "log":
        return CLIENT
    if kind and is_digits(number) and not name.startswith("client"):
        return API_HOSTS[(int(number) - 1) % len(API_HOSTS)]
    return "A"


def ports(parts: tuple[str, ...]) -> dict[str, int]:
    """All ports of the sample. Each API has the port of its front address, on its own host."""
    apis = {part: PORTS[part.partition("-")[0]] for part in parts if part.partition("-")[0] in PORTS}
    return {**PORTS, **apis}
