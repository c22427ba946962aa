"""The topology of a scaled-out Heat, as `calorimeter generate` reads it from a TOML file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from calorimeter.config.audit.rules.engine_processes import MYSQL_CONNECTIONS
from calorimeter.config.hosts import with_brackets
from calorimeter.core import bounds
from calorimeter.core.bounds import is_digits
from calorimeter.core.deployment import address
from calorimeter.core.secrecy.secrets import Secret
from calorimeter.core.toml import Model
from calorimeter.core.urls import HttpUrl

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
    numbers = is_digits(text.replace(".", ""))  # as no host is named: 10.0.0.300 is a mistake
    return str(ip_address(text)) if ":" in text or numbers else _plain(text)


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("the value must be one line of HAProxy's configuration")
    return text


def _service(text: str) -> str:
    places = [part.strip() for part in text.split(",")]
    if len(places) > 1:
        raise ValueError(f"one HOST:PORT belongs here; several brokers are a list: brokers = {places}")
    _host(address(text).host)
    return text


def _path(text: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9_./@+-]+", text, re.ASCII):
        raise ValueError("a path here is absolute and has no blanks, as in /etc/haproxy/heat.pem")
    return text


Name = Annotated[str, AfterValidator(_plain)]
HostAddress = Annotated[str, AfterValidator(_host)]
ServiceAddress = Annotated[str, AfterValidator(_service)]
OneLine = Annotated[str, AfterValidator(_one_line)]
Processes = Annotated[int, bounds.HOST_PROCESSES]
ServicePort = Annotated[int, bounds.SERVICE_PORT]


class Host(Model):
    """One machine: its address, and the numbers of REST APIs, CFN APIs and engines on it.

    `workers` is the number of processes of each engine.
    """

    name: Name
    address: HostAddress
    rest: Processes = 1
    cfn: Processes = 1
    engines: Processes = 1
    workers: Annotated[int, bounds.PROCESSES] = 4

    @property
    def files(self) -> tuple[str, ...]:
        """The names of its heat.conf files: one, and a copy for each further API process."""
        copies = range(2, max(self.rest, self.cfn) + 1)
        return (f"heat-{self.name}.conf", *(f"heat-{self.name}-{number}.conf" for number in copies))


class ProxyHost(Model):
    """One machine of several with a proxy; `interface` is where it carries the virtual address."""

    name: Name
    address: HostAddress
    interface: Name


class FrontTls(Model):
    """TLS that ends at the proxy. `certificate` is the path there of a file with certificate and key."""

    certificate: Annotated[str, AfterValidator(_path)]


class Topology(Model):
    """A scaled-out Heat. A service that is not given runs on the proxy's machine, as in the guide.

    `proxy` is the address of the only proxy. Several `proxies` share `virtual_address`, which keepalived
    moves; `virtual_router` is its id in the network. `broker`, `database` and `memcached` are HOST:PORT,
    `brokers` those of a cluster's nodes, `keystone` is its root URL. Queues are quorum queues if there are
    several brokers, or if `quorum_queues` says so. `log` is the target of the proxy's log, `stats` its
    stats socket. `maxconn` is the limit of the proxy; each API gets half. `secrets` refers to passwords
    that exist already (see `SECRETS`); the others are created. `database_connections` is the database's
    max_connections, which all engines share.
    """

    proxy: HostAddress | None = None
    proxies: tuple[ProxyHost, ...] = ()
    virtual_address: HostAddress | None = None
    virtual_router: Annotated[int, bounds.VIRTUAL_ROUTER] = 51
    tls: FrontTls | None = None
    hosts: tuple[Host, ...] = Field(min_length=1)
    rest_port: ServicePort = 8004
    cfn_port: ServicePort = 8000
    broker: ServiceAddress | None = None
    brokers: tuple[ServiceAddress, ...] = ()
    broker_user: Name = "heat"
    quorum_queues: bool | None = None
    database: ServiceAddress | None = None
    keystone: HttpUrl | None = None
    region: Name = "RegionOne"
    memcached: ServiceAddress | None = None
    database_connections: Annotated[int, bounds.DATABASE_CONNECTIONS] = MYSQL_CONNECTIONS
    rpc_response_timeout_s: Annotated[int, bounds.WHOLE_SECONDS] = 60
    maxconn: Annotated[int, bounds.MAXCONN] = 4000
    log: OneLine = "127.0.0.1:514 local0"
    stats: OneLine = "/run/haproxy/admin.sock mode 660 level admin"
    secrets: dict[
        Literal["broker", "database", "service", "stack_domain", "auth_encryption_key"], Secret
    ] = {}

    def port(self, api: str, number: int) -> int:
        """The port of the API process `number` (from 0) of a host."""
        return (self.rest_port if api == "rest" else self.cfn_port) + number * PORT_STEP

    @property
    def front(self) -> str:
        """The address at which clients reach the APIs: the virtual one, or that of the only proxy."""
        return self.virtual_address or self.proxy or ""

    @property
    def broker_nodes(self) -> tuple[str, ...]:
        """HOST:PORT of the nodes of RabbitMQ."""
        return self.brokers or (self.broker or f"{with_brackets(self.front)}:5672",)

    @property
    def quorum(self) -> bool:
        """Whether queues are quorum queues: a classic one is lost with the node that holds it."""
        return len(self.broker_nodes) > 1 if self.quorum_queues is None else self.quorum_queues

    @property
    def engine_processes(self) -> int:
        """Engine processes if every file were an engine's: the files do not show which are."""
        return sum(len(host.files) * max(host.engines, 1) * host.workers for host in self.hosts)

    @property
    def connections_per_process(self) -> int:
        """Database connections that each engine process may open."""
        return self.database_connections // self.engine_processes

    @model_validator(mode="after")
    def _has_a_front(self) -> Topology:
        if bool(self.proxy) == bool(self.proxies):
            raise ValueError("give either proxy = ADDRESS, or several [[proxies]] and virtual_address")
        if self.proxies and (len(self.proxies) < 2 or not self.virtual_address):
            raise ValueError("[[proxies]] are at least two, with a virtual_address that they share")
        if self.proxy and self.virtual_address:
            raise ValueError("virtual_address belongs to [[proxies]]; the only proxy has its own address")
        if self.broker and self.brokers:
            raise ValueError("give either broker or brokers")
        alone = {
            "brokers": self.broker or self.brokers,
            "database": self.database,
            "keystone": self.keystone,
            "memcached": self.memcached,
        }
        missing = [name for name, given in alone.items() if not given]
        if self.proxies and missing:
            # The address of the only proxy stands for a service beside it; a virtual address cannot.
            raise ValueError(f"with several proxies, set the address of: {', '.join(missing)}")
        if repeated := _first_repeated(self.brokers):
            raise ValueError(f"two brokers have the address {repeated}")
        proxies = [*(proxy.address for proxy in self.proxies), self.front]
        if repeated := _first_repeated(proxies) or _first_repeated(proxy.name for proxy in self.proxies):
            raise ValueError(f"two proxies, or a proxy and the virtual address, share {repeated}")
        return self

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
            if host.address == self.front and (host.rest or host.cfn):
                # Its APIs would need the ports of the proxy.
                raise ValueError(f"host {host.name} has the proxy's address: rest = 0 and cfn = 0 there")
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
