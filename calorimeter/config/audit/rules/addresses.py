"""A1: every API process has an address of its own."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.model import Change, Finding, LinePlace, Rule, Severity, guide, rule
from calorimeter.config.audit.patches.changes import at, at_option
from calorimeter.config.audit.sections.listeners import ApiName
from calorimeter.config.audit.sections.unserved_apis import unserved
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.haproxy import HAProxyServer
from calorimeter.config.heat.heat_conf import EVERY_ROLE, GROUPS, HeatProcessConf
from calorimeter.config.hosts import is_loopback

_REST_ADDRESSES = guide(
    "The values required below are the different addresses supplied when running the REST API instances."
)


def _api_place(conf: HeatProcessConf, api: str) -> LinePlace:
    return at_option(conf, conf.listener(api).value, GROUPS[api])


def _api_name(conf: HeatProcessConf, api: str) -> str:
    return f"[{GROUPS[api]}] of {conf.host}"


@rule(
    "A1-address-shared",
    Severity.ERROR,
    remedy="give each process its own bind_port, or the bind_host of its own host; if only one of the "
    "files is an API's, say so with HOST:ROLE=FILE",
    quote=guide("Each API service must have a unique address to listen."),
)
def address_shared(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Every API process listens at an address of its own."""
    seen: dict[tuple[str, str, int], HeatProcessConf] = {}
    for conf, api, listener in subject.api_listeners:
        if listener.value is None:
            continue
        # A loopback or wildcard address belongs to one machine: it conflicts only on that machine.
        private = listener.wildcard or is_loopback(listener.host)
        key = (conf.host if private else "", listener.host, listener.port)
        other = seen.setdefault(key, conf)
        if other is not conf:
            # Files of several programs on one machine can be copies: then one of them is not an API's.
            unknown = conf.host == other.host and conf.roles == other.roles == EVERY_ROLE
            yield rule.finding(
                _api_place(conf, api),
                _api_name(conf, api),
                f"listens at {listener.text}, as {_api_name(other, api)} does"
                + ("; no name or option shows which program reads which file" if unknown else ""),
                "only the first of the two processes starts; the other exits with «Address already in "
                "use», and the proxy has one server less than it lists",
                severity=Severity.WARNING if unknown else None,
            )


@rule(
    "A1-server-twice",
    Severity.ERROR,
    remedy="list each API once; use weight to give one a larger share",
    quote=_REST_ADDRESSES,
)
def server_twice(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Every server of a section has an address of its own."""
    for api, service in subject.api_services:
        seen: dict[str, str] = {}
        texts = [server.text for server in service.back.servers]
        only = len(texts) - len(set(texts)) == 1  # a server-template has thousands
        for server in service.back.servers:
            if server.text in seen and server.port is not None and not server.resolved_later:
                yield rule.finding(
                    at(server.line),
                    f"server {server.name}",
                    f"has the address {server.text} of server {seen[server.text]}",
                    "one API gets the share of two, and when it fails two servers fail with it",
                    _other_address(subject, api, server) if only else (),
                )
            seen.setdefault(server.text, server.name)


def _other_address(subject: AuditedFiles, api: ApiName, twin: HAProxyServer) -> Iterator[Change]:
    """The address of the only API that is behind no server, for the only twin of a section."""
    free = [each.listener for each in unserved(subject, api)]
    if len(free) == 1 and free[0].port == twin.port:
        old = twin.line.words[2]
        before, found, after = twin.line.text.rstrip("\r\n").partition(f" {old}")
        if found and not free[0].wildcard:
            yield Change(twin.line.file, twin.line.number, 1, (f"{before} {free[0].text}{after}",))


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
    binds = {bind.text for service in subject.services for bind in service.front.binds}
    for conf, api, listener in subject.api_listeners:
        if listener.value is not None and not listener.wildcard and listener.text in binds:
            yield rule.finding(
                _api_place(conf, api),
                _api_name(conf, api),
                f"has the address {listener.text} of the proxy",
                "an API with this file and the proxy cannot both run on that machine; this is what the "
                "guide asks for, as long as the API is not started",
            )
