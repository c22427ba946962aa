"""The requested shape of a lab: its parts, their versions and options, and the ports that they need."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from calorimeter.core import bounds
from calorimeter.core.expect import StickOn
from calorimeter.core.toml import Model

Release = Literal["24", "25", "26", "27"]
"""A release of Heat, by its major version."""

Server = Literal["eventlet", "gunicorn", "uwsgi"]
"""What serves an API: Heat's own program, or a WSGI server."""

Within = Literal["proxy", "backends", "broker"]
"""Where a lab uses TLS: the proxy's fronts, its connections to the APIs, the broker's connections."""

PortKind = Literal["amqp", "management", "erlang"]
"""A port of a broker: for clients, for its management API, for other nodes."""

Mode = Literal["tcp", "http"]
LabBalance = Literal["source", "roundrobin", "static-rr", "leastconn", "random", "first", "uri"]

EVENTLET_RELEASES: tuple[Release, ...] = ("24",)
"""Releases with the programs heat-api and heat-api-cfn."""

SERVICES = ("mariadb", "memcached", "keystone")
"""Names of the parts that are not Heat's own processes, brokers or proxies."""

LabCount = Annotated[int, bounds.LAB_COUNT]
VHOST_NAME = r"^(/|[a-z0-9][a-z0-9-]{0,30})$"
VhostName = Annotated[str, Field(pattern=VHOST_NAME)]
LabConnections = Annotated[int, bounds.LAB_CONNECTIONS]
BrokerCount = Annotated[int, bounds.LAB_BROKERS]


def _mode(given: dict[str, Any]) -> Mode:
    return "http" if "proxy" in given["tls"] else "tcp"


