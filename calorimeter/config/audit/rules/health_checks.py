"""A6: the proxy detects a failed API, and soon enough."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from calorimeter.config.audit.changes import append_words, at, insert_before, insert_into, replace_line
from calorimeter.config.audit.model import Change, Finding, Rule, Severity, guide, manual, rule
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.haproxy import HAProxyLine, HAProxyServer, ProxySection
from calorimeter.config.haproxy.units import time_text
from calorimeter.core.detection_bounds import detection_s

ENDED = "on-marked-down shutdown-sessions"
CHECK = f"check inter 2s fall 3 rise 2 {ENDED}"
"""The proposed check: HAProxy's own defaults, written out, and connections that end with their server."""
TIMEOUT_CHECK_S = 2.0
PATH = "/healthcheck"


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
    for service in subject.services:
        back = service.back
        unchecked = [
            s for s in back.servers if not s.check and not s.has("track") and not s.has("disabled")
        ]
        if not unchecked:
            continue
        option = back.option("httpchk", "tcp-check")
        names = ", ".join(server.name for server in unchecked)
        preface = f"option {option.line.words[1]} is set, but " if option else ""
        yield rule.finding(
            at(option.line if option else unchecked[0].line),
            back.name,
            f"{preface}these servers are not checked: {names}",
            "HAProxy considers a crashed API healthy: every request of the sources hashed to it fails, "
            "without end",
            _add_checks(back, unchecked),
        )


def _add_checks(back: ProxySection, unchecked: list[HAProxyServer]) -> list[Change]:
    if len(unchecked) == len(back.servers):
        return [insert_before(unchecked[0].line, f"default-server {CHECK}")]
    by_line = groupby(unchecked, key=lambda server: server.line)
    return [append_words(line, CHECK) for line, _ in by_line]


@rule(
    "A6-check-without-http",
    Severity.WARNING,
    remedy=f"add option httpchk GET {PATH}",
    quote=manual(
        "4.2 option httpchk",
        "By default, server health checks only consist in trying to establish a TCP connection.",
    ),
)
def check_without_http(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Checks need an HTTP answer, not only a connection."""
    for service in subject.services:
        back = service.back
        checked = [server for server in back.servers if server.check]
        if not checked or back.option("httpchk", "tcp-check", "external-check"):
            continue
        yield rule.finding(
            at(checked[0].line),
            back.name,
            "is checked by TCP connections only",
            "an API that accepts connections and answers nothing (frozen, or out of threads) stays UP",
            [insert_into(back.section, f"option httpchk GET {PATH}")],
        )


@rule(
    "A6-check-shallow",
    Severity.WARNING,
    remedy=f"request GET {PATH} (it still does not test RabbitMQ: see docs/reference/audit.md)",
    quote=manual(
        "4.2 option httpchk",
        'When not set, the "OPTIONS" method is used, as it generally requires low server processing',
    ),
)
def check_shallow(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Checks request the API's own health page."""
    for service in subject.services:
        option = service.back.option("httpchk")
        if option is None or _requests_a_path(service.back):
            continue
        request = "GET /" if option.words else "OPTIONS /"
        yield rule.finding(
            at(option.line),
            service.back.name,
            f"the check requests {request}",
            f"heat-api answers OPTIONS / with 200 even while {PATH} answers 503: an API that its operator "
            "has taken out of service stays UP",
            [replace_line(option.line, f"option httpchk GET {PATH}")],
        )


def _requests_a_path(back: ProxySection) -> bool:
    option = back.option("httpchk")
    sends = [s.words for s in back.values.all("http-check") if s.words[:1] == ("send",)]
    paths = [word for word in (option.words if option else ()) if word.startswith("/") and word != "/"]
    return bool(paths) or any("uri" in words for words in sends)


@rule(
    "A6-slow-detection",
    Severity.WARNING,
    remedy="shorten timeout check, inter or fall; expect.max_detection_s is the limit (default 20 s)",
    quote=manual(
        "4.2 timeout check",
        'If set, HAProxy uses min("timeout connect", "inter") as a connect timeout for check and '
        '"timeout check" as an additional read timeout.',
    ),
)
def slow_detection(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """HAProxy detects a failed API in time."""
    limit = subject.inputs.max_detection_s
    for service in subject.services:
        back = service.back
        checked = [server for server in back.servers if server.check]
        if not checked:
            continue
        slowest = max(checked, key=lambda server: detection_s(back.checks(server), "freeze"))
        checks = back.checks(slowest)
        freeze_s, crash_s = detection_s(checks, "freeze"), detection_s(checks, "kill")
        if freeze_s <= limit:
            continue
        timeout, inter = back.values.get("timeout check"), slowest.parameters.get("inter")
        yield rule.finding(
            at(timeout.line if timeout else inter.line if inter else slowest.line),
            back.name,
            f"a frozen API is DOWN after up to {freeze_s:g} s, a crashed one after up to {crash_s:g} s, "
            f"but max_detection_s is {limit:g} s",
            "until then the requests of its sources hang or fail",
            _shorten(back, slowest, limit),
        )


def _shorten(back: ProxySection, server: HAProxyServer, limit: float) -> Iterator[Change]:
    """Shorten `timeout check`; if that is not enough, also give the server HAProxy's default times."""
    timeout = back.values.get("timeout check")
    timeout_s = min(TIMEOUT_CHECK_S, server.inter_s)
    shorter = f"timeout check {time_text(timeout_s)}"
    yield replace_line(timeout.line, shorter) if timeout else insert_into(back.section, shorter)
    checks = back.checks(server).model_copy(update={"timeout_check_s": timeout_s})
    if detection_s(checks, "freeze") > limit:
        times = ("inter", "fastinter", "fall")
        for line in dict.fromkeys(server.parameters[name].line for name in times if server.has(name)):
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
        "Shutdown peer sessions. When this setting is enabled, all connections to the server are "
        "immediately terminated when the server goes down.",
    ),
)
def sessions_stay(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Connections end when their server goes DOWN."""
    for service in subject.services:
        back = service.back
        if back.word("mode") != "tcp":
            continue  # in mode http every request is sent to a server that is UP
        by_line: dict[HAProxyLine, list[HAProxyServer]] = {}
        for server in back.servers:
            action = server.parameters.get("on-marked-down")
            if server.check and (action is None or action.value != "shutdown-sessions"):
                by_line.setdefault(server.parameters["check"].line, []).append(server)
        for line, servers in by_line.items():
            names = ", ".join(server.name for server in servers)
            yield rule.finding(
                at(line),
                back.name,
                f"connections stay open when their server goes DOWN: {names}",
                "a kept-alive client stays on a server that is DOWN: if the API is frozen or unreachable, "
                "its requests hang until a timeout",
                [append_words(line, ENDED)],
            )


@rule(
    "A6-one-backup-only",
    Severity.NOTE,
    remedy="add option allbackups",
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
                [insert_into(service.back.section, "option allbackups")],
            )
