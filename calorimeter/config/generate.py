"""The files of a scaled-out Heat from a topology of a few lines, as the guide makes them by hand."""

from __future__ import annotations

import re
import secrets as randomness
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import AfterValidator, Field, model_validator

from calorimeter.config.audit.rules.engine_processes import MAX_OVERFLOW, MAX_POOL_SIZE, MYSQL_CONNECTIONS
from calorimeter.config.audit.rules.health_checks import ENDED, PATH
from calorimeter.config.haproxy import haproxy_writer
from calorimeter.config.haproxy.haproxy_writer import Check, Listen, ProxyConfig, Server
from calorimeter.config.haproxy.units import written
from calorimeter.config.heat import heat_conf_writer
from calorimeter.core.deployment import Count, HostPort, HttpUrl
from calorimeter.core.secrets import Secret
from calorimeter.core.toml import Model

PORT_STEP = 10
"""Between the ports of two API processes on one host: 8004, 8014, …; CFN 8000, 8010, …"""

SECRETS = {
    "broker": "RabbitMQ's user heat",
    "database": "the database's user heat",
    "service": "Keystone's service user heat",
    "stack_domain": "Keystone's administrator of the stack domain",
    "auth_encryption_key": "Heat's own encryption key (32 characters)",
}
"""What is secret, and whose it is. Those not given are made."""


def _plain(text: str) -> str:
    # Names become names of files and words of two configuration languages.
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", text, re.ASCII):
        raise ValueError("a name here is letters, digits, and _ . - between them")
    return text


def _host(text: str) -> str:
    if ":" in text:
        return str(ip_address(text))
    return _plain(text)


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("this is one line of HAProxy's configuration")
    return text


Name = Annotated[str, AfterValidator(_plain)]
HostAddress = Annotated[str, AfterValidator(_host)]
OneLine = Annotated[str, AfterValidator(_one_line)]


class Host(Model):
    """One machine: its address, how many REST and CFN APIs run there, and how many engines.

    `workers` are the processes of each engine.
    """

    name: Name
    address: HostAddress
    rest: Annotated[int, Field(ge=0, le=100)] = 1
    cfn: Annotated[int, Field(ge=0, le=100)] = 1
    engines: Annotated[int, Field(ge=0, le=100)] = 1
    workers: Count = 4


class Topology(Model):
    """A scaled-out Heat. What is not given is on the proxy's machine, as in the guide.

    `broker`, `database` and `memcached` are HOST:PORT, `keystone` its root URL; `log` is where the proxy
    sends its log, `stats` its stats socket; `maxconn` is the proxy's, half of it each API's. `secrets` says
    where passwords are kept that exist already (see `SECRETS`); the others are made.
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

    @model_validator(mode="after")
    def _can_be(self) -> Topology:
        names = [host.name for host in self.hosts]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two hosts are named {twice[0]!r}")
        addresses = [host.address for host in self.hosts]
        shared = sorted({a for a in addresses if addresses.count(a) > 1})
        if shared:
            raise ValueError(f"two hosts have the address {shared[0]}")
        if not any(host.rest for host in self.hosts):
            raise ValueError("no host runs a REST API")
        if not any(host.engines for host in self.hosts):
            raise ValueError("no host runs an engine")
        at_proxy = [host.name for host in self.hosts if host.address == self.proxy]
        if at_proxy and any(h.rest or h.cfn for h in self.hosts if h.name in at_proxy):
            # The APIs there would take the ports of the proxy.
            raise ValueError(f"host {at_proxy[0]} is the proxy's machine: rest = 0 and cfn = 0 there")
        if (self.rest_port - self.cfn_port) % PORT_STEP == 0:
            raise ValueError(f"rest_port and cfn_port may not be a multiple of {PORT_STEP} apart")
        files = [_file(host, number) for host in self.hosts for number in range(_copies(host))]
        again = sorted({file for file in files if files.count(file) > 1})
        if again:
            raise ValueError(f"two hosts would have a file {again[0]}: give one of them another name")
        if _room(self) < 2:
            raise ValueError(
                f"{self.database_connections} database_connections are too few for {_processes(self)} "
                "engine processes: lower workers, or raise max_connections of the database and say so here"
            )
        return self


@dataclass(frozen=True, slots=True)
class Generated:
    """One file: its name, its text, and whether it holds passwords."""

    name: str
    text: str
    secret: bool = False


def made_secrets(given: Mapping[str, str]) -> dict[str, str]:
    """The secrets with those that are missing made."""
    return {key: given.get(key) or randomness.token_hex(16) for key in SECRETS}


def proxy_file(topology: Topology) -> Generated:
    """`apis-proxy.conf`: the guide's, with the changes that make its promises come true."""
    return Generated("apis-proxy.conf", haproxy_writer.render(proxy_config(topology)))


