"""A6: a failed API is found, and found soon enough."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from calorimeter.config.audit.changes import after, appended, at, into, replaced
from calorimeter.config.audit.model import Change, Problem, Rule, Severity, guide, manual
from calorimeter.config.audit.subject import Subject
from calorimeter.config.haproxy import Line, Proxy, Server
from calorimeter.config.haproxy.units import written

ENDED = "on-marked-down shutdown-sessions"
CHECK = f"check inter 2s fall 3 rise 2 {ENDED}"
"""What is proposed where nothing is checked: HAProxy's own defaults, said aloud, and sessions that end."""
TIMEOUT_CHECK_S = 2.0
PATH = "/healthcheck"


def detection_s(server: Server, timeout_check_s: float | None) -> dict[str, float]:
    """The longest time in seconds until a failed server is DOWN, by kind of failure.

    Crash: inter + (fall−1)·fastinter. Freeze: inter + fall·tc + (fall−1)·fastinter, tc being
    `timeout check`, or inter where it is not set (manual, `timeout check`). Measured on HAProxy 2.6.
    """
    tc = server.inter_s if timeout_check_s is None else timeout_check_s
    crash = server.inter_s + (server.fall - 1) * server.fastinter_s
    return {"crash": crash, "freeze": crash + server.fall * tc}


def _no_check(subject: Subject) -> Iterator[Problem]:
    for _, _, service in subject.services:
        back = service.back
        unchecked = [
            s for s in back.servers if not s.check and not s.has("track") and not s.has("disabled")
        ]
        if not unchecked:
            continue
        asked = back.option("httpchk", "tcp-check")
        place = asked.line if asked else unchecked[0].line
        names = ", ".join(server.name for server in unchecked)
        said = f"option {asked.line.words[1]} is set, but " if asked else ""
        yield Problem(
            at(place),
            back.name,
            f"{said}no check is made of {names}",
            "a crashed API stays in the proxy as healthy: every request of the sources hashed to it fails, "
            "for ever",
            _checking(back, unchecked),
        )


def _checking(back: Proxy, unchecked: list[Server]) -> tuple[Change, ...]:
    if len(unchecked) == len(back.servers):
        first = unchecked[0].line
        return (Change(first.file, first.number, 0, (_indent(first.text) + f"default-server {CHECK}",)),)
    by_line = groupby(unchecked, key=lambda server: server.line)
    return tuple(appended(line, CHECK) for line, _ in by_line)


def _indent(text: str) -> str:
    return text[: len(text) - len(text.lstrip(" \t"))]


NO_CHECK = Rule(
    "A6-no-check",
    Severity.ERROR,
    "Every server's health is checked",
    "say check on every server line, or once in default-server",
    manual(
        "5.2 check",
        "when not set, no health checking is performed, and the server is always considered available.",
    ),
    _no_check,
)


def _no_httpchk(subject: Subject) -> Iterator[Problem]:
    for _, _, service in subject.services:
        back = service.back
        checked = [server for server in back.servers if server.check]
        if not checked or back.option("httpchk", "tcp-check", "external-check"):
            continue
        yield Problem(
            at(checked[0].line),
            back.name,
            "is checked by TCP connections only",
            "an API that accepts connections and answers nothing (frozen, or out of threads) stays UP",
            (into(back.section, f"option httpchk GET {PATH}"),),
        )


NO_HTTPCHK = Rule(
    "A6-check-without-http",
    Severity.WARNING,
    "Checks ask for an answer, not for a connection",
    f"add option httpchk GET {PATH}",
    manual(
        "4.2 option httpchk",
        "By default, server health checks only consist in trying to establish a TCP connection.",
    ),
    _no_httpchk,
)


def _shallow(subject: Subject) -> Iterator[Problem]:
    for _, _, service in subject.services:
        back = service.back
        option = back.option("httpchk")
        own_request = any(
            s.words[:1] == ("send",) and "uri" in s.words for s in back.values.all("http-check")
        )
        if (
            option is None
            or own_request
            or any(word.startswith("/") and word != "/" for word in option.words)
        ):
            continue
        asked = "GET /" if option.words else "OPTIONS /"
        yield Problem(
            at(option.line),
            back.name,
            f"the check asks {asked}",
            f"heat-api answers OPTIONS / with 200 even while {PATH} says 503: an API that its operator has "
            "taken out of service stays UP",
            (replaced(option.line, f"option httpchk GET {PATH}"),),
        )


SHALLOW = Rule(
    "A6-check-shallow",
    Severity.WARNING,
    "Checks ask the API's own health page",
    f"ask GET {PATH} (it still does not touch RabbitMQ: see docs/reference/audit.md)",
    manual(
        "4.2 option httpchk",
        'When not set, the "OPTIONS" method is used, as it generally requires low server processing',
    ),
    _shallow,
)


