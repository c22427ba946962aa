"""The files of the proxies of a scaled-out Heat: HAProxy's, and keepalived's if there are several."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from calorimeter.config import keepalived_writer
from calorimeter.config.audit.rules.health_checks import ENDED
from calorimeter.config.audit.rules.limits import answer_timeout
from calorimeter.config.generate.topology import ProxyHost, Topology
from calorimeter.config.haproxy import haproxy_writer
from calorimeter.config.haproxy.haproxy_writer import HealthCheck, ListenSection, ProxyConfig, ServerLine
from calorimeter.config.heat.api_answers import HEALTH_PAGE
from calorimeter.config.hosts import host_port
from calorimeter.config.keepalived_writer import ALIVE_SECTION, KeepalivedConfig


@dataclass(frozen=True, slots=True)
class GeneratedFile:
    """One file: its name, its text, and whether it holds passwords."""

    name: str
    text: str
    secret: bool = False


def proxy_files(topology: Topology) -> Iterator[GeneratedFile]:
    """`apis-proxy.conf`, or for each of several proxies its own, and the file of its keepalived."""
    text = haproxy_writer.render(proxy_config(topology))
    if not topology.proxies:
        yield GeneratedFile("apis-proxy.conf", text)
    for proxy in topology.proxies:
        yield GeneratedFile(f"apis-proxy-{proxy.name}.conf", text)
        yield GeneratedFile(f"keepalived-{proxy.name}.conf", _keepalived(topology, proxy))


def proxy_config(topology: Topology) -> ProxyConfig:
    """The configuration of each proxy: the guide's, with the changes that make it keep its promises."""
    timeout = answer_timeout(topology.rpc_response_timeout_s)
    listens = [listen for api in ("rest", "cfn") if (listen := _listen(topology, api)).servers]
    # A request to a server that has vanished takes `timeout connect` (the guide's 10 s), as a check
    # does not end a connection attempt. A server on the same LAN accepts at once or after a second SYN.
    timeouts = {"connect": "2s", "client": timeout, "server": timeout}
    config = ProxyConfig(
        listens=tuple(listens),
        maxconn=topology.maxconn,
        default_maxconn=topology.maxconn // len(listens),
        default_options=("httplog" if topology.tls else "tcplog", haproxy_writer.AT_ONCE),
        timeouts={"http-request": "10s", **timeouts} if topology.tls else timeouts,
        mode="http" if topology.tls else "tcp",
        log=topology.log,
        stats_socket=topology.stats,
        global_lines=("ssl-default-bind-options ssl-min-ver TLSv1.2",) if topology.tls else (),
    )
    config = haproxy_writer.checked(config, HealthCheck(inter="2s", fall=3, rise=2), "2s")
    return haproxy_writer.with_listen(config, ALIVE_SECTION) if topology.proxies else config


def _listen(topology: Topology, api: str) -> ListenSection:
    servers = []
    for host in topology.hosts:
        count = host.rest if api == "rest" else host.cfn
        for number in range(count):
            suffix = "" if count == 1 else f"-{number + 1}"
            address = host_port(host.address, topology.port(api, number))
            servers.append(ServerLine(f"{api}-{host.name}{suffix}", address, words=(ENDED,)))
    words = []
    if topology.proxies:
        words.append("transparent")  # the other proxies bind it without having it
    if topology.tls:
        words.append(f"ssl crt {topology.tls.certificate}")
    return ListenSection(
        name=f"{api}_api_proxy",
        bind=(host_port(topology.front, topology.port(api, 0)),),
        bind_words=tuple(words),
        servers=tuple(servers),
        hash_type="consistent",
        options=("tcpka", f"httpchk GET {HEALTH_PAGE}"),
        lines=("http-request set-header X-Forwarded-Proto https if { ssl_fc }",) if topology.tls else (),
    )


def _keepalived(topology: Topology, own: ProxyHost) -> str:
    """The first proxy takes the address."""
    return keepalived_writer.render(
        KeepalivedConfig(
            name=own.name,
            interface=own.interface,
            address=own.address,
            peers=tuple(each.address for each in topology.proxies if each != own),
            virtual_address=topology.front,
            priority=100 + len(topology.proxies) - topology.proxies.index(own),
            virtual_router=topology.virtual_router,
        )
    )
