"""A5: every source stays on one API."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.changes import at, into, replaced, shared
from calorimeter.config.audit.model import Problem, Rule, Severity, guide, manual
from calorimeter.config.audit.subject import Subject
from calorimeter.config.haproxy import Proxy


def _sticky(proxy: Proxy) -> bool:
    return bool(proxy.values.all("stick")) or proxy.values.get("cookie") is not None


def _not_source(subject: Subject) -> Iterator[Problem]:
    for _, _, service in subject.services:
        back = service.back
        if back.word("balance") == "source" or len(back.servers) < 2 or _sticky(back):
            continue
        said = back.values.get("balance")
        inherited = said is not None and said.line not in back.section.lines
        yield Problem(
            at(said.line if said else back.line),
            back.name,
            f"balances by {back.word('balance')}" if said else "says no balance: HAProxy takes roundrobin",
            "requests of one client go to one API now and to another then",
            (
                into(back.section, "balance source")
                if said is None or inherited
                else replaced(said.line, "balance source"),
            ),
        )


NOT_SOURCE = Rule(
    "A5-balance-not-source",
    Severity.ERROR,
    "Each source stays on one API",
    "balance by source",
    manual(
        "4.2 balance",
        "The source IP address is hashed and divided by the total weight of the running servers "
        "to designate which server will receive the request.",
    ),
    _not_source,
)


def _mode_unsaid(subject: Subject) -> Iterator[Problem]:
    for _, _, service in subject.services:
        if service.front.values.get("mode") is None:
            section = shared(subject, service.front.section)
            yield Problem(
                at(section.header),
                service.front.name,
                "says no mode: HAProxy takes tcp",
                "connections are balanced, not requests: a kept-alive connection stays on its server until "
                "it ends, even when the hash would send it elsewhere; no header can be added; timeouts for "
                "HTTP do nothing",
                (into(section, "mode tcp"),),
            )


MODE_UNSAID = Rule(
    "A5-mode-unsaid",
    Severity.NOTE,
    "The mode is said",
    "say mode tcp, or mode http with option httplog",
    guide(
        "Because the heat CLI and APIs communicate by exchanging HTTP requests and responses, a HAProxy "
        "HTTP load balancer server will be deployed between them."
    ),
    _mode_unsaid,
)


def _weight_zero(subject: Subject) -> Iterator[Problem]:
    for _, _, service in subject.services:
        for server in service.back.servers:
            if server.weight == 0:
                line = server.parameters["weight"].line
                yield Problem(
                    at(line),
                    f"server {server.name}",
                    "has weight 0",
                    "no source is sent to it: it counts as capacity that is not there",
                )


WEIGHT_ZERO = Rule(
    "A5-weight-zero",
    Severity.WARNING,
    "Every server takes part",
    "give it a weight, or take it out",
    manual(
        "5.2 weight",
        "A value of 0 means the server will not participate in load-balancing but will still accept "
        "persistent connections.",
    ),
    _weight_zero,
)


def _slowstart(subject: Subject) -> Iterator[Problem]:
    for _, _, service in subject.services:
        back = service.back
        if back.word("balance") != "source" or back.word("hash-type") != "map-based":
            continue
        for server in back.servers:
            if server.has("slowstart"):
                yield Problem(
                    at(server.parameters["slowstart"].line),
                    f"server {server.name}",
                    "has slowstart, with a map-based hash",
                    "a server that returns has its whole share at once",
                )


SLOWSTART = Rule(
    "A5-slowstart-map-based",
    Severity.NOTE,
    "Weights that change work with this hash",
    "take slowstart out, or use hash-type consistent",
    manual(
        "4.2 hash-type",
        "weight changes while a server is up will be ignored. This means that there will be no slow start.",
    ),
    _slowstart,
)


def _closing(subject: Subject) -> Iterator[Problem]:
    for _, _, service in subject.services:
        closing = service.front.option("httpclose", "forceclose") or service.back.option("httpclose")
        if service.front.word("mode") == "http" and closing:
            yield Problem(
                at(closing.line),
                service.name,
                "closes every connection after one answer",
                "no client is kept alive: every request pays for a new connection",
                (replaced(closing.line),),
            )


CLOSING = Rule(
    "A5-closes-connections",
    Severity.NOTE,
    "Clients are kept alive",
    "take the option out; keep-alive is HAProxy's default",
    manual(
        "4.2 option httpclose",
        "By default HAProxy operates in keep-alive mode with regards to persistent connections",
    ),
    _closing,
)

RULES = (NOT_SOURCE, MODE_UNSAID, WEIGHT_ZERO, SLOWSTART, CLOSING)
