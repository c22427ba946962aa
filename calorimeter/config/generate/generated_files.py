"""The files of a scaled-out Heat from its topology, as the guide writes them by hand."""

from __future__ import annotations

import secrets as random_secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from calorimeter.config.audit.rules.engine_processes import MAX_OVERFLOW, MAX_POOL_SIZE
from calorimeter.config.audit.rules.health_checks import ENDED
from calorimeter.config.audit.rules.limits import answer_timeout
from calorimeter.config.generate.topology import SECRETS, Host, Topology
from calorimeter.config.haproxy import haproxy_writer
from calorimeter.config.haproxy.haproxy_writer import HealthCheck, ListenSection, ProxyConfig, ServerLine
from calorimeter.config.heat import heat_conf_writer
from calorimeter.config.heat.api_answers import HEALTH_PAGE
from calorimeter.config.hosts import host_port, with_brackets


@dataclass(frozen=True, slots=True)
class GeneratedFile:
    """One file: its name, its text, and whether it holds passwords."""

    name: str
    text: str
    secret: bool = False


def new_secrets(given: Mapping[str, str]) -> dict[str, str]:
    """All secrets: those that are given, and new ones for the others."""
    return {key: given.get(key) or random_secrets.token_hex(16) for key in SECRETS}


def proxy_file(topology: Topology) -> GeneratedFile:
    """`apis-proxy.conf`: the guide's, with the changes that make it keep the guide's promises."""
    return GeneratedFile("apis-proxy.conf", haproxy_writer.render(proxy_config(topology)))


def proxy_config(topology: Topology) -> ProxyConfig:
    """The configuration in `apis-proxy.conf`."""
    timeout = answer_timeout(topology.rpc_response_timeout_s)
    listens = [listen for api in ("rest", "cfn") if (listen := _listen(topology, api)).servers]
    config = ProxyConfig(
        listens=tuple(listens),
        maxconn=topology.maxconn,
        default_maxconn=topology.maxconn // len(listens),
        default_options=("tcplog", "redispatch"),
        # A request to a server that has vanished takes `timeout connect` (the guide's 10 s), as a check
        # does not end a connection attempt. A server on the same LAN accepts at once or after a second SYN.
        timeouts={"connect": "2s", "client": timeout, "server": timeout},
        mode="tcp",
        log=topology.log,
        stats_socket=topology.stats,
    )
    return haproxy_writer.checked(config, HealthCheck(inter="2s", fall=3, rise=2), "2s")


def heat_files(topology: Topology, secrets: Mapping[str, str]) -> Iterator[GeneratedFile]:
    """A heat.conf for each host, and copies with other ports if several APIs share a host."""
    for host in topology.hosts:
        for number, name in enumerate(host.files):
            tree = heat_conf_writer.sections(_heat_host(topology, host, number, secrets))
            tree = heat_conf_writer.changed(tree, _database_pool(topology))
            yield GeneratedFile(name, heat_conf_writer.render(tree), secret=True)


def instructions(topology: Topology) -> Iterator[str]:
    """The commands that start the processes, each with its host."""
    yield f"{topology.proxy}: haproxy -f apis-proxy.conf"
    for host in topology.hosts:
        for number, file in enumerate(host.files):
            if number < host.rest:
                yield f"{host.name}: heat-api --config-file={file}"
            if number < host.cfn:
                yield f"{host.name}: heat-api-cfn --config-file={file}"
            if number == 0 and host.engines:
                times = f"  ({host.engines} times)" if host.engines > 1 else ""
                yield f"{host.name}: heat-engine --config-file={file}{times}"


def _database_pool(topology: Topology) -> heat_conf_writer.Sections:
    """A pool size with which all engines together stay within the connections of the database."""
    connections = topology.connections_per_process
    if connections >= MAX_POOL_SIZE + MAX_OVERFLOW:
        return {}
    size = min(MAX_POOL_SIZE, connections)
    return {"database": {"max_pool_size": size, "max_overflow": connections - size}}


def _listen(topology: Topology, api: str) -> ListenSection:
    servers = []
    for host in topology.hosts:
        count = host.rest if api == "rest" else host.cfn
        for number in range(count):
            suffix = "" if count == 1 else f"-{number + 1}"
            address = host_port(host.address, topology.port(api, number))
            servers.append(ServerLine(f"{api}-{host.name}{suffix}", address, words=(ENDED,)))
    return ListenSection(
        name=f"{api}_api_proxy",
        bind=(host_port(topology.proxy, topology.port(api, 0)),),
        servers=tuple(servers),
        hash_type="consistent",
        options=("tcpka", f"httpchk GET {HEALTH_PAGE}"),
    )


def _heat_host(
    topology: Topology, host: Host, number: int, secrets: Mapping[str, str]
) -> heat_conf_writer.HeatHost:
    at_proxy = with_brackets(topology.proxy)
    broker = topology.broker or f"{at_proxy}:5672"
    database = topology.database or f"{at_proxy}:3306"
    identity = heat_conf_writer.KeystoneAccess(
        url=topology.keystone or f"http://{at_proxy}:5000",
        username="heat",
        password=secrets["service"],
        region=topology.region,
    )
    binds = {
        api: (host.address, topology.port(api, number))
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
