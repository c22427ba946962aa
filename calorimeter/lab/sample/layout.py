"""The sample of the guide: machines A, B and C with its literal addresses, and hosts for clients."""

from __future__ import annotations

from types import MappingProxyType

HOSTS = MappingProxyType(
    {
        "A": "10.0.0.1",
        "B": "10.0.0.2",
        "C": "10.0.0.3",
        "client-1": "10.0.0.101",
        "client-2": "10.0.0.102",
    }
)
"""Host → its address on the LAN; those of A, B and C are the guide's."""

SOURCES = MappingProxyType({"client-1": "10.1.0.0/16", "client-2": "10.2.0.0/16"})
"""Host for clients → the network behind it: any address of it is its own."""

API_HOSTS = ("B", "C")
"""Where the APIs and the engines run, in turn."""

CLIENT = "client-1"
"""Where the suite runs, and where the proxy's log goes."""

BROKER_USER, BROKER_PASSWORD = "stackrabbit", "admin"
"""As in the guide's files (DevStack's): nobody beyond the namespaces can reach this broker."""

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
"""What listens on A (`log`: on the client host), at the ports that everybody knows."""


def host_of(name: str) -> str:
    """The host of a part, or of what a port is reserved for."""
    kind, _, number = name.rpartition("-")
    if name == "log":
        return CLIENT
    if kind and number.isdigit() and not name.startswith("client"):
        return API_HOSTS[(int(number) - 1) % len(API_HOSTS)]
    return "A"


def ports(parts: tuple[str, ...]) -> dict[str, int]:
    """Every port of the sample; each API has the port of its front, on a host of its own."""
    apis = {part: PORTS[part.partition("-")[0]] for part in parts if part.partition("-")[0] in PORTS}
    return {**PORTS, **apis}
