"""A4: all engines and APIs belong to one Heat: the same broker, the same database, the same key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator

from calorimeter.config.audit.changes import at_group, at_option, set_option
from calorimeter.config.audit.model import Change, Finding, Quote, Rule, Severity, guide, rule
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.heat.heat_conf import OLD_BROKER_OPTIONS, HeatProcessConf
from calorimeter.config.heat.oslo import OptionValue
from calorimeter.config.hosts import host_of_url, is_loopback, split_url

_KEY_HELP = Quote(
    "Key used to encrypt authentication info in the database. Length of this key must be 32 characters.",
    "Heat, help of auth_encryption_key",
)


def _common_host(subject: AuditedFiles, index: int, host: str) -> str:
    """The host as all machines write it: loopback is the address of the machine of file `index`."""
    if not is_loopback(host):
        return host
    if all(is_loopback(machine) for machine in subject.machines.values()):
        # Everything is on one machine, and each loopback address reaches the same one.
        return host.replace("localhost", "127.0.0.1")
    return subject.machines.get(index, "loopback")


def _broker(subject: AuditedFiles, index: int, conf: HeatProcessConf) -> Hashable:
    transport = conf.transport
    nodes = frozenset(
        (_common_host(subject, index, node.host), node.port, node.user, node.password)
        for node in transport.hosts
    )
    return nodes, transport.vhost, transport.tls


def _database(subject: AuditedFiles, index: int, conf: HeatProcessConf) -> Hashable:
    value = conf.database
    parts = split_url(value.text) if value else None
    if value is None or parts is None:
        return value.text.strip() if value else None
    host = _common_host(subject, index, parts.hostname or "")
    kind = parts.scheme.partition("+")[0]
    return kind, host, parts.port, parts.username, parts.password, parts.path


def _key(subject: AuditedFiles, index: int, conf: HeatProcessConf) -> Hashable:
    value = conf.get("auth_encryption_key")
    return value.text if value else None


def _differing(
    subject: AuditedFiles, property_of: Callable[[AuditedFiles, int, HeatProcessConf], Hashable]
) -> Iterator[tuple[HeatProcessConf, HeatProcessConf]]:
    """(a file that differs, a file with the most frequent value); of equal counts the first value wins."""
    if len(subject.heat) < 2:
        return
    values = [property_of(subject, index, conf) for index, conf in enumerate(subject.heat)]
    usual, _ = Counter(values).most_common(1)[0]
    pattern = subject.heat[values.index(usual)]
    for conf, value in zip(subject.heat, values, strict=True):
        if value != usual:
            yield conf, pattern


def _copied(conf: HeatProcessConf, pattern: OptionValue | None) -> list[Change]:
    if pattern is None or is_loopback(host_of_url(pattern.text)):
        return []
    return [set_option(conf, pattern.entry.group, pattern.entry.key, pattern.entry.raw)]


@rule(
    "A4-broker-differs",
    Severity.ERROR,
    remedy="give every machine the same transport_url",
    quote=guide("All engines must be configured to use the same AMQP service."),
)
def broker_differs(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """All engines and APIs use the same broker."""
    for conf, pattern in _differing(subject, _broker):
        yield rule.finding(
            at_option(conf, conf.transport.value),
            conf.host,
            f"its broker (hosts, user, password, virtual host or TLS) differs from that of {pattern.host}",
            "its engines take work from another queue than the one that the APIs use, or from none: "
            "requests wait until rpc_response_timeout",
            () if pattern.transport.old else _copied(conf, pattern.transport.value),
        )


@rule(
    "A4-database-differs",
    Severity.ERROR,
    remedy="give every machine the same [database] connection",
    quote=guide(
        "you have to update the loopback addresses found at the sql_connection and rabbit_host properties "
        "to the devstack server's IP"
    ),
)
def database_differs(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """All engines use the same database."""
    for conf, pattern in _differing(subject, _database):
        yield rule.finding(
            at_option(conf, conf.database),
            conf.host,
            f"its database differs from that of {pattern.host}",
            "a stack that one engine creates does not exist for the others: a half, a third, … of all "
            "requests answer 404",
            _copied(conf, pattern.database),
        )


@rule(
    "A4-encryption-key-differs",
    Severity.ERROR,
    remedy="give every machine the same auth_encryption_key",
    quote=_KEY_HELP,
)
def encryption_key_differs(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """All engines use the same encryption key."""
    for conf, pattern in _differing(subject, _key):
        yield rule.finding(
            at_option(conf, conf.get("auth_encryption_key")),
            conf.host,
            f"its auth_encryption_key differs from that of {pattern.host}",
            "an engine cannot decrypt what another one stored: an operation fails if another engine than "
            "the stack's creator gets it",
            _copied(conf, pattern.get("auth_encryption_key")),
        )


@rule(
    "A4-encryption-key-default",
    Severity.WARNING,
    remedy="create one with `openssl rand -hex 16`, the same for every machine",
    quote=_KEY_HELP,
)
def encryption_key_default(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """The encryption key is a secret."""
    for conf in subject.heat:
        if conf.get("auth_encryption_key") is None:
            yield rule.finding(
                at_group(conf),
                conf.host,
                "auth_encryption_key is not set",
                "Heat uses the key in its published source: anyone who can read the database can "
                "decrypt the credentials in it",
            )


def _messaging_options(conf: HeatProcessConf) -> dict[str, OptionValue]:
    """The rabbit_*, kombu_* and other messaging options of a file, except those that set the broker."""
    found: dict[str, OptionValue] = {}
    old = conf.options.starting("rabbit_", "kombu_", group="DEFAULT")
    for value in (*old, *conf.options.starting("", group="oslo_messaging_rabbit")):
        if value.entry.key not in (*OLD_BROKER_OPTIONS, "rabbit_login_method"):
            found[value.entry.key] = value
    for key in ("rpc_response_timeout", "control_exchange", "rpc_backend"):
        if option := conf.get(key):
            found[key] = option
    return found


@rule(
    "A4-messaging-differs",
    Severity.ERROR,
    remedy="give the option the same value everywhere",
    quote=guide(
        "Ensure that all of the rabbit_* and kombu_* configuration options in the [DEFAULT] section of "
        "/etc/heat/heat.conf match across each machine that will be running an engine."
    ),
)
def messaging_differs(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """The messaging options are the same on every machine."""
    files = [_messaging_options(conf) for conf in subject.heat]
    for key in dict.fromkeys(key for file in files for key in file):
        texts = [file[key].text.strip().lower() if key in file else None for file in files]
        usual, _ = Counter(texts).most_common(1)[0]
        pattern = texts.index(usual)
        for conf, file, text in zip(subject.heat, files, texts, strict=True):
            if text != usual:
                yield rule.finding(
                    at_option(conf, file.get(key)),
                    conf.host,
                    f"{key} is {text or 'not set'}, but {usual or 'not set'} on "
                    f"{subject.heat[pattern].host}",
                    "machines that declare a queue differently, or wait for different times, do not work "
                    "together: RabbitMQ rejects the second declaration of a queue with other properties",
                    _copied(conf, files[pattern].get(key)),
                )
