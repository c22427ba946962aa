"""A5: the proxy keeps each source on one API."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.changes import at, insert_into, remove_line, replace_line, shared_section
from calorimeter.config.audit.model import Finding, Rule, Severity, guide, manual, rule
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.haproxy import ProxySection


def _is_sticky(proxy: ProxySection) -> bool:
    return bool(proxy.values.all("stick")) or proxy.values.get("cookie") is not None


@rule(
    "A5-balance-not-source",
    Severity.ERROR,
    remedy="use balance source",
    quote=manual(
        "4.2 balance",
        "The source IP address is hashed and divided by the total weight of the running servers "
        "to designate which server will receive the request.",
    ),
)
def balance_not_source(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Each source stays on one API."""
    for service in subject.services:
        back = service.back
        if back.word("balance") == "source" or len(back.servers) < 2 or _is_sticky(back):
            continue
        balance = back.values.get("balance")
        own = balance is not None and balance.line in back.section.lines
        yield rule.finding(
            at(balance.line if balance else back.line),
            back.name,
            f"has balance {back.word('balance')}" if balance else "has no balance: HAProxy uses roundrobin",
            "successive requests of one client go to different APIs",
            [
                replace_line(balance.line, "balance source")
                if balance and own
                else insert_into(back.section, "balance source")
            ],
        )


@rule(
    "A5-mode-unsaid",
    Severity.NOTE,
    remedy="set mode tcp, or mode http with option httplog",
    quote=guide(
        "Because the heat CLI and APIs communicate by exchanging HTTP requests and responses, a HAProxy "
        "HTTP load balancer server will be deployed between them."
    ),
)
def mode_unset(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """The mode is set."""
    for service in subject.services:
        if service.front.values.get("mode") is None:
            section = shared_section(subject, service.front.section)
            yield rule.finding(
                at(section.header),
                service.front.name,
                "has no mode: HAProxy uses tcp",
                "connections are balanced, not requests: a kept-alive connection stays on its server until "
                "it ends, even if the hash would send it elsewhere; HAProxy cannot add headers; timeouts "
                "for HTTP have no effect",
                [insert_into(section, "mode tcp")],
            )


@rule(
    "A5-weight-zero",
    Severity.WARNING,
    remedy="give it a weight, or remove it",
    quote=manual(
        "5.2 weight",
        "A value of 0 means the server will not participate in load-balancing but will still accept "
        "persistent connections.",
    ),
)
def weight_zero(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Every server gets sources."""
    for _, server in subject.servers:
        if server.weight == 0:
            yield rule.finding(
                at(server.parameters["weight"].line),
                f"server {server.name}",
                "has weight 0",
                "no source is sent to it: it adds no capacity",
            )


@rule(
    "A5-slowstart-map-based",
    Severity.NOTE,
    remedy="remove slowstart, or use hash-type consistent",
    quote=manual(
        "4.2 hash-type",
        "weight changes while a server is up will be ignored. This means that there will be no slow start.",
    ),
)
def slowstart_map_based(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Changing weights work with the hash type in use."""
    for service, server in subject.servers:
        back = service.back
        if back.word("balance") != "source" or back.word("hash-type") != "map-based":
            continue
        if server.has("slowstart"):
            yield rule.finding(
                at(server.parameters["slowstart"].line),
                f"server {server.name}",
                "has slowstart, but the hash is map-based",
                "a server that comes back gets its whole share at once",
            )


@rule(
    "A5-closes-connections",
    Severity.NOTE,
    remedy="remove the option; keep-alive is HAProxy's default",
    quote=manual(
        "4.2 option httpclose",
        "By default HAProxy operates in keep-alive mode with regards to persistent connections",
    ),
)
def closes_connections(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Connections of clients are kept alive."""
    for service in subject.services:
        closing = service.front.option("httpclose", "forceclose") or service.back.option("httpclose")
        if service.front.word("mode") == "http" and closing:
            yield rule.finding(
                at(closing.line),
                service.name,
                "closes every connection after one response",
                "every request needs a new connection",
                [remove_line(closing.line)],
            )
