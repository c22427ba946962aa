"""The topology of a scaled-out Heat, as `calorimeter generate` reads it from a TOML file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from calorimeter.config.audit.rules.engine_processes import MYSQL_CONNECTIONS
from calorimeter.core.deployment import HostPort, HttpUrl
from calorimeter.core.secrets import Secret
from calorimeter.core.toml import Count, Model

PORT_STEP = 10
"""Difference between the ports of two API processes on one host: 8004, 8014, …; CFN 8000, 8010, …"""

SECRETS = {
    "broker": "RabbitMQ's user heat",
    "database": "the database's user heat",
    "service": "Keystone's service user heat",
    "stack_domain": "Keystone's administrator of the stack domain",
    "auth_encryption_key": "Heat's own encryption key (32 characters)",
}
"""Secret → its owner. Secrets that are not given are created."""


def _plain(text: str) -> str:
    # Names become file names, and words of two configuration languages.
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", text, re.ASCII):
        raise ValueError("a name here consists of letters, digits, and _ . - between them")
    return text


def _host(text: str) -> str:
    return str(ip_address(text)) if ":" in text else _plain(text)


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("the value must be one line of HAProxy's configuration")
    return text


Name = Annotated[str, AfterValidator(_plain)]
HostAddress = Annotated[str, AfterValidator(_host)]
OneLine = Annotated[str, AfterValidator(_one_line)]
Processes = Annotated[int, Field(ge=0, le=100)]


class Host(Model):
    """One machine: its address, and the numbers of REST APIs, CFN APIs and engines on it.

    `workers` is the number of processes of each engine.
    """

    name: Name
    address: HostAddress
    rest: Processes = 1
    cfn: Processes = 1
    engines: Processes = 1
    workers: Count = 4

    @property
    def files(self) -> tuple[str, ...]:
        """The names of its heat.conf files: one, and a copy for each further API process."""
        copies = range(2, max(self.rest, self.cfn) + 1)
        return (f"heat-{self.name}.conf", *(f"heat-{self.name}-{number}.conf" for number in copies))


class Topology(Model):
    """A scaled-out Heat. A service that is not given runs on the proxy's machine, as in the guide.

    `broker`, `database` and `memcached` are HOST:PORT, `keystone` is its root URL. `log` is the target
    of the proxy's log, `stats` its stats socket. `maxconn` is the limit of the proxy; each API gets half.
    `secrets` refers to passwords that exist already (see `SECRETS`); the others are created.
    `database_connections` is the database's max_connections, which all engines share.
    """

    proxy: HostAddress
    hosts: tuple[Host, ...] = Field(min_length=1)
    rest_port: Annotated[int, Field(ge=1, le=64000)] = 8004
    cfn_port: Annotated[int, Field(ge=1, le=64000)] = 8000
    broker: HostPort | None = None
    broker_user: Name = "heat"
    quorum_queues: bool = False
    database: HostPort | None = None
    keystone: HttpUrl | None = None
    region: Name = "RegionOne"
    memcached: HostPort | None = None
    database_connections: Count = MYSQL_CONNECTIONS
    rpc_response_timeout_s: Count = 60
    maxconn: Annotated[int, Field(ge=2)] = 4000
    log: OneLine = "127.0.0.1:514 local0"
    stats: OneLine = "/run/haproxy/admin.sock mode 660 level admin"
    secrets: dict[
        Literal["broker", "database", "service", "stack_domain", "auth_encryption_key"], Secret
    ] = {}

    def port(self, api: str, number: int) -> int:
        """The port of the API process `number` (from 0) of a host."""
        return (self.rest_port if api == "rest" else self.cfn_port) + number * PORT_STEP

    @property
    def engine_processes(self) -> int:
        """Engine processes if every file were an engine's: the files do not show which are."""
        return sum(len(host.files) * max(host.engines, 1) * host.workers for host in self.hosts)

    @property
    def connections_per_process(self) -> int:
        """Database connections that each engine process may open."""
        return self.database_connections // self.engine_processes

    @model_validator(mode="after")
    def _is_possible(self) -> Topology:
        if name := _first_repeated(host.name for host in self.hosts):
            raise ValueError(f"two hosts are named {name!r}")
        if address := _first_repeated(host.address for host in self.hosts):
            raise ValueError(f"two hosts have the address {address}")
        if not any(host.rest for host in self.hosts):
            raise ValueError("no host runs a REST API")
        if not any(host.engines for host in self.hosts):
            raise ValueError("no host runs an engine")
        for host in self.hosts:
            if host.address == self.proxy and (host.rest or host.cfn):
                # Its APIs would need the ports of the proxy.
                raise ValueError(f"host {host.name} is the proxy's machine: rest = 0 and cfn = 0 there")
        if (self.rest_port - self.cfn_port) % PORT_STEP == 0:
            raise ValueError(f"rest_port and cfn_port may not be a multiple of {PORT_STEP} apart")
        if file := _first_repeated(file for host in self.hosts for file in host.files):
            raise ValueError(f"two hosts would have a file {file}: give one of them another name")
        if self.connections_per_process < 2:
            raise ValueError(
                f"{self.database_connections} database_connections are too few for {self.engine_processes} "
                "engine processes: lower workers, or raise max_connections of the database and set it here"
            )
        return self


def _first_repeated(texts: Iterable[str]) -> str | None:
    return min((text for text, count in Counter(texts).items() if count > 1), default=None)
