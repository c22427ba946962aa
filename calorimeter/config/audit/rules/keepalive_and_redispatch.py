"""A7: TCP keep-alive is on, and retries can reach another server."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.model import Change, Finding, Rule, Severity, guide, manual, rule
from calorimeter.config.audit.patches.changes import at, insert_after, insert_into, replace_line
from calorimeter.config.audit.patches.section_changes import is_own, set_statement
from calorimeter.config.audit.rules.balance import balance_of
from calorimeter.config.audit.rules.health_checks import ends_sessions
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.haproxy import ProxiedService, ProxySection
from calorimeter.config.haproxy.haproxy_writer import AT_ONCE
from calorimeter.core.expect import HASHED


@rule(
    "A7-no-keepalive",
    Severity.WARNING,
    remedy="add option tcpka",
    quote=manual(
        "4.2 option tcpka",
        'Using option "tcpka" enables the emission of TCP keep-alive probes on both the client and '
        "server sides of a connection.",
    ),
)
def no_keepalive(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """TCP keep-alive is on, on both sides, if the owner wants it."""
    wanted = subject.inputs.tcp_keepalive
    if wanted is False:
        return
    for service in subject.services:
        client = service.front.option("tcpka", "clitcpka")
        server = service.back.option("tcpka", "srvtcpka")
        missing = [side for side, option in (("clients", client), ("servers", server)) if not option]
        if missing:
            yield rule.finding(
                at(service.back.line),
                service.name,
                f"sends no keep-alive packets to {' and '.join(missing)}",
                "a connection that a firewall has dropped, or whose other end has vanished, stays open "
                "until a timeout",
                _add_keepalive(service, missing),
                severity=Severity.WARNING if wanted else Severity.NOTE,
            )


def _add_keepalive(service: ProxiedService, missing: list[str]) -> Iterator[Change]:
    if len(missing) == 2 and service.front is service.back:
        yield insert_into(service.front.section, "option tcpka")
        return
    if "clients" in missing:
        yield insert_into(service.front.section, "option clitcpka")
    if "servers" in missing:
        yield insert_into(service.back.section, "option srvtcpka")


@rule(
    "A7-redispatch-map-based",
    Severity.WARNING,
    remedy="use hash-type consistent",
    quote=manual(
        "4.2 option redispatch",
        'Specifying "option redispatch" will allow the proxy to break cookie or consistent hash based '
        "persistence and redistribute them to a working server.",
    ),
)
def redispatch_map_based(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Redispatch works with the hash type in use."""
    for service in subject.services:
        back = service.back
        if not back.option("redispatch") or balance_of(back) not in HASHED or len(back.servers) < 2:
            continue
        if back.word("hash-type") != "map-based":
            continue
        hash_type, balance = (
            setting if is_own(back, setting) else None
            for setting in (back.values.get("hash-type"), back.values.get("balance"))
        )
        place = hash_type or balance
        yield rule.finding(
            at(place.line if place else back.line),
            back.name,
            "option redispatch is on, but the hash is map-based",
            "the hash sends a retry to the same dead server: no request is rescued until a check detects "
            "the failure, and none ever without checks",
            [_consistent(back)],
        )


def _consistent(back: ProxySection) -> Change:
    hash_type, balance = back.values.get("hash-type"), back.values.get("balance")
    if hash_type and is_own(back, hash_type):
        return replace_line(hash_type.line, " ".join(("hash-type consistent", *hash_type.words[1:])))
    if balance and is_own(back, balance):
        return insert_after(balance.line, "hash-type consistent")
    return insert_into(back.section, "hash-type consistent")


@rule(
    "A7-no-redispatch", Severity.WARNING, remedy=f"add option {AT_ONCE}", quote=guide("option redispatch")
)
def no_redispatch(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """HAProxy tries a refused connection on another server."""
    for service in subject.services:
        back = service.back
        if back.option("redispatch") or len(back.servers) < 2:
            continue
        hashed, checked = balance_of(back) in HASHED, all(server.check for server in back.servers)
        requests = "requests of its clients" if hashed else "requests for it"
        yield rule.finding(
            at(back.line),
            service.name,
            "has no option redispatch",
            "a connection that a server refuses is retried on the same server only, and then fails: until "
            f"a check takes a crashed server DOWN, all {requests} fail",
            _add_redispatch(back),
            severity=Severity.NOTE if checked and not hashed else Severity.WARNING,
        )


def _add_redispatch(back: ProxySection) -> Iterator[Change]:
    yield insert_into(back.section, f"option {AT_ONCE}")
    if balance_of(back) in HASHED and back.word("hash-type") == "map-based":
        yield _consistent(back)


@rule(
    "A7-redispatch-late",
    Severity.WARNING,
    remedy=f"use option {AT_ONCE}",
    quote=manual(
        "4.2 option redispatch",
        "the default of -1 preserves the historical behavior of redispatching on the last retry, a "
        "positive value of 1 would indicate a redispatch on every retry",
    ),
)
def redispatch_late(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """A retry does not wait on a server whose sessions end when it goes DOWN."""
    for service in subject.services:
        back = service.back
        option = back.option("redispatch")
        if option is None or option.words == ("1",):
            continue
        if back.word("mode") != "tcp" or back.word("retries") == "0":
            continue
        ended = [server.name for server in back.servers if server.check and ends_sessions(server)]
        if ended:
            yield rule.finding(
                at(option.line),
                back.name,
                "not every retry is redispatched, and sessions end when their server goes DOWN: "
                + ", ".join(ended),
                "a client that waits for a retry at that moment gets no answer; HAProxy 3.0.11 does not "
                "even close its connection, whatever the timeouts",
                [set_statement(subject, back, option, f"option {AT_ONCE}")],
            )
