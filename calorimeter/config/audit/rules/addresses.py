"""A1: every API process has an address of its own. A2: the proxy's addresses are the right ones."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.changes import after, at, group_place, of, replaced
from calorimeter.config.audit.model import Place, Problem, Rule, Severity, guide, manual
from calorimeter.config.audit.subject import APIS, Subject
from calorimeter.config.heat import heat_conf
from calorimeter.config.heat.heat_conf import GROUPS, WILDCARDS, HeatConf


def _api_place(conf: HeatConf, api: str) -> Place:
    value = conf.listener(api).value
    return of(value.entry) if value else group_place(conf, GROUPS[api])


def _address_shared(subject: Subject) -> Iterator[Problem]:
    seen: dict[tuple[str, str, int], str] = {}
    for conf in subject.heat:
        for api in APIS:
            listener = conf.listener(api)
            if not conf.has_section(api):
                continue
            # A loopback or wildcard address is the machine's own: only on one machine is it shared.
            private = listener.wildcard or heat_conf.loopback(listener.host)
            key = (conf.host if private else "", listener.host, listener.port)
            owner = f"[{GROUPS[api]}] of {conf.host}"
            if key in seen:
                yield Problem(
                    _api_place(conf, api),
                    owner,
                    f"listens at {listener.text}, as {seen[key]} does",
                    "only the first of the two processes starts; the other ends with «Address already "
                    "in use», and the proxy has one server less than it lists",
                )
            seen.setdefault(key, owner)


ADDRESS_SHARED = Rule(
    "A1-address-shared",
    Severity.ERROR,
    "Every API process listens at an address of its own",
    "give each process its own bind_port, or its host's own bind_host",
    guide("Each API service must have a unique address to listen."),
    _address_shared,
)


def _server_twice(subject: Subject) -> Iterator[Problem]:
    for _, _, service in subject.services:
        seen: dict[str, str] = {}
        for server in service.back.servers:
            if server.text in seen and server.port is not None:
                yield Problem(
                    at(server.line),
                    f"server {server.name}",
                    f"has the address {server.text} of server {seen[server.text]}",
                    "one API gets the share of two, and when it fails two servers fail with it",
                    (replaced(server.line),),
                )
            seen.setdefault(server.text, server.name)


SERVER_TWICE = Rule(
    "A1-server-twice",
    Severity.ERROR,
    "Every server of a section has an address of its own",
    "name each API once; to give one a larger share use weight",
    guide(
        "The values required below are the different addresses supplied when running the REST API "
        "instances."
    ),
    _server_twice,
)


def _origin(subject: Subject) -> Iterator[Problem]:
    binds = {bind.text for _, _, service in subject.services for bind in service.front.binds}
    for conf in subject.heat:
        for api in APIS:
            listener = conf.listener(api)
            if conf.has_section(api) and not listener.wildcard and listener.text in binds:
                yield Problem(
                    _api_place(conf, api),
                    f"[{GROUPS[api]}] of {conf.host}",
                    f"has the proxy's address {listener.text}",
                    "an API started with this file and the proxy cannot both run on that machine; it is "
                    "as the guide wants it as long as the API is not started",
                )


ORIGIN = Rule(
    "A1-address-of-proxy",
    Severity.NOTE,
    "No API is started at the proxy's address",
    "stop the API there, or give it an address of its own and name it as a server",
    guide(
        "the original heat-api and heat-api-cfn processes running in these ports have to be killed, "
        "because these addresses must be free to be used by the proxy."
    ),
    _origin,
)


def _bind_unknown(subject: Subject) -> Iterator[Problem]:
    for proxy in subject.proxies:
        for api in APIS:
            front, group = subject.inputs.fronts.get(api), proxy.services[api]
            binds = [bind for service in group for bind in service.front.binds]
            if front is None or not binds:
                continue
            if any(b.port == front.port and b.host in (front.host, *WILDCARDS) for b in binds):
                continue
            first = binds[0]
            yield Problem(
                at(first.line),
                group[0].front.name,
                f"is bound to {', '.join(bind.text for bind in binds)}; clients know {front}",
                "no client reaches the proxy at the address that its catalog or command line names",
                (replaced(first.line, " ".join(("bind", str(front), *first.options))),),
            )


BIND_UNKNOWN = Rule(
    "A2-bind-unknown",
    Severity.ERROR,
    "The proxy is bound to the addresses that clients know",
    "bind the address that the APIs had before the proxy, or change the catalog's endpoints",
    guide(
        "This way, there is no need to update, on the CLI, the addresses where it should look for the APIs."
    ),
    _bind_unknown,
)


def _server_is_proxy(subject: Subject) -> Iterator[Problem]:
    for proxy in subject.proxies:
        binds = {
            bind.text
            for other in proxy.configuration.proxies
            for bind in other.binds
            if bind.host not in WILDCARDS
        }
        for _, service in proxy.all:
            for server in service.back.servers:
                if server.text in binds and server.port is not None:
                    yield Problem(
                        at(server.line),
                        f"server {server.name}",
                        f"is the proxy's own address {server.text}",
                        "the proxy connects to itself until its connections are used up",
                        (replaced(server.line),),
                    )


SERVER_IS_PROXY = Rule(
    "A2-server-is-proxy",
    Severity.ERROR,
    "No server is the proxy itself",
    "name the API's own address",
    guide("these addresses must be free to be used by the proxy."),
    _server_is_proxy,
)


def _server_without_api(subject: Subject) -> Iterator[Problem]:
    for _, api, service in subject.services:
        if not subject.listeners.any(api):
            continue
        for server in service.back.servers:
            if server.port is None or any(subject.listeners.at(name, server) for name in APIS):
                continue
            yield Problem(
                at(server.line),
                f"server {server.name}",
                f"{server.text} is the address of no [{GROUPS[api]}] in the Heat files given",
                "where nothing listens there, the clients hashed to this server are refused",
            )


SERVER_WITHOUT_API = Rule(
    "A2-server-without-api",
    Severity.WARNING,
    "Every server is an API that is configured",
    "correct the address, or give the audit the heat.conf of that API too (--heat-conf)",
    guide(
        "The values required below are the different addresses supplied when running the REST API "
        "instances."
    ),
    _server_without_api,
)


def _section_mixed(subject: Subject) -> Iterator[Problem]:
    for _, api, service in subject.services:
        other = "cfn" if api == "rest" else "rest"
        for server in service.back.servers:
            if subject.listeners.at(other, server) and not subject.listeners.at(api, server):
                yield Problem(
                    at(server.line),
                    f"server {server.name}",
                    f"{server.text} is a {other.upper()} API in the {api.upper()} section {service.name}",
                    "clients hashed to it speak one API and are answered by the other: 404 or 403",
                )


SECTION_MIXED = Rule(
    "A2-section-mixed",
    Severity.ERROR,
    "A section serves one API",
    "move the server to the other section, or correct its port",
    guide(
        "The values required below are the different addresses supplied when running the CFN API instances."
    ),
    _section_mixed,
)


def _api_behind_no_server(subject: Subject) -> Iterator[Problem]:
    servers = [(api, server) for _, api, service in subject.services for server in service.back.servers]
    last = dict(servers)
    named = {server.text for _, server in servers}
    ports = {server.port for _, server in servers}
    binds = {bind.text for _, _, service in subject.services for bind in service.front.binds}
    for conf in subject.heat:
        for api in APIS:
            listener = conf.listener(api)
            if listener.value is None or api not in last or listener.text in binds:
                continue
            if listener.text in named or (listener.wildcard and listener.port in ports):
                continue
            line = f"server {conf.host}-{api} {listener.text} check"
            yield Problem(
                _api_place(conf, api),
                f"[{GROUPS[api]}] of {conf.host}",
                f"listens at {listener.text}, which no server line names",
                "this API gets no request",
                () if listener.wildcard else (after(last[api].line, line),),
            )


API_BEHIND_NO_SERVER = Rule(
    "A2-api-behind-no-server",
    Severity.WARNING,
    "Every API that is configured is behind the proxy",
    "name it as a server in its section",
    guide("The HAProxy server, acting as a load balancer, redirects the call to an API instance"),
    _api_behind_no_server,
)


def _send_proxy(subject: Subject) -> Iterator[Problem]:
    for _, _, service in subject.services:
        for server in service.back.servers:
            for word in ("send-proxy", "send-proxy-v2"):
                if server.has(word):
                    yield Problem(
                        at(server.parameters[word].line),
                        f"server {server.name}",
                        f"is sent the PROXY protocol ({word})",
                        "heat-api and heat-api-cfn do not know it and answer every request with 400",
                    )


SEND_PROXY = Rule(
    "A2-send-proxy",
    Severity.WARNING,
    "Servers are spoken to in HTTP",
    "take send-proxy out",
    manual(
        "5.2 send-proxy",
        'The "send-proxy" parameter enforces use of the PROXY protocol over any connection established '
        "to this server.",
    ),
    _send_proxy,
)

RULES = (
    ADDRESS_SHARED,
    SERVER_TWICE,
    ORIGIN,
    BIND_UNKNOWN,
    SERVER_IS_PROXY,
    SERVER_WITHOUT_API,
    SECTION_MIXED,
    API_BEHIND_NO_SERVER,
    SEND_PROXY,
)