class LabTopology(Model):
    """The requested shape of a lab and the ports that are reserved for it (`lab.json`).

    `mode` is the proxy's (default: tcp; http with TLS at its fronts, where Heat's links need its header).

    `engines` counts heat-engine processes, numbered from `first_engine`; `engines_per_host` of them share
    one host name and one heat.conf file. `heat` is the release of all parts of Heat but those in `releases`
    (part → release), `vhost` RabbitMQ's virtual host of all but those in `vhosts` (part → virtual host).
    `weights`: server weights in order, the same for REST and CFN; servers beyond the list have none.
    `rpc_timeout`: Heat's rpc_response_timeout in seconds. `timeouts`: proxy timeouts that differ from the
    guide's, by name. `maxconn`: limit of the whole proxy; `server_maxconn`: limit of each server.
    `engine_threads`: executor_thread_pool_size of the engines. `serve`: what serves the APIs (default:
    Heat's own program if the release has it, else gunicorn). `prefetch`: messages that an engine holds
    unacknowledged. `profile` set the options that were not given; if it sets the proxy, too, `proxy` is
    `profile`. `haproxy`, `rabbitmq`: programs to run in place of the system's. `sample`: spread the lab
    over the hosts of the guide's sample, with its server names.
    """

    name: str
    rest: LabCount = 2
    cfn: LabCount = 2
    engines: LabCount = 3
    first_engine: Annotated[int, bounds.LAB_PART_NUMBER] = 1
    engines_per_host: LabCount = 1
    workers: LabCount = 1
    heat: Release = "24"
    releases: dict[str, Release] = {}
    vhost: VhostName = "/"
    vhosts: dict[str, VhostName] = {}
    serve: Server | None = None
    proxy: Literal["guide", "checked", "profile"] = "checked"
    proxies: Annotated[int, bounds.LAB_PROXIES] = 1
    peers: bool = False
    balance: LabBalance = "source"
    stick_on: StickOn | None = None
    hash_type: Literal["map-based", "consistent"] | None = None
    weights: tuple[Annotated[int, bounds.HAPROXY_WEIGHT], ...] = ()
    tls: tuple[Within, ...] = ()
    mode: Mode = Field(default_factory=_mode)
    timeouts: dict[str, str] = {}
    maxconn: LabConnections | None = None
    server_maxconn: LabConnections | None = None
    messaging: Literal["classic", "durable", "quorum", "recommended"] = "classic"
    prefetch: Annotated[int, bounds.PREFETCH] | None = None
    brokers: BrokerCount = 1
    partition_handling: Literal["ignore", "pause_minority", "autoheal"] | None = None
    rpc_timeout: Annotated[int, bounds.TIMEOUT_OF_RPC] | None = None
    health: Literal["shallow", "rpc"] = "shallow"
    engine_threads: Annotated[int, bounds.THREADS] | None = None
    haproxy: Path | None = None
    rabbitmq: Path | None = None
    profile: str | None = None
    sample: Literal["guide"] | None = None
    ports: dict[str, Annotated[int, bounds.PORT]] = {}

    # Versions and servers

    def release(self, part: str) -> Release:
        """The release of Heat that a part runs."""
        return self.releases.get(part, self.heat)

    def vhost_of(self, part: str) -> str:
        """RabbitMQ's virtual host that a part uses."""
        return self.vhosts.get(part, self.vhost)

    def server(self, part: str) -> Server:
        """What serves an API."""
        if self.serve is not None:
            return self.serve
        # heat-api of Heat 24 has options for TLS, and fails with them: its context is a client's.
        able = self.release(part) in EVENTLET_RELEASES and "backends" not in self.tls
        return "eventlet" if able else "gunicorn"

    def speaks_tls(self, name: str) -> bool:
        """Whether the server at a port of this name speaks TLS."""
        kind, _, number = name.partition("-")
        where: Within = "broker"
        if kind in ("rest", "cfn"):
            where = "backends" if number else "proxy"
        return where in self.tls and kind in ("rest", "cfn", "amqp", "management")

    # Parts

    @property
    def layout(self) -> Literal["loopback", "sample", "pair"]:
        """Where the parts run: all on loopback, or on hosts that are network namespaces."""
        if self.sample:
            return "sample"
        return "pair" if self.proxies > 1 else "loopback"

    @property
    def rest_parts(self) -> tuple[str, ...]:
        """`rest-1`, `rest-2`, …; in the sample `rest-server-1`, …"""
        return _numbered(f"rest{self._server}", self.rest)

    @property
    def cfn_parts(self) -> tuple[str, ...]:
        """`cfn-1`, `cfn-2`, …; in the sample `cfn-server-1`, …"""
        return _numbered(f"cfn{self._server}", self.cfn)

    @property
    def _server(self) -> str:
        return "-server" if self.sample else ""

    @property
    def engine_parts(self) -> tuple[str, ...]:
        """`engine-1`, `engine-2`, …"""
        return _numbered("engine", self.engines, self.first_engine)

    @property
    def broker_parts(self) -> tuple[str, ...]:
        """`rabbitmq`, or the nodes of a cluster: `rabbitmq-1`, `rabbitmq-2`, …"""
        return ("rabbitmq",) if self.brokers == 1 else _numbered("rabbitmq", self.brokers)

    @property
    def proxy_parts(self) -> tuple[str, ...]:
        """`proxy`, or `proxy-1` and `proxy-2`."""
        return ("proxy",) if self.proxies == 1 else _numbered("proxy", self.proxies)

    @property
    def keepalived_parts(self) -> tuple[str, ...]:
        """`keepalived-1` and `keepalived-2`, each beside one of several proxies."""
        return () if self.proxies == 1 else _numbered("keepalived", self.proxies)

    @property
    def heat_parts(self) -> tuple[str, ...]:
        """All Heat processes, engines first because they start slowest."""
        return (*self.engine_parts, *self.rest_parts, *self.cfn_parts)

    @property
    def parts(self) -> tuple[str, ...]:
        """All daemons of the lab, in start order."""
        return (
            *(*self.broker_parts, *SERVICES, *self.heat_parts),
            *(*self.proxy_parts, *self.keepalived_parts),
        )

    @property
    def engine_hosts(self) -> dict[str, tuple[str, ...]]:
        """Host name → the engines that run under it, at most `engines_per_host`, with one heat.conf."""
        parts, each = self.engine_parts, self.engines_per_host
        if each == 1:
            return {part: (part,) for part in parts}
        groups = (parts[first : first + each] for first in range(0, len(parts), each))
        return {f"engine-host-{number}": group for number, group in enumerate(groups, 1)}

    def host_name(self, part: str) -> str:
        """The host name of a part of Heat, which is its option `host` and the name of its heat.conf."""
        return next((host for host, parts in self.engine_hosts.items() if part in parts), part)

    @property
    def processes(self) -> int:
        """The number of Heat's processes; an engine has one more to lead its workers.

        An engine of Heat 24 with one worker has none.
        """
        engines = sum(
            self.workers + (self.workers > 1 or self.release(part) != "24") for part in self.engine_parts
        )
        return engines + self.rest + self.cfn

    # Figures and ports

    @property
    def rpc_timeout_s(self) -> int:
        """Seconds that an API waits for an engine's answer (default: 60 or 20).

        Behind the guide's proxy it is Heat's default of 60 s, which races the proxy's `timeout server` of
        one minute. Behind the checked proxy the API answers long before the proxy closes the connection.
        """
        return self.rpc_timeout or (60 if self.proxy == "guide" else 20)

    @property
    def cluster_handling(self) -> str:
        """What a cluster does about a partition (default: pause_minority)."""
        return self.partition_handling or "pause_minority"

    def broker_ports(self, kind: PortKind) -> tuple[str, ...]:
        """The names of a kind of port, one for each broker: `amqp`, or `amqp-1`, `amqp-2`, …"""
        return (kind,) if self.brokers == 1 else _numbered(kind, self.brokers)

    @property
    def port_names(self) -> tuple[str, ...]:
        """Names that need a port; `log` is a UDP port on which the suite listens, not the lab."""
        brokers = (name for kind in ("amqp", "management", "erlang") for name in self.broker_ports(kind))
        return ("rest", "cfn", "log", *brokers, "epmd", *SERVICES, *self.rest_parts, *self.cfn_parts)


def _numbered(kind: str, count: int, first: int = 1) -> tuple[str, ...]:
    return tuple(f"{kind}-{number}" for number in range(first, first + count))
