"""Where the parts of a lab with hosts are: hosts, their addresses, and the ports of the parts on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from calorimeter.core.bounds import is_digits

PORT_STEP = 10
"""Difference between the ports of two APIs of one kind on one host, as `calorimeter generate` has it."""

_PORTS = MappingProxyType(
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
"""Well-known ports of the services; `rest` and `cfn` are those of the front address."""

_PLACED_IN_TURN = ("rest", "cfn", "engine")


@dataclass(frozen=True, slots=True)
class HostLayout:
    """The hosts of a lab, and which part is on which.

    `hosts`: host → its address on the LAN; names have at most 10 characters, for the names of interfaces.
    `sources`: client host → the network whose addresses are all local to it. `services`: the host of every
    part that has no other place. `api_hosts`: hosts on which APIs and engines are placed in turn. `client`:
    the host on which the suite runs and to which the proxies log. `places`: part → its host.
    `virtual_address`: the front address, if proxies move it between them; else it is that of `services`.
    `option`: the option of `lab up` that asks for this layout.
    """

    option: str
    hosts: Mapping[str, str]
    sources: Mapping[str, str]
    services: str
    api_hosts: tuple[str, ...]
    client: str
    places: Mapping[str, str] = field(default_factory=dict)
    virtual_address: str | None = None

    @property
    def machines(self) -> tuple[str, ...]:
        """The hosts that can break: all but those of clients."""
        return tuple(host for host in self.hosts if host not in self.sources)

    def host_of(self, name: str) -> str:
        """The host of a part or port name; a relay is on the host of the API before which it is."""
        name = name.removeprefix("relay-")
        if name == "log":
            return self.client
        if name in self.places:
            return self.places[name]
        return self._in_turn(name)[0] if _placed_in_turn(name) else self.services

    def address_of(self, name: str) -> str:
        """The IP address at which a part or port name is reached."""
        if self.virtual_address is not None and name in ("rest", "cfn"):
            return self.virtual_address
        return self.hosts[self.host_of(name)]

    def ports(self, names: Iterable[str]) -> dict[str, int]:
        """Port name → its number: the well-known one, and above it for further parts on the same host."""
        return {name: _PORTS[name.partition("-")[0]] + self._offset(name) for name in names}

    def _offset(self, name: str) -> int:
        if _placed_in_turn(name):
            return PORT_STEP * self._in_turn(name)[1]
        number = name.rpartition("-")[2]
        return int(number) - 1 if is_digits(number) else 0

    def _in_turn(self, part: str) -> tuple[str, int]:
        """The host of an API or engine, and how many of its kind are on that host before it."""
        before, host = divmod(int(part.rpartition("-")[2]) - 1, len(self.api_hosts))
        return self.api_hosts[host], before

    def powers_off(self, host: str) -> bool:
        """Whether a host can be powered off: that of the services has the lab's database and Keystone."""
        return host in self.machines and host != self.services

    @property
    def lan_pattern(self) -> str:
        """All addresses of the LAN, as MariaDB writes them."""
        return self.hosts[self.services].rpartition(".")[0] + ".%"


def _placed_in_turn(name: str) -> bool:
    kind, _, number = name.rpartition("-")
    return kind.partition("-")[0] in _PLACED_IN_TURN and is_digits(number)