def _slow(subject: Subject) -> Iterator[Problem]:
    limit = subject.inputs.max_detection_s
    for _, _, service in subject.services:
        back = service.back
        timeout = back.values.get("timeout check")
        timeout_s = back.timeout_s("check")
        checked = [server for server in back.servers if server.check]
        if not checked:
            continue
        slowest = max(checked, key=lambda server: detection_s(server, timeout_s)["freeze"])
        found = detection_s(slowest, timeout_s)
        if found["freeze"] <= limit:
            continue
        inter = slowest.parameters.get("inter")
        place = timeout.line if timeout else inter.line if inter else slowest.line
        yield Problem(
            at(place),
            back.name,
            f"a frozen API is DOWN after up to {found['freeze']:g} s, a crashed one after "
            f"{found['crash']:g} s; wanted are {limit:g} s",
            "until then the requests of its sources hang or fail",
            _faster(back, slowest, limit),
        )


def _faster(back: Proxy, server: Server, limit: float) -> tuple[Change, ...]:
    """`timeout check` shortened; where that is not enough, HAProxy's default times for the server."""
    timeout = back.values.get("timeout check")
    tc = min(TIMEOUT_CHECK_S, server.inter_s)
    shorter = f"timeout check {written(tc)}"
    changes = [replaced(timeout.line, shorter) if timeout else into(back.section, shorter)]
    if detection_s(server, tc)["freeze"] > limit:
        for line in dict.fromkeys(
            server.parameters[name].line for name in ("inter", "fastinter", "fall") if server.has(name)
        ):
            words = " ".join(_without(line.words, ("inter", "fastinter", "fall")))
            changes.append(replaced(line, f"{words} inter 2s fall 3"))
    return tuple(changes)


def _without(words: tuple[str, ...], names: tuple[str, ...]) -> Iterator[str]:
    rest = iter(words)
    for word in rest:
        if word in names:
            next(rest, None)
        else:
            yield word


SLOW = Rule(
    "A6-slow-detection",
    Severity.WARNING,
    "A failed API is found in time",
    "shorten timeout check, inter or fall; expect.max_detection_s says what is wanted (default 20 s)",
    manual(
        "4.2 timeout check",
        'If set, HAProxy uses min("timeout connect", "inter") as a connect timeout for check and '
        '"timeout check" as an additional read timeout.',
    ),
    _slow,
)


def _sessions_stay(subject: Subject) -> Iterator[Problem]:
    for _, _, service in subject.services:
        back = service.back
        if back.word("mode") != "tcp":
            continue  # in mode http every request is sent to a server that is UP
        by_line: dict[Line, list[Server]] = {}
        for server in back.servers:
            said = server.parameters.get("on-marked-down")
            if server.check and (said is None or said.value != "shutdown-sessions"):
                by_line.setdefault(server.parameters["check"].line, []).append(server)
        for line, servers in by_line.items():
            names = ", ".join(server.name for server in servers)
            yield Problem(
                at(line),
                back.name,
                f"connections to {names} outlive their server's health",
                "a kept-alive client stays on a server that is DOWN: with a frozen API, or one whose "
                "packets vanish, its requests hang until a timeout",
                (appended(line, ENDED),),
            )


SESSIONS_STAY = Rule(
    "A6-sessions-stay",
    Severity.WARNING,
    "Connections end with their server",
    f"say {ENDED} on the server lines, or once in default-server",
    manual(
        "5.2 on-marked-down",
        "Shutdown peer sessions. When this setting is enabled, all connections to the server are "
        "immediately terminated when the server goes down.",
    ),
    _sessions_stay,
)


def _all_backup(subject: Subject) -> Iterator[Problem]:
    for _, _, service in subject.services:
        backups = [server for server in service.back.servers if server.has("backup")]
        if backups and not service.back.option("allbackups") and len(backups) > 1:
            option = f"{service.back.name}"
            yield Problem(
                at(backups[1].line),
                option,
                f"has {len(backups)} backup servers, and no option allbackups",
                "when the others fail, all load goes to the first backup alone",
                (after(service.back.line, "    option allbackups"),),
            )


ALL_BACKUP = Rule(
    "A6-one-backup-only",
    Severity.NOTE,
    "Backup servers share the load",
    "add option allbackups",
    guide("it can be helpful to run multiple load-balanced APIs and engines."),
    _all_backup,
)

RULES = (NO_CHECK, NO_HTTPCHK, SHALLOW, SLOW, SESSIONS_STAY, ALL_BACKUP)
