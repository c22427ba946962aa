"""A4: all engines and APIs are one Heat: same broker, same database, same key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator

from calorimeter.config.audit.changes import group_place, of, option
from calorimeter.config.audit.model import Change, Place, Problem, Quote, Rule, Severity, guide
from calorimeter.config.audit.subject import Subject
from calorimeter.config.heat import heat_conf
from calorimeter.config.heat.heat_conf import HeatConf
from calorimeter.config.heat.oslo import Value

_KEY_HELP = Quote(
    "Key used to encrypt authentication info in the database. Length of this key must be 32 characters.",
    "Heat, help of auth_encryption_key",
)
_READ_AS_TRANSPORT = frozenset(
    f"rabbit_{name}"
    for name in ("host", "port", "hosts", "userid", "password", "virtual_host", "use_ssl", "login_method")
)


def _home(subject: Subject, place: int, host: str) -> str:
    """A host as every machine would name it: loopback is the machine's own address."""
    if not heat_conf.loopback(host):
        return host
    if all(heat_conf.loopback(machine) for machine in subject.machines.values()):
        # On one machine alone every loopback address is one that the others reach too.
        return host.replace("localhost", "127.0.0.1")
    return subject.machines.get(place, "loopback")


def _broker(subject: Subject, place: int, conf: HeatConf) -> Hashable:
    transport = conf.transport
    hosts = frozenset(
        (_home(subject, place, node.host), node.port, node.user, node.password) for node in transport.hosts
    )
    return hosts, transport.vhost, transport.tls


def _database(subject: Subject, place: int, conf: HeatConf) -> Hashable:
    value = conf.database
    parts = heat_conf.split_url(value.text) if value else None
    if value is None or parts is None:
        return value.text.strip() if value else None
    host = _home(subject, place, parts.hostname or "")
    kind = parts.scheme.partition("+")[0]
    return kind, host, parts.port, parts.username, parts.password, parts.path


def _odd(
    subject: Subject, canonical: Callable[[Subject, int, HeatConf], Hashable]
) -> Iterator[tuple[HeatConf, HeatConf]]:
    """(the file that differs, one of the most frequent kind); the first given wins a tie."""
    if len(subject.heat) < 2:
        return
    values = [canonical(subject, place, conf) for place, conf in enumerate(subject.heat)]
    usual, _ = Counter(values).most_common(1)[0]
    pattern = subject.heat[values.index(usual)]
    for conf, value in zip(subject.heat, values, strict=True):
        if value != usual:
            yield conf, pattern


def _place(conf: HeatConf, value: Value | None) -> Place:
    return of(value.entry) if value else group_place(conf)


def _copied(conf: HeatConf, pattern: Value | None) -> tuple[Change, ...]:
    if pattern is None or heat_conf.loopback(heat_conf.host_of(pattern.text)):
        return ()
    return (option(conf, pattern.entry.group, pattern.entry.key, pattern.entry.raw),)


def _other_broker(subject: Subject) -> Iterator[Problem]:
    for conf, pattern in _odd(subject, _broker):
        value = conf.transport.value
        change = () if pattern.transport.old else _copied(conf, pattern.transport.value)
        yield Problem(
            _place(conf, value),
            conf.host,
            f"its broker (hosts, user, password, virtual host or TLS) is not that of {pattern.host}",
            "its engines take work from another queue than the APIs put it in, or from none: it waits "
            "until rpc_response_timeout",
            change,
        )


OTHER_BROKER = Rule(
    "A4-broker-differs",
    Severity.ERROR,
    "All engines and APIs use the same broker",
    "give every machine the same transport_url",
    guide("All engines must be configured to use the same AMQP service."),
    _other_broker,
)


def _other_database(subject: Subject) -> Iterator[Problem]:
    for conf, pattern in _odd(subject, _database):
        yield Problem(
            _place(conf, conf.database),
            conf.host,
            f"its database is not that of {pattern.host}",
            "a stack made by one engine does not exist for the others: a third, a half, … of all requests "
            "answer 404",
            _copied(conf, pattern.database),
        )