def proxy_config(topology: Topology) -> ProxyConfig:
    """The same as data."""
    timeout = written(topology.rpc_response_timeout_s + 10)
    listens = [_listen(topology, "rest"), _listen(topology, "cfn")]
    listens = [listen for listen in listens if listen.servers]
    config = ProxyConfig(
        listens=tuple(listens),
        maxconn=topology.maxconn,
        default_maxconn=topology.maxconn // len(listens),
        default_options=("tcplog", "redispatch"),
        # The guide's 10 s is what a request costs whose server is gone: no check ends a connection that is
        # being made. A server of the same LAN accepts at once, or after one more SYN.
        timeouts={"connect": "2s", "client": timeout, "server": timeout},
        mode="tcp",
        log=topology.log,
        stats_socket=topology.stats,
    )
    check = Check(inter="2s", fall=3, rise=2)
    return haproxy_writer.checked(config, check, "2s")


def heat_files(topology: Topology, secrets: Mapping[str, str]) -> Iterator[Generated]:
    """A heat.conf for each host, and copies with other ports where several APIs share a host."""
    for host in topology.hosts:
        for number in range(_copies(host)):
            tree = heat_conf_writer.sections(_heat_host(topology, host, number, secrets))
            tree = heat_conf_writer.changed(tree, _pool(topology))
            yield Generated(_file(host, number), heat_conf_writer.render(tree), secret=True)


def instructions(topology: Topology) -> Iterator[str]:
    """What to start where, one line a process or group of them."""
    yield f"{topology.proxy}: haproxy -f apis-proxy.conf"
    for host in topology.hosts:
        for number in range(_copies(host)):
            file = _file(host, number)
            if number < host.rest:
                yield f"{host.name}: heat-api --config-file={file}"
            if number < host.cfn:
                yield f"{host.name}: heat-api-cfn --config-file={file}"
            if number == 0 and host.engines:
                times = f"  ({host.engines} times)" if host.engines > 1 else ""
                yield f"{host.name}: heat-engine --config-file={file}{times}"


def port(topology: Topology, api: str, number: int) -> int:
    """The port of the API process `number` (from 0) of a host."""
    return (topology.rest_port if api == "rest" else topology.cfn_port) + number * PORT_STEP


def _copies(host: Host) -> int:
    """Files of a host: the guide's copy for each further API process with a port of its own."""
    return max(host.rest, host.cfn, 1)


def _processes(topology: Topology) -> int:
    """Engine processes, were every file an engine's: the files do not say which are."""
    return sum(_copies(host) * max(host.engines, 1) * host.workers for host in topology.hosts)


def _room(topology: Topology) -> int:
    """Database connections for each engine process."""
    return topology.database_connections // _processes(topology)


def _pool(topology: Topology) -> heat_conf_writer.Sections:
    """A pool that all engines together can fill without the database refusing one."""
    room = _room(topology)
    if room >= MAX_POOL_SIZE + MAX_OVERFLOW:
        return {}
    size = min(MAX_POOL_SIZE, room)
    return {"database": {"max_pool_size": size, "max_overflow": room - size}}


def _file(host: Host, number: int) -> str:
    return f"heat-{host.name}.conf" if number == 0 else f"heat-{host.name}-{number + 1}.conf"


def _listen(topology: Topology, api: str) -> Listen:
    servers = []
    for host in topology.hosts:
        count = host.rest if api == "rest" else host.cfn
        for number in range(count):
            suffix = "" if count == 1 else f"-{number + 1}"
            address = f"{_shown(host.address)}:{port(topology, api, number)}"
            servers.append(Server(f"{api}-{host.name}{suffix}", address, words=(ENDED,)))
    return Listen(
        name=f"{api}_api_proxy",
        bind=(f"{_shown(topology.proxy)}:{port(topology, api, 0)}",),
        servers=tuple(servers),
        hash_type="consistent",
        options=("tcpka", f"httpchk GET {PATH}"),
    )


def _heat_host(
    topology: Topology, host: Host, number: int, secrets: Mapping[str, str]
) -> heat_conf_writer.HeatHost:
    at_proxy = _shown(topology.proxy)
    broker = topology.broker or f"{at_proxy}:5672"
    database = topology.database or f"{at_proxy}:3306"
    identity = heat_conf_writer.Identity(
        url=topology.keystone or f"http://{at_proxy}:5000",
        username="heat",
        password=secrets["service"],
        region=topology.region,
    )
    binds = {
        api: (host.address, port(topology, api, number))
        for api, count in (("rest", host.rest), ("cfn", host.cfn))
        if number < count
    }
    return heat_conf_writer.HeatHost(
        host=host.name,
        transport=f"rabbit://{topology.broker_user}:{quote(secrets['broker'], safe='')}@{broker}/",
        database=f"mysql+pymysql://heat:{quote(secrets['database'], safe='')}@{database}/heat?charset=utf8",
        auth_encryption_key=secrets["auth_encryption_key"],
        identity=identity,
        stack_domain=heat_conf_writer.StackDomain("heat", "heat_domain_admin", secrets["stack_domain"]),
        memcached=topology.memcached or f"{at_proxy}:11211",
        cfn_url=f"http://{at_proxy}:{topology.cfn_port}",
        rest_bind=binds.get("rest"),
        cfn_bind=binds.get("cfn"),
        engine_workers=host.workers,
        quorum_queues=topology.quorum_queues,
        rpc_response_timeout_s=topology.rpc_response_timeout_s,
    )


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
