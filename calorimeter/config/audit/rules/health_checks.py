"""A6: the proxy detects a failed API, and soon enough."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from calorimeter.config.audit.model import Change, Finding, Rule, Severity, guide, manual, rule
from calorimeter.config.audit.patches.changes import append_words, at, insert_before, replace_line
from calorimeter.config.audit.patches.section_changes import set_statement
from calorimeter.config.audit.rules.balance import balance_of
from calorimeter.config.audit.rules.check_answers import connects_only, refusal
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.haproxy import HAProxyServer, ProxySection
from calorimeter.config.haproxy.units import time_text
from calorimeter.core.deployment import Checks
from calorimeter.core.detection_bounds import detection_s
from calorimeter.core.expect import HASHED

ENDED = "on-marked-down shutdown-sessions"
CHECK = f"check inter 2s fall 3 rise 2 {ENDED}"
"""The proposed check: HAProxy's own defaults, written out, and connections that end with their server."""
TIMEOUT_CHECK_S = 2.0
UNSAID_DETECTION_S = 20.0
"""The detection bound above which a note shows the bounds, if the owner does not say one."""


@rule(
    "A6-no-check",
    Severity.ERROR,
    remedy="add check to every server line, or once to default-server",
    quote=manual(
        "5.2 check",
        "when not set, no health checking is performed, and the server is always considered available.",
    ),
)
def no_check(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """HAProxy checks the health of every server."""
    for api, service in subject.api_services:
        back = service.back
        unchecked = [
            s for s in back.servers if not s.check and not s.has("track") and not s.has("disabled")
        ]
        if not unchecked:
            continue
        option = back.option("httpchk", "tcp-check")
        names = ", ".join(server.name for server in unchecked)
        preface = f"option {option.line.words[1]} is set, but " if option else ""
        requests = "of the sources hashed to it" if balance_of(back) in HASHED else "that it is given"
        acceptable = refusal(subject, api, back) is None
        yield rule.finding(
            at(option.line if option else unchecked[0].line),
            back.name,
            f"{preface}these servers are not checked: {names}",
            f"HAProxy considers a crashed API healthy: every request {requests} fails, without end",
            _add_checks(subject, back, unchecked) if acceptable else (),
            severity=Severity.ERROR if len(back.servers) > 1 else Severity.NOTE,
        )


def _add_checks(
    subject: AuditedFiles, back: ProxySection, unchecked: list[HAProxyServer]
) -> Iterator[Change]:
    if len(unchecked) == len(back.servers):
        yield insert_before(unchecked[0].line, f"default-server {CHECK}")
    else:
        yield from (append_words(line, CHECK) for line, _ in groupby(unchecked, key=lambda s: s.line))
    proposed = Checks(inter_s=2.0, fall=3, timeout_check_s=back.timeout_s("check") or None)
    if detection_s(proposed, "freeze") > (subject.inputs.max_detection_s or UNSAID_DETECTION_S):
        timeout = back.values.get("timeout check")
        yield set_statement(subject, back, timeout, f"timeout check {time_text(TIMEOUT_CHECK_S)}")


@rule(
    "A6-slow-detection",
    Severity.WARNING,
    remedy="shorten timeout check, inter or fall; --max-detection or [expect] max_detection_s is the time "
    "that you want",
    quote=manual(
        "4.2 timeout check",
        'If set, HAProxy uses min("timeout connect", "inter") as a connect timeout for check and '
        '"timeout check" as an additional read timeout.',
    ),
)
def slow_detection(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """HAProxy detects a failed API in the time that the owner wants."""
    wanted = subject.inputs.max_detection_s
    for service in subject.services:
        back = service.back
        checked = [server for server in back.servers if server.check]
        if not checked:
            continue
        slowest = max(checked, key=lambda server: detection_s(back.checks(server), "freeze"))
        checks = back.checks(slowest)
        freeze_s, crash_s = detection_s(checks, "freeze"), detection_s(checks, "kill")
        if freeze_s <= (wanted or UNSAID_DETECTION_S):
            continue
        frozen = f"a frozen one after up to {freeze_s:g} s"
        if connects_only(back):
            frozen = f"a frozen one never (after up to {freeze_s:g} s if the check requested an answer)"
        bounds = f"a crashed API is DOWN after up to {crash_s:g} s, {frozen}"
        timeout, inter = back.values.get("timeout check"), slowest.parameters.get("inter")
        yield rule.finding(
            at(timeout.line if timeout else inter.line if inter else slowest.line),
            back.name,
            f"{bounds}, but max_detection_s is {wanted:g} s" if wanted else bounds,
            "until then the requests that it is given hang or fail",
            _shorten(subject, back, slowest, wanted) if wanted else (),
            severity=Severity.WARNING if wanted else Severity.NOTE,
        )


def _shorten(
    subject: AuditedFiles, back: ProxySection, server: HAProxyServer, limit: float
) -> Iterator[Change]:
    """Shorten `timeout check`; if that is not enough, also give the server HAProxy's default times."""
    timeout = back.values.get("timeout check")
    timeout_s = min(TIMEOUT_CHECK_S, server.inter_s)
    yield set_statement(subject, back, timeout, f"timeout check {time_text(timeout_s)}")
    checks = back.checks(server).model_copy(update={"timeout_check_s": timeout_s})
    if detection_s(checks, "freeze") > limit:
        times = ("inter", "fastinter", "fall")
        for line in dict.fromkeys(server.parameters[name].line for name in times if server.has(name)):
            if line in back.section.lines:
                words = " ".join(_without(line.words, times))
                yield replace_line(line, f"{words} inter 2s fall 3")


def _without(words: tuple[str, ...], names: tuple[str, ...]) -> Iterator[str]:
    rest = iter(words)
    for word in rest:
        if word in names:
            next(rest, None)
        else:
            yield word


@rule(
    "A6-sessions-stay",
    Severity.WARNING,
    remedy=f"add {ENDED} to the server lines, or once to default-server",
    quote=manual(
        "5.2 on-marked-down",
        "When this setting is enabled, all connections to the server are immediately terminated when the "
        "server goes down.",
    ),
)
def sessions_stay(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Connections end when their server goes DOWN."""
    for service in subject.services:
        back = service.back
        if back.word("mode") != "tcp":
            continue  # in mode http every request is sent to a server that is UP
        staying = [s for s in back.servers if s.check and not ends_sessions(s)]
        lines = dict.fromkeys(server.parameters["check"].line for server in staying)
        if lines:
            yield rule.finding(
                at(next(iter(lines))),
                back.name,
                "connections stay open when their server goes DOWN: "
                + ", ".join(server.name for server in staying),
                "a kept-alive client stays on a server that is DOWN: if the API is frozen or unreachable, "
                "its requests hang until a timeout",
                [append_words(line, ENDED) for line in lines if line in back.section.lines],
                severity=Severity.NOTE if connects_only(back) else Severity.WARNING,
            )


def ends_sessions(server: HAProxyServer) -> bool:
    """Whether HAProxy ends the sessions on a server that goes DOWN."""
    action = server.parameters.get("on-marked-down")
    return action is not None and action.value == "shutdown-sessions"


@rule(
    "A6-one-backup-only",
    Severity.NOTE,
    remedy="add option allbackups, if one API cannot serve all clients",
    quote=guide("it can be helpful to run multiple load-balanced APIs and engines."),
)
def one_backup_only(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Backup servers share the load."""
    for service in subject.services:
        backups = [server for server in service.back.servers if server.has("backup")]
        if len(backups) > 1 and not service.back.option("allbackups"):
            yield rule.finding(
                at(backups[1].line),
                service.back.name,
                f"has {len(backups)} backup servers, but no option allbackups",
                "when the other servers fail, the first backup alone gets all the load",
            )
