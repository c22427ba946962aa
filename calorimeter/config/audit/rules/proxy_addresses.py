"""A2: the proxy has the addresses that clients use, and its servers are the APIs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations

from calorimeter.config.audit.model import Change, Finding, Rule, Severity, guide, manual, rule
from calorimeter.config.audit.patches.changes import at, at_option, insert_after, replace_line
from calorimeter.config.audit.sections.listeners import APIS, ApiName, ConfiguredApi, Listeners
from calorimeter.config.audit.sections.section_chains import receivers
from calorimeter.config.audit.sections.unserved_apis import unserved
from calorimeter.config.audit.subject import AuditedFiles, HeatProxy
from calorimeter.config.haproxy import HAProxyServer, ProxiedService
from calorimeter.config.haproxy.refused_lines import is_refused
from calorimeter.config.heat.heat_conf import GROUPS
from calorimeter.config.hosts import WILDCARDS, as_address, same_host

_OTHER_ADDRESSES = "The values required below are the different addresses supplied when running the "


@rule(
    "A2-bind-unknown",
    Severity.ERROR,
    remedy="bind the address that the APIs had before the proxy, or change the endpoints in the catalog",
    quote=guide(
        "This way, there is no need to update, on the CLI, the addresses where it should look for the APIs."
    ),
)
def bind_unknown(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """The proxy is bound to the addresses that clients use."""
    addresses = subject.inputs.addresses
    for proxy in subject.proxies:
        for api in APIS:
            front, group = subject.inputs.fronts.get(api), proxy.services[api]
            binds = list(dict.fromkeys(bind for service in group for bind in service.front.binds))
            if front is None or not binds:
                continue
            at_port = [bind for bind in binds if bind.port == front.port or bind.unset]
            if any(
                bind.host in WILDCARDS or same_host(bind.host, front.host, addresses) is not False
                for bind in at_port
            ):
                continue
            first = binds[0]
            certain = len(binds) == 1 and as_address(front.host) is not None
            bind = " ".join(("bind", str(front), *first.options))
            yield rule.finding(
                at(first.line),
                group[0].front.name,
                f"is bound to {', '.join(bind.text for bind in binds)}; clients use {front}",
                "no client reaches the proxy at the address in its catalog or on its command line",
                [replace_line(first.line, bind)] if certain else [],
            )


@rule(
    "A2-server-is-proxy",
    Severity.ERROR,
    remedy="use the address of the API itself",
    quote=guide("these addresses must be free to be used by the proxy."),
)
def server_is_proxy(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """No server is the proxy itself."""
    for proxy in subject.proxies:
        services = proxy.configuration.services
        for _, service in proxy.api_services:
            for server in service.back.servers:
                if _leads_back(services, service, server):
                    yield rule.finding(
                        at(server.line),
                        f"server {server.name}",
                        f"has the address {server.text} of the proxy itself",
                        "the proxy connects to itself until it has no connections left",
                    )


def _leads_back(services: Sequence[ProxiedService], service: ProxiedService, server: HAProxyServer) -> bool:
    """Whether a request to a server comes back to the frontend that sent it.

    One section of a proxy may well send to another one, for example from a TLS frontend to a plain one.
    """
    seen: set[str] = set()
    waiting = [server]
    while waiting:
        current = waiting.pop()
        if current.port is None or current.text in seen:
            continue
        seen.add(current.text)
        fronts = receivers(services, current)
        if any(each.front.name == service.front.name for each in fronts):
            return True
        waiting += [further for each in fronts for further in each.back.servers]
    return False


@rule(
    "A2-server-without-api",
    Severity.WARNING,
    remedy="correct the address, or give the audit the heat.conf of that API too (--heat-conf)",
    quote=guide(f"{_OTHER_ADDRESSES}REST API instances."),
)
def server_without_api(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Every server is a configured API."""
    listeners = subject.listeners
    for api, service in subject.api_services:
        if not listeners.any(api):
            continue
        unknown: list[HAProxyServer] = []
        # Files of other machines may not have been given. With an API behind no server it is a mistake.
        severity = None if any(unserved(subject, api)) else Severity.NOTE
        for server in service.back.servers:
            found = [listeners.at(name, server) for name in APIS]
            if server.port is None or server.unset or True in found:
                continue
            if None in found:
                unknown.append(server)
                continue
            yield rule.finding(
                at(server.line),
                f"server {server.name}",
                f"{server.text} is not the address of a [{GROUPS[api]}] in the Heat files given",
                "if nothing listens there, the clients hashed to this server are refused",
                severity=severity,
            )
        if unknown:
            yield _cannot_be_told(rule, listeners, api, service, unknown)


