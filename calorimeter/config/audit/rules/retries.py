"""A7: keep-alive packets, and retries that reach another server."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.changes import after, at, into, replaced
from calorimeter.config.audit.model import Problem, Rule, Severity, guide, manual
from calorimeter.config.audit.subject import Subject

_HASHED = ("source", "uri", "hdr", "url_param", "rdp-cookie", "hash")


def _no_keepalive(subject: Subject) -> Iterator[Problem]:
    for _, _, service in subject.services:
        client = service.front.option("tcpka", "clitcpka")
        server = service.back.option("tcpka", "srvtcpka")
        if client and server:
            continue
        missing = [side for side, found in (("clients", client), ("servers", server)) if not found]
        changes = []
        if not client:
            both = service.front is service.back and not server
            changes.append(into(service.front.section, f"option {'tcpka' if both else 'clitcpka'}"))
        if not server and not (service.front is service.back and not client):
            changes.append(into(service.back.section, "option srvtcpka"))
        yield Problem(
            at(service.back.line),
            service.name,
            f"sends no keep-alive packets to {' and '.join(missing)}",
            "a connection that a firewall forgot, or whose other end vanished, is held until a timeout",
            tuple(changes),
        )


NO_KEEPALIVE = Rule(
    "A7-no-keepalive",
    Severity.WARNING,
    "TCP keep-alive is on, on both sides",
    "add option tcpka",
    manual(
        "4.2 option tcpka",
        'Using option "tcpka" enables the emission of TCP keep-alive probes on both the client and '
        "server sides of a connection.",
    ),
    _no_keepalive,
)


def _redispatch_useless(subject: Subject) -> Iterator[Problem]:
    for _, _, service in subject.services:
        back = service.back
        hashed = back.word("balance").partition("(")[0] in _HASHED
        if not back.option("redispatch") or not hashed or len(back.servers) < 2:
            continue
        if back.word("hash-type") != "map-based":
            continue
        said, balance = back.values.get("hash-type"), back.values.get("balance")
        own = [
            setting.line for setting in (said, balance) if setting and setting.line in back.section.lines
        ]
        place = own[0] if own else back.line
        if said and said.line in back.section.lines:
            change = replaced(said.line, " ".join(("hash-type consistent", *said.words[1:])))
        elif own:
            change = after(place, "hash-type consistent")
        else:
            change = into(back.section, "hash-type consistent")
        yield Problem(
            at(place),
            back.name,
            "option redispatch is on, with a map-based hash",
            "the retry is hashed to the same dead server: nobody is rescued until a check finds it DOWN, "
            "and nobody ever where nothing is checked",
            (change,),
        )


REDISPATCH_USELESS = Rule(
    "A7-redispatch-map-based",
    Severity.WARNING,
    "Redispatch can work with the hash in use",
    "use hash-type consistent",
    manual(
        "4.2 option redispatch",
        'Specifying "option redispatch" will allow the proxy to break cookie or consistent hash based '
        "persistence and redistribute them to a working server.",
    ),
    _redispatch_useless,
)


def _no_redispatch(subject: Subject) -> Iterator[Problem]:
    for _, _, service in subject.services:
        if service.back.option("redispatch") or len(service.back.servers) < 2:
            continue
        yield Problem(
            at(service.back.line),
            service.name,
            "has no option redispatch",
            "a connection that a server refuses is retried on the same server only, and then fails",
            (into(service.back.section, "option redispatch"),),
        )


NO_REDISPATCH = Rule(
    "A7-no-redispatch",
    Severity.WARNING,
    "A refused connection is tried on another server",
    "add option redispatch",
    guide("option redispatch"),
    _no_redispatch,
)

RULES = (NO_KEEPALIVE, REDISPATCH_USELESS, NO_REDISPATCH)
