"""A10: options that today's Heat does not read, and lines that oslo.config rejects."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from calorimeter.config.audit.changes import at, remove_option, set_option
from calorimeter.config.audit.model import Change, Finding, Quote, Rule, Severity, guide, rule
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.heat.heat_conf import OLD_BROKER_OPTIONS, HeatProcessConf
from calorimeter.config.heat.oslo import Assignment
from calorimeter.config.hosts import host_port

_DATABASE = {
    "sql_connection": "connection",
    "sql_idle_timeout": "connection_recycle_time",
    "sql_min_pool_size": None,
    "sql_max_pool_size": "max_pool_size",
    "sql_max_retries": "max_retries",
    "sql_retry_interval": "retry_interval",
    "sql_max_overflow": "max_overflow",
    "sql_connection_debug": "connection_debug",
    "sql_connection_trace": "connection_trace",
    "db_backend": None,
}
"""Old option of [DEFAULT] → its name in [database] today; None if nothing replaces it."""

_IGNORED = {
    ("DEFAULT", "rpc_backend"): "the driver is the scheme of transport_url",
    ("DEFAULT", "verbose"): "use debug",
    ("DEFAULT", "use_syslog_rfc_format"): "the format is always RFC 5424",
    ("DEFAULT", "heat_watch_server_url"): "the CloudWatch API was removed",
    ("DEFAULT", "enable_cloud_watch_lite"): "the CloudWatch API was removed",
    ("DEFAULT", "instance_user"): "Heat uses the user of the image",
    ("keystone_authtoken", "auth_host"): "use auth_url",
    ("keystone_authtoken", "auth_port"): "use auth_url",
    ("keystone_authtoken", "auth_protocol"): "use auth_url",
    ("keystone_authtoken", "identity_uri"): "use auth_url",
    ("keystone_authtoken", "admin_user"): "use username",
    ("keystone_authtoken", "admin_password"): "use password",
    ("keystone_authtoken", "admin_tenant_name"): "use project_name",
    ("keystone_authtoken", "admin_token"): "use username and password",
    ("keystone_authtoken", "signing_dir"): "there are no PKI tokens any longer",
}

"""(Group, option) → what replaces it, or why it is gone."""

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
        for old, new in _DATABASE.items():
            value = conf.get(old)
            if value is None:
                continue
            superseded = new is None or conf.get(new, "database") is not None
            changes = [remove_option(value.entry)]
            if new is not None and not superseded:
                changes.append(set_option(conf, "database", new, value.entry.raw))
            fatal = old == "sql_connection" and not superseded
            yield rule.finding(
                at(value.entry),
                conf.host,
                f"Heat no longer reads {old} in [DEFAULT]"
                + (f"; it reads [database] {new}" if new else ""),
                "Heat has no database and does not start" if fatal else "the value has no effect",
                changes,
            )


@rule("A10-broker-option-gone", Severity.ERROR, remedy="use transport_url", quote=_GONE)
def broker_option_gone(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """The broker is set with the option that today's Heat reads."""
    for conf in subject.heat:
        groups = ("DEFAULT", "oslo_messaging_rabbit")
        values = [conf.get(key, group) for group in groups for key in OLD_BROKER_OPTIONS]
        entries = [value.entry for value in values if value]
        if not entries:
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


def _transport_url(conf: HeatProcessConf) -> str:
    transport = conf.transport
    nodes = ",".join(
        f"{quote(node.user, safe='')}:{quote(node.password, safe='')}@{host_port(node.host, node.port)}"
        for node in transport.hosts
    )
    # oslo.config substitutes names after a dollar sign; quoting leaves no dollar sign.
    tls = "?ssl=1" if transport.tls else ""
    vhost = "" if transport.vhost == "/" else quote(transport.vhost, safe="")
    return f"rabbit://{nodes}/{vhost}{tls}"


@rule(
    "A10-option-gone", Severity.WARNING, remedy="remove it, or use the option that replaces it", quote=_GONE
)
def option_gone(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Heat reads every option that is set."""
    for conf in subject.heat:
        for (group, key), instead in _IGNORED.items():
            if value := conf.get(key, group):
                yield rule.finding(
                    at(value.entry),
                    conf.host,
                    f"Heat no longer reads {key} in [{group}]: {instead}",
                    "the value has no effect",
                    [remove_option(value.entry)],
                )
        for value in conf.options.starting("kombu_", group="DEFAULT"):
            key = value.entry.key
            changes = [remove_option(value.entry)]
            if conf.get(key, "oslo_messaging_rabbit") is None:
                changes.append(set_option(conf, "oslo_messaging_rabbit", key, value.entry.raw))
            yield rule.finding(
                at(value.entry),
                conf.host,
                f"Heat no longer reads {key} in [DEFAULT]; it reads it in [oslo_messaging_rabbit]",
                "the value has no effect",
                changes,
            )


@rule(
    "A10-line-unreadable",
    Severity.ERROR,
    remedy="make it `key = value` or a comment, or remove it",
    quote=Quote("No ':' or '=' found in assignment", "oslo.config, message of its reader"),
)
def line_unreadable(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """oslo.config can read every line."""
    for conf in subject.heat:
        for line in conf.options.unreadable:
            yield rule.finding(
                at(line),
                conf.host,
                f"the line {line.why}",
                "oslo.config rejects the file: no process with this file starts",
            )
