"""A4: all engines and APIs belong to one Heat: the same broker, the same database, the same key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import NamedTuple

from calorimeter.config.audit.model import Finding, Quote, Rule, Severity, guide, rule
from calorimeter.config.audit.patches.changes import at_group, at_option
from calorimeter.config.audit.places import place
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.heat.oslo import OptionValue
from calorimeter.config.heat.transport_url import BrokerHost, Transport
from calorimeter.config.hosts import same_host, split_url

_KEY_HELP = Quote(
    "Key used to encrypt authentication info in the database. Length of this key must be 32 characters.",
    "Heat, help of auth_encryption_key",
)
_PLAIN_AND_TLS = {(False, 5672), (True, 5671)}
"""The two ports of one broker: without TLS, and with it."""
_DATABASES = {"mariadb": "mysql", "postgres": "postgresql"}
_DATABASE_PORTS = {"mysql": 3306, "postgresql": 5432}


class HeatDifference(NamedTuple):
    """How one file differs from the pattern, and how serious that is."""

    severity: Severity
    says: str


def usual(values: Sequence[Hashable]) -> int:
    """The index of the most frequent value; of equal counts the first value wins."""
    value, _ = Counter(values).most_common(1)[0]
    return values.index(value)


# --- the broker ---------------------------------------------------------------------------------------


def _nodes(subject: AuditedFiles, index: int, transport: Transport) -> list[tuple[str, int | None]]:
    """The nodes of a transport; the port is None if it is the usual one."""
    return [
        (
            place(subject, index, node.host),
            None if (transport.tls, node.port) in _PLAIN_AND_TLS else node.port,
        )
        for node in transport.hosts
    ]


def _hosts_differ(subject: AuditedFiles, one: int, other: int) -> Severity | None:
    """How serious it is that two transports list other nodes; None if they list the same."""
    ours = _nodes(subject, one, subject.heat[one].transport)
    theirs = _nodes(subject, other, subject.heat[other].transport)
    pairs = {
        (a, b): ours[a][1] == theirs[b][1] and same_host(ours[a][0], theirs[b][0], subject.inputs.addresses)
        for a in range(len(ours))
        for b in range(len(theirs))
    }
    matched = {pair for pair, same in pairs.items() if same}
    if {a for a, _ in matched} == {*range(len(ours))} and {b for _, b in matched} == {*range(len(theirs))}:
        return None
    unset = (subject.heat[one].transport.value is None) != (subject.heat[other].transport.value is None)
    if None in pairs.values() and not unset:
        return Severity.NOTE
    return Severity.WARNING if matched else Severity.ERROR


def _logins(transport: Transport) -> dict[str, str]:
    return {node.user: node.password for node in transport.hosts}


def _broker_difference(subject: AuditedFiles, one: int, other: int) -> HeatDifference | None:
    ours, theirs = subject.heat[one].transport, subject.heat[other].transport
    name = subject.heat[other].host
    hosts = _hosts_differ(subject, one, other)
    logins = _logins(ours)
    differing = {
        "hosts": hosts == Severity.ERROR,
        "virtual host": ours.vhost != theirs.vhost,
        "password": any(logins.get(user, word) != word for user, word in _logins(theirs).items()),
        "TLS": ours.tls != theirs.tls and bool(_sockets(ours.hosts) & _sockets(theirs.hosts)),
    }
    if any(differing.values()):
        what = ", ".join(key for key, differs in differing.items() if differs)
        return HeatDifference(Severity.ERROR, f"its broker ({what}) differs from that of {name}")
    if hosts == Severity.WARNING:
        return HeatDifference(hosts, f"its RabbitMQ nodes are not all those of {name}")
    if hosts == Severity.NOTE:
        says = f"its RabbitMQ nodes have other names than those of {name}: they may be the same broker"
        return HeatDifference(hosts, says)
    return None


def _sockets(nodes: tuple[BrokerHost, ...]) -> set[tuple[str, int]]:
    return {(node.host, node.port) for node in nodes}


_BROKER_EFFECTS = {
    Severity.ERROR: "its engines take work from another queue than the one that the APIs use, or from "
    "none: requests wait until rpc_response_timeout",
    Severity.WARNING: "if the nodes that both list fail, this machine is on its own; a node that is in no "
    "cluster with the others would divide Heat",
    Severity.NOTE: "the audit cannot compare names that it cannot resolve here",
}


@rule(
    "A4-broker-differs",
    Severity.ERROR,
    remedy="give every machine the same transport_url",
    quote=guide("All engines must be configured to use the same AMQP service."),
)
def broker_differs(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """All engines and APIs use the same broker."""
    # A URL that Heat cannot read is a finding of its own, and has no hosts to compare.
    indices = [n for n, conf in enumerate(subject.heat) if conf.roles and not conf.transport.fault]
    for index, difference in _compared(subject, indices, _broker_key, _broker_difference):
        conf = subject.heat[index]
        yield rule.finding(
            at_option(conf, conf.transport.value),
            conf.host,
            difference.says,
            _BROKER_EFFECTS[difference.severity],
            severity=difference.severity,
        )


def _broker_key(subject: AuditedFiles, index: int) -> Hashable:
    transport = subject.heat[index].transport
    return frozenset(_nodes(subject, index, transport)), transport.vhost, transport.tls


def _compared(
    subject: AuditedFiles,
    indices: list[int],
    key: Callable[[AuditedFiles, int], Hashable],
    difference_of: Callable[[AuditedFiles, int, int], HeatDifference | None],
) -> Iterator[tuple[int, HeatDifference]]:
    """(index of a file, its difference from the file with the most frequent key)."""
    if len(indices) < 2:
        return
    pattern = indices[usual([key(subject, index) for index in indices])]
    for index in indices:
        difference = difference_of(subject, index, pattern)
        if difference:
            yield index, difference


# --- the database -------------------------------------------------------------------------------------


class _DatabaseUrl(NamedTuple):
    kind: str
    host: str
    port: int | None
    name: str
    user: str | None
    password: str | None


def _database_url(subject: AuditedFiles, index: int, value: OptionValue) -> _DatabaseUrl | None:
    parts = split_url(value.text)
    if parts is None:
        return None
    scheme = parts.scheme.partition("+")[0]
    kind = _DATABASES.get(scheme, scheme)
    host = place(subject, index, parts.hostname or "")
    port = parts.port or _DATABASE_PORTS.get(kind)
    return _DatabaseUrl(kind, host, port, parts.path.rstrip("/"), parts.username, parts.password)


def _database_key(subject: AuditedFiles, index: int) -> Hashable:
    value = subject.heat[index].database
    return value and (_database_url(subject, index, value) or value.text)


def _database_difference(subject: AuditedFiles, one: int, other: int) -> HeatDifference | None:
    values = subject.heat[one].database, subject.heat[other].database
    name = subject.heat[other].host
    differs = HeatDifference(Severity.ERROR, f"its database differs from that of {name}")
    if values[0] is None or values[1] is None:
        return None if values[0] is values[1] else differs
    ours, theirs = (_database_url(subject, one, values[0]), _database_url(subject, other, values[1]))
    if ours is None or theirs is None:
        return None if values[0].text == values[1].text else differs
    same = same_host(ours.host, theirs.host, subject.inputs.addresses)
    if (ours.kind, ours.port, ours.name) != (theirs.kind, theirs.port, theirs.name) or same is False:
        return differs
    if ours.user == theirs.user and ours.password != theirs.password:
        return HeatDifference(Severity.ERROR, f"its password of the database differs from that of {name}")
    if same is None:
        says = f"the host of its database has another name than that of {name}: it may be the same database"
        return HeatDifference(Severity.NOTE, says)
    return None


@rule(
    "A4-database-differs",
    Severity.ERROR,
    remedy="give every engine the same [database] connection",
    quote=guide(
        "you have to update the loopback addresses found at the sql_connection and rabbit_host properties "
        "to the devstack server's IP"
    ),
)
def database_differs(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """All engines use the same database."""
    engines = {id(conf) for conf in subject.engines}
    indices = [index for index, conf in enumerate(subject.heat) if id(conf) in engines]
    for index, difference in _compared(subject, indices, _database_key, _database_difference):
        conf = subject.heat[index]
        certain = difference.severity == Severity.ERROR
        yield rule.finding(
            at_option(conf, conf.database, "database"),
            conf.host,
            difference.says,
            "a stack that one engine creates does not exist for the others: half, two thirds, … of all "
            "requests answer 404"
            if certain
            else "the audit cannot compare names that it cannot resolve here",
            severity=difference.severity,
        )


# --- the key ------------------------------------------------------------------------------------------


@rule(
    "A4-encryption-key-differs",
    Severity.ERROR,
    remedy="give every engine the same auth_encryption_key",
    quote=_KEY_HELP,
)
def encryption_key_differs(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """All engines use the same encryption key."""
    keys = [conf.get("auth_encryption_key") for conf in subject.engines]
    texts = [key.text.strip() if key else None for key in keys]
    pattern = usual(texts) if texts else 0
    for conf, key, text in zip(subject.engines, keys, texts, strict=True):
        if text != texts[pattern]:
            yield rule.finding(
                at_option(conf, key),
                conf.host,
                f"its auth_encryption_key differs from that of {subject.engines[pattern].host}",
                "an engine cannot decrypt what another one stored: an operation fails if another engine "
                "than the stack's creator gets it",
            )


@rule(
    "A4-encryption-key-default",
    Severity.WARNING,
    remedy="create one with `openssl rand -hex 16`, the same for every engine",
    quote=_KEY_HELP,
)
def encryption_key_default(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """The encryption key is a secret."""
    for conf in subject.engines:
        if conf.get("auth_encryption_key") is None:
            yield rule.finding(
                at_group(conf),
                conf.host,
                "auth_encryption_key is not set",
                "Heat uses the key in its published source: anyone who can read the database can "
                "decrypt the credentials in it",
            )
