"""A10: the database and the broker set with the options of the guide's time."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from calorimeter.config.audit.judged_options import OLD_DATABASE_OPTIONS, judged, reads
from calorimeter.config.audit.model import Change, Finding, Quote, Rule, Severity, guide, rule
from calorimeter.config.audit.patches.changes import at, remove_option, set_option
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.heat.heat_conf import OLD_BROKER_OPTIONS, HeatProcessConf
from calorimeter.config.heat.oslo import Assignment
from calorimeter.config.hosts import host_port

_GONE = Quote(
    "Ensure that all of the rabbit_* and kombu_* configuration options in the [DEFAULT] section",
    "OpenStack Heat, Scaling a Deployment; the options are gone from oslo.messaging and oslo.db",
)


@rule(
    "A10-database-option-gone",
    Severity.ERROR,
    remedy="use [database] connection",
    quote=guide(
        "you have to update the loopback addresses found at the sql_connection and rabbit_host properties"
    ),
)
def database_option_gone(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """The database is set with the options that today's Heat reads."""
    for conf in subject.heat:
        for old, new in OLD_DATABASE_OPTIONS.items():
            value = conf.get(old)
            if value is None or not judged(subject) or reads(subject, old):
                continue
            superseded = new is None or conf.get(new, "database") is not None
            changes = [remove_option(value.entry)]
            if new is not None and not superseded:
                changes.append(set_option(conf, "database", new, value.entry.raw))
            fatal = old == "sql_connection" and not superseded
            severity = Severity.NOTE if superseded else Severity.ERROR if fatal else Severity.WARNING
            yield rule.finding(
                at(value.entry),
                conf.host,
                f"Heat no longer reads {old} in [DEFAULT]"
                + (f"; it reads [database] {new}" if new else ""),
                "Heat has no database and does not start" if fatal else "the value has no effect",
                changes,
                severity=severity,
            )


@rule("A10-broker-option-gone", Severity.ERROR, remedy="use transport_url", quote=_GONE)
def broker_option_gone(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """The broker is set with the option that today's Heat reads."""
    for conf in subject.heat:
        groups = ("DEFAULT", "oslo_messaging_rabbit")
        values = [
            conf.get(key, group)
            for group in groups
            for key in OLD_BROKER_OPTIONS
            if not reads(subject, key, group)
        ]
        entries = [value.entry for value in values if value]
        if not entries or not judged(subject):
            continue
        first = min(entries, key=lambda entry: (entry.file, entry.number))
        names = ", ".join(dict.fromkeys(entry.key for entry in entries))
        effect = "Heat connects to RabbitMQ on its own machine, as guest"
        yield rule.finding(
            at(first),
            conf.host,
            f"Heat no longer reads {names}; it reads transport_url",
            effect if conf.transport.old else "the options have no effect",
            _as_transport_url(conf, first, entries),
            severity=None if conf.transport.old else Severity.NOTE,
        )


def _as_transport_url(conf: HeatProcessConf, first: Assignment, entries: list[Assignment]) -> list[Change]:
    """Put one `transport_url` in the place of the old options; only remove them if there is one already."""
    removed = [remove_option(entry) for entry in entries if entry is not first]
    if not conf.transport.old:
        return [remove_option(first), *removed]
    if first.group != "DEFAULT":
        url = set_option(conf, "DEFAULT", "transport_url", _transport_url(conf))
        return [remove_option(first), *removed, url]
    line = f"transport_url = {_transport_url(conf)}"
    return [Change(first.file, first.number, first.count, (line,)), *removed]


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="surrogateescape")  # bytes that are not UTF-8 stay what they are


def _transport_url(conf: HeatProcessConf) -> str:
    transport = conf.transport
    nodes = ",".join(
        f"{_quoted(node.user)}:{_quoted(node.password)}@{host_port(node.host, node.port)}"
        for node in transport.hosts
    )
    # oslo.config substitutes names after a dollar sign; quoting leaves no dollar sign.
    tls = "?ssl=1" if transport.tls else ""
    vhost = "" if transport.vhost == "/" else _quoted(transport.vhost)
    return f"rabbit://{nodes}/{vhost}{tls}"
