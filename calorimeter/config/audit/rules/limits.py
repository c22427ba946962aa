"""A8: limits and times that fit one another."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.changes import at, into, replaced
from calorimeter.config.audit.model import Problem, Rule, Severity, guide, manual
from calorimeter.config.audit.subject import Subject
from calorimeter.config.haproxy.units import number, written

_MARGIN_S = 10


def _maxconn_order(subject: Subject) -> Iterator[Problem]:
    for proxy in subject.proxies:
        setting = proxy.configuration.globals.get("maxconn")
        limit = number(setting.words[0]) if setting and setting.words else None
        fronts = {service.front.name: service.front for _, service in proxy.all}
        if not limit:
            continue
        for front in fronts.values():
            said, wanted = front.values.get("maxconn"), front.maxconn
            if said and wanted and wanted > limit:
                fair = max(1, limit // len(fronts))
                yield Problem(
                    at(said.line),
                    front.name,
                    f"maxconn {wanted} is more than the {limit} of the whole process",
                    "it is never reached: clients of one API can use up the process, those of the other "
                    "wait in the kernel's queue, where no timeout of HAProxy counts",
                    (replaced(said.line, f"maxconn {fair}"),),
                )


MAXCONN_ORDER = Rule(
    "A8-maxconn-order",
    Severity.WARNING,
    "No frontend may hold more connections than the process",
    "lower the frontend's maxconn, or raise the global one",
    manual("4.2 maxconn", "This value should not exceed the global maxconn."),
    _maxconn_order,
)


def _races_rpc(subject: Subject) -> Iterator[Problem]:
    rpc = subject.rpc_response_timeout_s
    wanted = written(rpc + _MARGIN_S)
    for _, _, service in subject.services:
        # In mode http the client's timeout stands still while the server works.
        sides = [("server", service.back)]
        if service.front.word("mode") == "tcp":
            sides.append(("client", service.front))
        for name, proxy in sides:
            setting, seconds = proxy.values.get(f"timeout {name}"), proxy.timeout_s(name)
            if setting is None or not seconds or seconds > rpc:
                continue
            yield Problem(
                at(setting.line),
                proxy.name,
                f"timeout {name} {setting.text} is not longer than rpc_response_timeout ({rpc} s)",
                "when an engine is slow, the proxy cuts the connection before or while the API answers: "
                "the client sees a closed connection instead of Heat's error",
                (replaced(setting.line, f"timeout {name} {wanted}"),),
            )


RACES_RPC = Rule(
    "A8-timeout-races-rpc",
    Severity.WARNING,
    "The proxy waits longer than the API waits for an engine",
    "make timeout server, and in mode tcp timeout client, longer than rpc_response_timeout",
    manual(
        "4.2 timeout server",
        "it directly represents the server's processing time for the request. To find out what value to "
        "put there, it's often good to start with what would be considered as unacceptable response times",
    ),
    _races_rpc,
)


def _no_timeout(subject: Subject) -> Iterator[Problem]:
    for _, _, service in subject.services:
        sides = (("client", service.front), ("connect", service.back), ("server", service.back))
        for name, proxy in sides:
            if not proxy.timeout_s(name):
                value = "10s" if name == "connect" else written(subject.rpc_response_timeout_s + _MARGIN_S)
                yield Problem(
                    at(proxy.line),
                    proxy.name,
                    f"has no timeout {name}",
                    "connections whose other end is gone are held for ever, until the limit is reached",
                    (into(proxy.section, f"timeout {name} {value}"),),
                )


NO_TIMEOUT = Rule(
    "A8-no-timeout",
    Severity.WARNING,
    "Every connection has its time limits",
    "set timeout client, connect and server",
    manual(
        "4.2 timeout server",
        "An unspecified timeout results in an infinite timeout, which is not recommended.",
    ),
    _no_timeout,
)


def _without_effect(subject: Subject) -> Iterator[Problem]:
    for _, _, service in subject.services:
        request = service.front.values.get("timeout http-request")
        if request and service.front.word("mode") == "tcp" and service.back.word("mode") == "tcp":
            yield Problem(
                at(request.line),
                service.name,
                "timeout http-request does nothing in mode tcp",
                "a client that never finishes its request is cut by timeout client only, and not at all "
                "while it sends a byte now and then",
                (replaced(request.line),),
            )
        queue = service.back.values.get("timeout queue")
        if queue and not any(server.count("maxconn") for server in service.back.servers):
            yield Problem(
                at(queue.line),
                service.name,
                "timeout queue does nothing without maxconn on the servers",
                "connections beyond the limits wait in the kernel's accept queue, without a time limit of "
                "HAProxy's",
                (replaced(queue.line),),
            )


WITHOUT_EFFECT = Rule(
    "A8-timeout-without-effect",
    Severity.NOTE,
    "Every timeout that is set counts",
    "take it out, or set what makes it count: mode http; maxconn on the servers",
    manual(
        "4.2 timeout queue",
        "When a server's maxconn is reached, connections are left pending in a queue which may be "
        "server-specific or global to the backend.",
    ),
    _without_effect,
)


def _server_limit(subject: Subject) -> Iterator[Problem]:
    for _, _, service in subject.services:
        front = service.front.maxconn
        limits = [server.count("maxconn") or 0 for server in service.back.servers]
        if front and all(limits) and sum(limits) > front:
            said = service.front.values.get("maxconn")
            assert said is not None
            yield Problem(
                at(said.line),
                service.name,
                f"maxconn {front} is less than the {sum(limits)} that its servers may hold",
                "the servers' limits are never reached together: HAProxy's queue, with its timeout and its "
                "figures, stays empty while clients wait in the kernel's",
            )


SERVER_LIMIT = Rule(
    "A8-server-maxconn-order",
    Severity.NOTE,
    "The frontend admits what its servers may hold",
    "raise the section's maxconn above the sum of its servers', or lower theirs",
    guide("maxconn 8000"),
    _server_limit,
)

RULES = (MAXCONN_ORDER, RACES_RPC, NO_TIMEOUT, WITHOUT_EFFECT, SERVER_LIMIT)
