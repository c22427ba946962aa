"""A7: TCP keep-alive is on, and retries can reach another server."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.changes import at, insert_after, insert_into, replace_line
from calorimeter.config.audit.model import Change, Finding, Rule, Severity, guide, manual, rule
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.haproxy import ProxiedService

_HASHED = ("source", "uri", "hdr", "url_param", "rdp-cookie", "hash")


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
    """TCP keep-alive is on, on both sides."""
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
        hashed = back.word("balance").partition("(")[0] in _HASHED
        if not back.option("redispatch") or not hashed or len(back.servers) < 2:
            continue
        if back.word("hash-type") != "map-based":
            continue
        hash_type, balance = (
            setting if setting and setting.line in back.section.lines else None
            for setting in (back.values.get("hash-type"), back.values.get("balance"))
        )
        if hash_type:
            words = " ".join(("hash-type consistent", *hash_type.words[1:]))
            change = replace_line(hash_type.line, words)
        elif balance:
            change = insert_after(balance.line, "hash-type consistent")
        else:
            change = insert_into(back.section, "hash-type consistent")
        place = hash_type or balance
        yield rule.finding(
            at(place.line if place else back.line),
            back.name,
            "option redispatch is on, but the hash is map-based",
            "the hash sends a retry to the same dead server: no request is rescued until a check detects "
            "the failure, and none ever without checks",
            [change],
        )


@rule(
    "A7-no-redispatch", Severity.WARNING, remedy="add option redispatch", quote=guide("option redispatch")
)
def no_redispatch(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """HAProxy tries a refused connection on another server."""
    for service in subject.services:
        if service.back.option("redispatch") or len(service.back.servers) < 2:
            continue
        yield rule.finding(
            at(service.back.line),
            service.name,
            "has no option redispatch",
            "a connection that a server refuses is retried on the same server only, and then fails",
            [insert_into(service.back.section, "option redispatch")],
        )
