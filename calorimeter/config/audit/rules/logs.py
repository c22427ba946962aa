"""A9: what the proxy does can be seen."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.changes import after, at, into
from calorimeter.config.audit.model import Change, Problem, Rule, Severity, manual
from calorimeter.config.audit.subject import ProxySide, Subject
from calorimeter.config.haproxy import Section

_TARGET = "log 127.0.0.1:514 local0"
_SOCKET = "stats socket /run/haproxy/admin.sock mode 660 level admin"


def _in_global(proxy: ProxySide, statement: str) -> tuple[Change, ...]:
    for section in proxy.configuration.tree.sections:
        if section.kind == "global":
            return (into(section, statement),)
    files = proxy.configuration.tree.files
    return (Change(files[0].name, 1, 0, ("global", f"    {statement}", "")),) if files else ()


def _targets(proxy: ProxySide) -> bool:
    return bool(proxy.configuration.globals.all("log"))


def _nowhere(subject: Subject) -> Iterator[Problem]:
    for proxy in subject.proxies:
        for _, service in proxy.all:
            logs = service.front.values.all("log")
            to_global = [setting for setting in logs if setting.words[:1] == ("global",)]
            if to_global and len(to_global) == len(logs) and not _targets(proxy):
                yield Problem(
                    at(to_global[0].line),
                    service.front.name,
                    "log global, and global names no log",
                    "nothing is logged: no line tells which API served whom, or why a client failed",
                    _in_global(proxy, _TARGET),
                )
            if not logs:
                yield Problem(
                    at(service.front.line),
                    service.front.name,
                    "logs nothing",
                    "no line tells which API served whom, or why a client failed",
                    (into(service.front.section, "log global"),)
                    + (() if _targets(proxy) else _in_global(proxy, _TARGET)),
                )


NOWHERE = Rule(
    "A9-log-nowhere",
    Severity.WARNING,
    "The proxy's log goes somewhere",
    "name a log target in global (log ADDRESS FACILITY)",
    manual(
        "4.2 log",
        '"global" replaces <address>, <facility> and <level> with those of the log entries found in the '
        '"global" section.',
    ),
    _nowhere,
)


def _no_server(subject: Subject) -> Iterator[Problem]:
    for proxy in subject.proxies:
        for _, service in proxy.all:
            front = service.front
            logs = front.values.all("log")
            if not logs or front.option("tcplog", "httplog", "httpslog") or front.values.get("log-format"):
                continue
            line = logs[0].line
            name = "httplog" if front.word("mode") == "http" else "tcplog"
            yield Problem(
                at(line),
                front.name,
                "neither option tcplog nor httplog is set",
                "a log line is written when a connection is accepted and does not name the server: who "
                "served whom, how long it took and how it ended cannot be told",
                (after(line, f"option {name}"),),
            )


NO_SERVER = Rule(
    "A9-log-without-server",
    Severity.WARNING,
    "Log lines name the server and how the connection ended",
    "add option tcplog (mode tcp) or option httplog (mode http)",
    manual(
        "4.2 option tcplog",
        "By default, the log output format is very poor, as it only contains the source and destination "
        "addresses, and the instance name.",
    ),
    _no_server,
)


def _no_stats(subject: Subject) -> Iterator[Problem]:
    for proxy in subject.proxies:
        globals_ = proxy.configuration.globals
        sockets = [s for s in globals_.all("stats") if s.words[:1] == ("socket",)]
        pages = [
            setting
            for other in proxy.configuration.proxies
            for setting in other.values.all("stats")
            if setting.words[:1] in (("enable",), ("uri",))
        ]
        if sockets or pages or not any(True for _ in proxy.all):
            continue
        header = _global_section(proxy)
        first = next(iter(proxy.configuration.tree.lines), None)
        place = header.header if header else first
        if place is not None:
            yield Problem(
                at(place),
                proxy.name,
                "has no stats socket and no stats page",
                "whether a server is UP, checked at all, or how many connections it holds cannot be asked; "
                "no server can be drained",
                _in_global(proxy, _SOCKET),
            )


def _global_section(proxy: ProxySide) -> Section | None:
    return next((s for s in proxy.configuration.tree.sections if s.kind == "global"), None)


NO_STATS = Rule(
    "A9-no-stats",
    Severity.NOTE,
    "The proxy's state can be asked",
    "add a stats socket",
    manual(
        "3.1 stats socket",
        "Connections to this socket will return various statistics outputs and even allow some commands to "
        "be issued to change some runtime settings.",
    ),
    _no_stats,
)


def _refused(subject: Subject) -> Iterator[Problem]:
    for proxy in subject.proxies:
        for line in proxy.configuration.tree.lines:
            if line.parsed.fault:
                yield Problem(
                    at(line),
                    proxy.name,
                    line.parsed.fault,
                    "HAProxy refuses the file and does not start",
                )
            elif line.parsed.unset and line.active:
                yield Problem(
                    at(line),
                    proxy.name,
                    f"${', $'.join(line.parsed.unset)} is not set here",
                    "the line was read with nothing in its place",
                )


REFUSED = Rule(
    "A2-line-unreadable",
    Severity.WARNING,
    "Every line can be read",
    "close the quote, or set the variable that the proxy is started with",
    manual("2.3", "Variables are expanded during the configuration parsing."),
    _refused,
)

RULES = (NOWHERE, NO_SERVER, NO_STATS, REFUSED)