OTHER_DATABASE = Rule(
    "A4-database-differs",
    Severity.ERROR,
    "All engines use the same database",
    "give every machine the same [database] connection",
    guide(
        "you have to update the loopback addresses found at the sql_connection and rabbit_host properties "
        "to the devstack server's IP"
    ),
    _other_database,
)


def _key(subject: Subject, place: int, conf: HeatConf) -> Hashable:
    value = conf.get("auth_encryption_key")
    return value.text if value else None


def _other_key(subject: Subject) -> Iterator[Problem]:
    for conf, pattern in _odd(subject, _key):
        yield Problem(
            _place(conf, conf.get("auth_encryption_key")),
            conf.host,
            f"its auth_encryption_key is not that of {pattern.host}",
            "an engine cannot read what another one stored: operations on a stack fail when another engine "
            "than its creator picks them up",
            _copied(conf, pattern.get("auth_encryption_key")),
        )


OTHER_KEY = Rule(
    "A4-encryption-key-differs",
    Severity.ERROR,
    "All engines use the same encryption key",
    "give every machine the same auth_encryption_key",
    _KEY_HELP,
    _other_key,
)


def _default_key(subject: Subject) -> Iterator[Problem]:
    for conf in subject.heat:
        if conf.get("auth_encryption_key") is None:
            yield Problem(
                group_place(conf),
                conf.host,
                "auth_encryption_key is not set",
                "the key that stands in Heat's published source is taken: who reads the database reads the "
                "credentials in it",
            )


DEFAULT_KEY = Rule(
    "A4-encryption-key-default",
    Severity.WARNING,
    "The encryption key is a secret",
    "make one with `openssl rand -hex 16`, the same for every machine",
    _KEY_HELP,
    _default_key,
)


def _messaging(conf: HeatConf) -> dict[str, Value]:
    """The rabbit_*, kombu_* and other messaging options of a file, those of the transport left out."""
    found: dict[str, Value] = {}
    old = conf.options.starting("rabbit_", "kombu_", group="DEFAULT")
    for value in (*old, *conf.options.starting("", group="oslo_messaging_rabbit")):
        if value.entry.key not in _READ_AS_TRANSPORT:
            found[value.entry.key] = value
    for key in ("rpc_response_timeout", "control_exchange", "rpc_backend"):
        if value_ := conf.get(key):
            found[key] = value_
    return found


def _other_option(subject: Subject) -> Iterator[Problem]:
    files = [_messaging(conf) for conf in subject.heat]
    for key in dict.fromkeys(key for file in files for key in file):
        texts = [file[key].text.strip().lower() if key in file else None for file in files]
        usual, count = Counter(texts).most_common(1)[0]
        if count == len(texts):
            continue
        pattern = texts.index(usual)
        for conf, file, text in zip(subject.heat, files, texts, strict=True):
            if text == usual:
                continue
            yield Problem(
                _place(conf, file.get(key)),
                conf.host,
                f"{key} is {text or 'not set'}, and {usual or 'not set'} on {subject.heat[pattern].host}",
                "machines that declare a queue differently, or wait differently long, do not work "
                "together: RabbitMQ refuses the second declaration of a queue with other properties",
                _copied(conf, files[pattern].get(key)),
            )


OTHER_OPTION = Rule(
    "A4-messaging-differs",
    Severity.ERROR,
    "The messaging options are the same on every machine",
    "give the option the same value everywhere",
    guide(
        "Ensure that all of the rabbit_* and kombu_* configuration options in the [DEFAULT] section of "
        "/etc/heat/heat.conf match across each machine that will be running an engine."
    ),
    _other_option,
)

RULES = (OTHER_BROKER, OTHER_DATABASE, OTHER_KEY, DEFAULT_KEY, OTHER_OPTION)