def _cannot_be_told(
    rule: Rule, listeners: Listeners, api: ApiName, service: ProxiedService, servers: list[HAProxyServer]
) -> Finding:
    """One note for all servers of a section whose names were not resolved."""
    first = servers[0]
    configured = next(iter(listeners.at_port(api, first)), None)
    example = f": {first.host} may be {configured.listener.host}" if configured else ""
    return rule.finding(
        at(first.line),
        service.name,
        f"it cannot be determined whether {', '.join(server.text for server in servers)} are APIs of the "
        f"Heat files{example}",
        "names that were not resolved are not compared with addresses",
        severity=Severity.NOTE,
    )


@rule(
    "A2-section-mixed",
    Severity.ERROR,
    remedy="move the server to the other section, or correct its port",
    quote=guide(f"{_OTHER_ADDRESSES}CFN API instances."),
)
def section_mixed(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """A section serves one API."""
    listeners = subject.listeners
    for api, service in subject.api_services:
        other: ApiName = "cfn" if api == "rest" else "rest"
        for server in service.back.servers:
            if listeners.at(other, server) is True and listeners.at(api, server) is False:
                yield rule.finding(
                    at(server.line),
                    f"server {server.name}",
                    f"{server.text} is a {other.upper()} API in the {api.upper()} section {service.name}",
                    "clients hashed to it speak to the wrong API and get 404 or 403",
                )


@rule(
    "A2-api-behind-no-server",
    Severity.WARNING,
    remedy="add it as a server to its section",
    quote=guide("The HAProxy server, acting as a load balancer, redirects the call to an API instance"),
)
def api_behind_no_server(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Every configured API is behind the proxy."""
    for api in APIS:
        services = [service for name, service in subject.api_services if name == api]
        for configured in unserved(subject, api):
            listener = configured.listener
            yield rule.finding(
                at_option(configured.conf, listener.value, GROUPS[api]),
                configured.text,
                f"listens at {listener.text}, which no server line has",
                "this API gets no requests",
                [] if listener.wildcard else _new_servers(services, configured),
            )


def _new_servers(services: Iterable[ProxiedService], configured: ConfiguredApi) -> Iterator[Change]:
    """A server line for each section of the API, if all its servers have addresses that differ.

    None for a section with a line that HAProxy cannot read: that may be the server.
    """
    for back in {id(service.back): service.back for service in services}.values():
        servers = back.servers
        if is_refused(back.section):
            continue
        name = f"{configured.machine}-{configured.api}"
        texts = {server.text for server in servers}
        plain = all(as_address(server.host) for server in servers) and len(texts) == len(servers)
        if plain and name not in {server.name for server in servers}:
            yield insert_after(servers[-1].line, f"server {name} {configured.listener.text} check")


@rule(
    "A2-proxies-differ",
    Severity.WARNING,
    remedy="list the same servers in the configuration of every proxy",
    quote=guide("The HAProxy server, acting as a load balancer, redirects the call to an API instance"),
)
def proxies_differ(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Every proxy has the same servers."""
    for api in APIS:
        for proxy, other in permutations(subject.proxies, 2):
            known = {server.text: server.unset for server in _servers(other, api)}
            for server in _servers(proxy, api) if known and not any(known.values()) else []:
                if server.text not in known and not server.unset:
                    yield rule.finding(
                        at(server.line),
                        f"server {server.name} of proxy {proxy.name}",
                        f"{server.text} is no {api.upper()} server of proxy {other.name}",
                        f"while clients reach {other.name}, this API gets no requests",
                    )


def _servers(proxy: HeatProxy, api: ApiName) -> list[HAProxyServer]:
    found = {
        (server.name, server.text): server
        for service in proxy.services[api]
        for server in service.back.servers
    }
    return list(found.values())


@rule(
    "A2-send-proxy",
    Severity.WARNING,
    remedy="remove send-proxy",
    quote=manual(
        "5.2 send-proxy",
        'The "send-proxy" parameter enforces use of the PROXY protocol over any connection established '
        "to this server.",
    ),
)
def send_proxy(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """The proxy speaks HTTP to the servers."""
    for _, server in subject.servers:
        for word in ("send-proxy", "send-proxy-v2"):
            if server.has(word):
                yield rule.finding(
                    at(server.parameters[word].line),
                    f"server {server.name}",
                    f"receives the PROXY protocol ({word})",
                    "heat-api and heat-api-cfn do not understand it and answer every request with 400",
                )
