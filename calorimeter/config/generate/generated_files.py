"""The heat.conf files of a scaled-out Heat from its topology, as the guide writes them by hand."""

from __future__ import annotations

import secrets as random_secrets
from collections.abc import Iterator, Mapping
from urllib.parse import quote

from calorimeter.config.audit.rules.engine_processes import MAX_OVERFLOW, MAX_POOL_SIZE
from calorimeter.config.generate.proxy_files import GeneratedFile
from calorimeter.config.generate.topology import SECRETS, Host, Topology
from calorimeter.config.heat import heat_conf_writer
from calorimeter.config.hosts import as_address, with_brackets


def new_secrets(given: Mapping[str, str]) -> dict[str, str]:
    """All secrets: those that are given, and new ones for the others."""
    return {key: given.get(key) or random_secrets.token_hex(16) for key in SECRETS}


def heat_files(topology: Topology, secrets: Mapping[str, str]) -> Iterator[GeneratedFile]:
    """A heat.conf for each host, and copies with other ports if several APIs share a host."""
    for host in topology.hosts:
        for number, name in enumerate(host.files):
            tree = heat_conf_writer.sections(_heat_host(topology, host, number, secrets))
            for changes in (_database_pool(topology), _links(topology), _queues(topology)):
                tree = heat_conf_writer.changed(tree, changes)
            yield GeneratedFile(name, heat_conf_writer.render(tree), secret=True)


def instructions(topology: Topology) -> Iterator[str]:
    """The commands that start the processes, each with its host."""
    if not topology.proxies:
        yield f"{topology.proxy}: haproxy -f apis-proxy.conf"
    for proxy in topology.proxies:
        yield f"{proxy.name}: haproxy -f apis-proxy-{proxy.name}.conf"
        yield f"{proxy.name}: keepalived -f keepalived-{proxy.name}.conf"
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


def _queues(topology: Topology) -> heat_conf_writer.Sections:
    """The queues of replies and fanout as quorum queues, too: RabbitMQ 4.3 refuses transient ones."""
    return {"oslo_messaging_rabbit": {"rabbit_transient_quorum_queue": True}} if topology.quorum else {}


def _links(topology: Topology) -> heat_conf_writer.Sections:
    """What makes Heat's links https where the proxy ends TLS."""
    return {"oslo_middleware": {"enable_proxy_headers_parsing": True}} if topology.tls else {}


def _heat_host(
    topology: Topology, host: Host, number: int, secrets: Mapping[str, str]
) -> heat_conf_writer.HeatHost:
    at_proxy = with_brackets(topology.front)
    login = f"{topology.broker_user}:{quote(secrets['broker'], safe='')}"
    nodes = ",".join(f"{login}@{node}" for node in topology.broker_nodes)
    scheme = "https" if topology.tls else "http"
    database = topology.database or f"{at_proxy}:3306"
    identity = heat_conf_writer.KeystoneAccess(
        url=topology.keystone or f"http://{at_proxy}:5000",
        username="heat",
        password=secrets["service"],
        region=topology.region,
    )
    # Heat refuses a host name here: oslo.config takes bind_host only as an IP address.
    bind = host.address if as_address(host.address) else "0.0.0.0"  # noqa: S104 - Heat's default
    binds = {
        api: (bind, topology.port(api, number))
        for api, count in (("rest", host.rest), ("cfn", host.cfn))
        if number < count
    }
    return heat_conf_writer.HeatHost(
        host=host.name,
        transport=f"rabbit://{nodes}/",
        database=f"mysql+pymysql://heat:{quote(secrets['database'], safe='')}@{database}/heat?charset=utf8",
        auth_encryption_key=secrets["auth_encryption_key"],
        identity=identity,
        stack_domain=heat_conf_writer.StackDomain("heat", "heat_domain_admin", secrets["stack_domain"]),
        memcached=topology.memcached or f"{at_proxy}:11211",
        cfn_url=f"{scheme}://{at_proxy}:{topology.cfn_port}",
        rest_bind=binds.get("rest"),
        cfn_bind=binds.get("cfn"),
        engine_workers=host.workers,
        quorum_queues=topology.quorum,
        rpc_response_timeout_s=topology.rpc_response_timeout_s,
    )
