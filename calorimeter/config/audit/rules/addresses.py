"""A1: every API process has an address of its own. A2: the addresses of the proxy are correct."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.changes import at, at_option, insert_after, remove_line, replace_line
from calorimeter.config.audit.model import Finding, LinePlace, Rule, Severity, guide, manual, rule
from calorimeter.config.audit.subject import APIS, AuditedFiles
from calorimeter.config.heat.heat_conf import GROUPS, HeatProcessConf
from calorimeter.config.hosts import WILDCARDS, is_loopback

_REST_ADDRESSES = guide(
    "The values required below are the different addresses supplied when running the REST API instances."
)


def _api_place(conf: HeatProcessConf, api: str) -> LinePlace:
    return at_option(conf, conf.listener(api).value, GROUPS[api])


def _api_name(conf: HeatProcessConf, api: str) -> str:
    return f"[{GROUPS[api]}] of {conf.host}"


def _binds(subject: AuditedFiles) -> set[str]:
    return {bind.text for service in subject.services for bind in service.front.binds}


@rule(
    "A1-address-shared",
    Severity.ERROR,
    remedy="give each process its own bind_port, or the bind_host of its own host",
    quote=guide("Each API service must have a unique address to listen."),
)
def address_shared(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Every API process listens at an address of its own."""
    seen: dict[tuple[str, str, int], str] = {}
    for conf, api, listener in subject.api_listeners:
        if listener.value is None:
            continue
        # A loopback or wildcard address belongs to one machine: it conflicts only on that machine.
        private = listener.wildcard or is_loopback(listener.host)
        key = (conf.host if private else "", listener.host, listener.port)
        owner = _api_name(conf, api)
        if key in seen:
            yield rule.finding(
                _api_place(conf, api),
                owner,
                f"listens at {listener.text}, as {seen[key]} does",
                "only the first of the two processes starts; the other exits with «Address already in "
                "use», and the proxy has one server less than it lists",
            )
        seen.setdefault(key, owner)


@rule(
    "A1-server-twice",
    Severity.ERROR,
    remedy="list each API once; use weight to give one a larger share",
    quote=_REST_ADDRESSES,
)
def server_twice(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Every server of a section has an address of its own."""
    for service in subject.services:
        seen: dict[str, str] = {}
        for server in service.back.servers:
            if server.text in seen and server.port is not None:
                yield rule.finding(
                    at(server.line),
                    f"server {server.name}",
                    f"has the address {server.text} of server {seen[server.text]}",
                    "one API gets the share of two, and when it fails two servers fail with it",
                    [remove_line(server.line)],
                )
            seen.setdefault(server.text, server.name)


@rule(
    "A1-address-of-proxy",
    Severity.NOTE,
    remedy="stop the API there, or give it an address of its own and list it as a server",
    quote=guide(
        "the original heat-api and heat-api-cfn processes running in these ports have to be killed, "
        "because these addresses must be free to be used by the proxy."
    ),
)
def address_of_proxy(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """No API is started at the address of the proxy."""
    binds = _binds(subject)
    for conf, api, listener in subject.api_listeners:
        if listener.value is not None and not listener.wildcard and listener.text in binds:
            yield rule.finding(
                _api_place(conf, api),
                _api_name(conf, api),
                f"has the address {listener.text} of the proxy",
                "an API with this file and the proxy cannot both run on that machine; this is what the "
                "guide asks for, as long as the API is not started",
            )


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
    for proxy in subject.proxies:
        for api in APIS:
            front, group = subject.inputs.fronts.get(api), proxy.services[api]
            binds = [bind for service in group for bind in service.front.binds]
            if front is None or not binds:
                continue
            if any(b.port == front.port and b.host in (front.host, *WILDCARDS) for b in binds):
                continue
            first = binds[0]
            yield rule.finding(
                at(first.line),
                group[0].front.name,
                f"is bound to {', '.join(bind.text for bind in binds)}; clients use {front}",
                "no client reaches the proxy at the address in its catalog or on its command line",
                [replace_line(first.line, " ".join(("bind", str(front), *first.options)))],
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
        binds = {
            bind.text
            for other in proxy.configuration.proxies
            for bind in other.binds
            if bind.host not in WILDCARDS
        }
        for _, service in proxy.api_services:
            for server in service.back.servers:
                if server.text in binds and server.port is not None:
                    yield rule.finding(
                        at(server.line),
                        f"server {server.name}",
                        f"has the address {server.text} of the proxy itself",
                        "the proxy connects to itself until it has no connections left",
                        [remove_line(server.line)],
                    )


@rule(
    "A2-server-without-api",
    Severity.WARNING,
    remedy="correct the address, or give the audit the heat.conf of that API too (--heat-conf)",
    quote=_REST_ADDRESSES,
)
def server_without_api(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Every server is a configured API."""
    for api, service in subject.api_services:
        if not subject.listeners.any(api):
            continue
        for server in service.back.servers:
            if server.port is None or any(subject.listeners.at(name, server) for name in APIS):
                continue
            yield rule.finding(
                at(server.line),
                f"server {server.name}",
                f"{server.text} is not the address of a [{GROUPS[api]}] in the Heat files given",
                "if nothing listens there, the clients hashed to this server are refused",
            )


@rule(
    "A2-section-mixed",
    Severity.ERROR,
    remedy="move the server to the other section, or correct its port",
    quote=guide(
        "The values required below are the different addresses supplied when running the CFN API instances."
    ),
)
def section_mixed(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """A section serves one API."""
    for api, service in subject.api_services:
        other = "cfn" if api == "rest" else "rest"
        for server in service.back.servers:
            if subject.listeners.at(other, server) and not subject.listeners.at(api, server):
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
    servers = [(api, server) for api, service in subject.api_services for server in service.back.servers]
    last = dict(servers)
    named = {server.text for _, server in servers}
    ports = {server.port for _, server in servers}
    binds = _binds(subject)
    for conf, api, listener in subject.api_listeners:
        if listener.value is None or api not in last or listener.text in binds:
            continue
        if listener.text in named or (listener.wildcard and listener.port in ports):
            continue
        line = f"server {conf.host}-{api} {listener.text} check"
        yield rule.finding(
            _api_place(conf, api),
            _api_name(conf, api),
            f"listens at {listener.text}, which no server line has",
            "this API gets no requests",
            [] if listener.wildcard else [insert_after(last[api].line, line)],
        )


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
