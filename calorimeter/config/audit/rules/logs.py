"""A9: the log and the state of the proxy can be read."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.model import Finding, Rule, Severity, manual, rule
from calorimeter.config.audit.patches.changes import at, insert_into
from calorimeter.config.audit.subject import AuditedFiles, HeatProxy


@rule(
    "A9-log-nowhere",
    Severity.WARNING,
    remedy="add a log target to global (log ADDRESS FACILITY)",
    quote=manual(
        "4.2 log",
        "global should be used when the instance's logging parameters are the same as the global ones.",
    ),
)
def log_nowhere(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """The proxy's log has a target."""
    for proxy in subject.proxies:
        has_target = bool(proxy.configuration.globals.all("log"))
        for _, service in proxy.api_services:
            front = service.front
            logs = front.values.all("log")
            if not logs:
                yield rule.finding(
                    at(front.line),
                    front.name,
                    "has no log",
                    "no log line shows which API served a client, or why a request failed",
                    # Where no target is, only the owner knows who reads the log.
                    [insert_into(front.section, "log global")] if has_target else [],
                )
            elif not has_target and all(setting.words[:1] == ("global",) for setting in logs):
                yield rule.finding(
                    at(logs[0].line),
                    front.name,
                    "has log global, but global has no log",
                    "nothing is logged: no log line shows which API served a client, or why a request "
                    "failed",
                )


@rule(
    "A9-log-without-server",
    Severity.WARNING,
    remedy="add option tcplog (mode tcp) or option httplog (mode http)",
    quote=manual(
        "4.2 option tcplog",
        "By default, the log output format is very poor, as it only contains the source and destination "
        "addresses, and the instance name.",
    ),
)
def log_without_server(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Log lines name the server and how the connection ended."""
    for service in subject.services:
        front = service.front
        logs = front.values.all("log")
        if not logs or front.option("tcplog", "httplog", "httpslog") or front.values.get("log-format"):
            continue
        name = "httplog" if front.word("mode") == "http" else "tcplog"
        yield rule.finding(
            at(logs[0].line),
            front.name,
            f"neither option tcplog nor option httplog is set; its mode needs option {name}",
            "the log line is written when a connection is accepted and does not name the server: which API "
            "served a client, how long it took and how it ended cannot be determined",
            [insert_into(front.section, f"option {name}")],
        )


@rule(
    "A9-no-stats",
    Severity.NOTE,
    remedy="add a stats socket",
    quote=manual(
        "3.1 stats socket",
        "Connections to this socket will return various statistics outputs and even allow some commands to "
        "be issued to change some runtime settings.",
    ),
)
def no_stats(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """The proxy's state can be read."""
    for proxy in subject.proxies:
        names = [service.name for _, service in proxy.api_services]
        pages = [page for _, page in proxy.configuration.stats_pages]
        if not names or _has_socket(proxy) or any(page.shows(name) for page in pages for name in names):
            continue
        section = proxy.configuration.global_section
        line = section.header if section else next(iter(proxy.configuration.tree.lines), None)
        if line is not None:
            shown = ", ".join(dict.fromkeys(name for page in pages for name in page.scope))
            yield rule.finding(
                at(line),
                proxy.name,
                f"has no stats socket, and its stats page shows only {shown}"
                if shown
                else "has no stats socket and no stats page",
                "whether a server is UP, whether it is checked and how many connections it holds cannot be "
                "read; no server can be drained",
            )


def _has_socket(proxy: HeatProxy) -> bool:
    return any(setting.words[:1] == ("socket",) for setting in proxy.configuration.globals.all("stats"))
