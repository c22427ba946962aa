"""A8: limits and timeouts of proxy and Heat fit together."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.model import Finding, Rule, Severity, guide, manual, rule
from calorimeter.config.audit.patches.changes import at, insert_into
from calorimeter.config.audit.patches.section_changes import set_statement, without_statement
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.haproxy.units import integer_or_none, time_text

_MARGIN_S = 10


def answer_timeout(rpc_s: int) -> str:
    """The proposed `timeout client` and `timeout server`: longer than an API waits for an engine."""
    return time_text(rpc_s + _MARGIN_S)


@rule(
    "A8-maxconn-order",
    Severity.WARNING,
    remedy="lower the maxconn of the frontend, or raise the global one",
    quote=manual("4.2 maxconn", "This value should not exceed the global maxconn."),
)
def maxconn_order(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """No frontend may hold more connections than the process."""
    for proxy in subject.proxies:
        setting = proxy.configuration.globals.get("maxconn")
        limit = integer_or_none(setting.words[0]) if setting and setting.words else None
        fronts = {service.front.name: service.front for _, service in proxy.api_services}
        if not limit:
            continue
        for front in fronts.values():
            own, maxconn = front.values.get("maxconn"), front.maxconn
            if own and maxconn and maxconn > limit:
                yield rule.finding(
                    at(own.line),
                    front.name,
                    f"maxconn {maxconn} is more than the {limit} of the whole process",
                    "it is never reached: clients of one API can use all connections of the process, and "
                    "those of the other wait in the kernel's queue, to which no timeout of HAProxy applies",
                    [set_statement(subject, front, own, f"maxconn {max(1, limit // len(fronts))}")],
                )


@rule(
    "A8-timeout-races-rpc",
    Severity.WARNING,
    remedy="make timeout server, and in mode tcp timeout client, longer than rpc_response_timeout",
    quote=manual(
        "4.2 timeout server",
        "it directly represents the server's processing time for the request. To find out what value to "
        "put there, it's often good to start with what would be considered as unacceptable response times",
    ),
)
def timeout_races_rpc(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """The proxy waits longer than the API waits for an engine."""
    rpc_s = subject.rpc_response_timeout_s
    for service in subject.services:
        sides = [("server", service.back)]
        if service.front.word("mode") == "tcp":
            # In mode http the client's timeout does not run while the server works.
            sides.append(("client", service.front))
        for name, proxy in sides:
            setting, seconds = proxy.values.get(f"timeout {name}"), proxy.timeout_s(name)
            if setting is None or not seconds or seconds > rpc_s:
                continue
            yield rule.finding(
                at(setting.line),
                proxy.name,
                f"timeout {name} {setting.text} is not longer than rpc_response_timeout ({rpc_s} s)",
                "when an engine is slow, the proxy cuts the connection before or while the API answers: "
                "the client sees a closed connection instead of Heat's error",
                [set_statement(subject, proxy, setting, f"timeout {name} {answer_timeout(rpc_s)}")],
            )


@rule(
    "A8-no-timeout",
    Severity.WARNING,
    remedy="set timeout client, connect and server",
    quote=manual(
        "4.2 timeout server",
        "An unspecified timeout results in an infinite timeout, which is not recommended.",
    ),
)
def no_timeout(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Every connection has timeouts."""
    answer = answer_timeout(subject.rpc_response_timeout_s)
    for service in subject.services:
        for name, proxy, value in (
            ("client", service.front, answer),
            ("connect", service.back, "10s"),
            ("server", service.back, answer),
        ):
            if not proxy.timeout_s(name):
                yield rule.finding(
                    at(proxy.line),
                    proxy.name,
                    f"has no timeout {name}",
                    "connections whose other end has vanished stay open until the limit of connections is "
                    "reached",
                    [insert_into(proxy.section, f"timeout {name} {value}")],
                )


@rule(
    "A8-timeout-without-effect",
    Severity.NOTE,
    remedy="remove it, or set what makes it effective: mode http; maxconn on the servers",
    quote=manual(
        "4.2 timeout queue",
        "When a server's maxconn is reached, connections are left pending in a queue which may be "
        "server-specific or global to the backend.",
    ),
)
def timeout_without_effect(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Every timeout that is set has an effect."""
    for service in subject.services:
        request = service.front.values.get("timeout http-request")
        if request and service.front.word("mode") == "tcp" and service.back.word("mode") == "tcp":
            yield rule.finding(
                at(request.line),
                service.name,
                "timeout http-request has no effect in mode tcp",
                "a client that never completes its request is cut by timeout client only, and never while "
                "it sends a byte now and then",
                without_statement(subject, service.front, request),
            )
        queue = service.back.values.get("timeout queue")
        if queue and not any(server.count("maxconn") for server in service.back.servers):
            yield rule.finding(
                at(queue.line),
                service.name,
                "timeout queue has no effect without maxconn on the servers",
                "connections beyond the limits wait in the kernel's accept queue, to which no timeout of "
                "HAProxy applies",
                without_statement(subject, service.back, queue),
            )


@rule(
    "A8-server-maxconn-order",
    Severity.NOTE,
    remedy="raise the maxconn of the section above the sum of its servers', or lower theirs",
    quote=guide("maxconn 8000"),
)
def server_maxconn_order(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """The frontend accepts as many connections as its servers may hold."""
    for service in subject.services:
        own, maxconn = service.front.values.get("maxconn"), service.front.maxconn
        limits = [server.count("maxconn") or 0 for server in service.back.servers]
        if own and maxconn and all(limits) and sum(limits) > maxconn:
            yield rule.finding(
                at(own.line),
                service.name,
                f"maxconn {maxconn} is less than the {sum(limits)} that its servers may hold together",
                "the limits of the servers are never all reached: HAProxy's queue, with its timeout and "
                "its statistics, stays empty while clients wait in the kernel's queue",
            )
