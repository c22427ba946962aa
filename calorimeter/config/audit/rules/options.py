"""A10: options that today's Heat no longer reads, and lines that nobody reads."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from calorimeter.config.audit.changes import of, option, removed
from calorimeter.config.audit.model import Change, Place, Problem, Quote, Rule, Severity, guide
from calorimeter.config.audit.subject import Subject
from calorimeter.config.heat.heat_conf import HeatConf
from calorimeter.config.heat.oslo import Entry

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
"""Old option of [DEFAULT] → its name in [database] today; None where there is none."""

_TRANSPORT = tuple(
    f"rabbit_{name}" for name in ("host", "port", "hosts", "userid", "password", "virtual_host", "use_ssl")
)

_IGNORED = {
    ("DEFAULT", "rpc_backend"): "the driver is the scheme of transport_url",
    ("DEFAULT", "verbose"): "use debug",
    ("DEFAULT", "use_syslog_rfc_format"): "the format is always RFC 5424",
    ("DEFAULT", "heat_watch_server_url"): "the CloudWatch API is gone",
    ("DEFAULT", "enable_cloud_watch_lite"): "the CloudWatch API is gone",
    ("DEFAULT", "instance_user"): "the image's own user is taken",
    ("keystone_authtoken", "auth_host"): "use auth_url",
    ("keystone_authtoken", "auth_port"): "use auth_url",
    ("keystone_authtoken", "auth_protocol"): "use auth_url",
    ("keystone_authtoken", "identity_uri"): "use auth_url",
    ("keystone_authtoken", "admin_user"): "use username",
    ("keystone_authtoken", "admin_password"): "use password",
    ("keystone_authtoken", "admin_tenant_name"): "use project_name",
    ("keystone_authtoken", "admin_token"): "use username and password",
    ("keystone_authtoken", "signing_dir"): "tokens of kind PKI are gone",
}

_GONE = Quote(
    "Ensure that all of the rabbit_* and kombu_* configuration options in the [DEFAULT] section",
    "OpenStack Heat, Scaling a Deployment; the options are gone from oslo.messaging and oslo.db",
)


def _database(subject: Subject) -> Iterator[Problem]:
    for conf in subject.heat:
        for old, new in _DATABASE.items():
            value = conf.get(old)
            if value is None:
                continue
            superseded = new is None or conf.get(new, "database") is not None
            changes = [removed(value.entry)]
            if new is not None and not superseded:
                changes.append(option(conf, "database", new, value.entry.raw))
            fatal = old == "sql_connection" and not superseded
            yield Problem(
                of(value.entry),
                conf.host,
                f"{old} in [DEFAULT] is no longer read" + (f": [database] {new} is" if new else ""),
                "Heat has no database and does not start" if fatal else "the value counts for nothing",
                tuple(changes),
            )


DATABASE = Rule(
    "A10-database-option-gone",
    Severity.ERROR,
    "The database is named as today's Heat reads it",
    "use [database] connection",
    guide(
        "you have to update the loopback addresses found at the sql_connection and rabbit_host properties"
    ),
    _database,
)


def _broker(subject: Subject) -> Iterator[Problem]:
    for conf in subject.heat:
        groups = ("DEFAULT", "oslo_messaging_rabbit")
        found = [value for group in groups for key in _TRANSPORT if (value := conf.get(key, group))]
        if not found:
            continue
        first = min((value.entry for value in found), key=lambda entry: (entry.file, entry.number))
        names = ", ".join(dict.fromkeys(value.entry.key for value in found))
        superseded = not conf.transport.old
        yield Problem(
            of(first),
            conf.host,
            f"{names}: no longer read, transport_url is",
            "the options count for nothing"
            if superseded
            else "Heat looks for RabbitMQ on its own machine, as guest",
            _to_url(conf, first, [value.entry for value in found], superseded=superseded),
        )


def _to_url(conf: HeatConf, first: Entry, entries: list[Entry], *, superseded: bool) -> tuple[Change, ...]:
    others = tuple(removed(entry) for entry in entries if entry is not first)
    if superseded:
        return (removed(first), *others)
    if first.group != "DEFAULT":
        return (removed(first), *others, option(conf, "DEFAULT", "transport_url", _url(conf)))
    return (Change(first.file, first.number, first.count, (f"transport_url = {_url(conf)}",)), *others)


def _url(conf: HeatConf) -> str:
    transport = conf.transport
    nodes = ",".join(
        f"{quote(node.user, safe='')}:{quote(node.password, safe='')}@"
        + (f"[{node.host}]" if ":" in node.host else node.host)
        + f":{node.port}"
        for node in transport.hosts
    )
    # oslo.config reads a dollar sign as the start of a name; the quoting leaves none.
    tls = "?ssl=1" if transport.tls else ""
    vhost = "" if transport.vhost == "/" else quote(transport.vhost, safe="")
    return f"rabbit://{nodes}/{vhost}{tls}"


BROKER = Rule(
    "A10-broker-option-gone",
    Severity.ERROR,
    "The broker is named as today's Heat reads it",
    "use transport_url",
    _GONE,
    _broker,
)


def _ignored(subject: Subject) -> Iterator[Problem]:
    for conf in subject.heat:
        for (group, key), instead in _IGNORED.items():
            value = conf.get(key, group)
            if value:
                yield Problem(
                    of(value.entry),
                    conf.host,
                    f"{key} in [{group}] is no longer read: {instead}",
                    "the value counts for nothing",
                    (removed(value.entry),),
                )
        for value in conf.options.starting("kombu_", group="DEFAULT"):
            changes = [removed(value.entry)]
            if conf.get(value.entry.key, "oslo_messaging_rabbit") is None:
                changes.append(option(conf, "oslo_messaging_rabbit", value.entry.key, value.entry.raw))
            yield Problem(
                of(value.entry),
                conf.host,
                f"{value.entry.key} in [DEFAULT] is no longer read: [oslo_messaging_rabbit] is",
                "the value counts for nothing",
                tuple(changes),
            )


IGNORED = Rule(
    "A10-option-gone",
    Severity.WARNING,
    "Every option is one that Heat reads",
    "take it out, or use the option that took its place",
    _GONE,
    _ignored,
)


def _unreadable(subject: Subject) -> Iterator[Problem]:
    for conf in subject.heat:
        for fault in conf.options.faults:
            yield Problem(
                Place(fault.file, fault.number),
                conf.host,
                f"the line {fault.why}",
                "oslo.config refuses the file: no process that is given it starts",
            )


UNREADABLE = Rule(
    "A10-line-unreadable",
    Severity.ERROR,
    "Every line can be read",
    "make it `key = value`, a comment, or take it out",
    Quote("No ':' or '=' found in assignment", "oslo.config, message of its reader"),
    _unreadable,
)

RULES = (DATABASE, BROKER, IGNORED, UNREADABLE)
