"""A4: all processes declare the same queues and exchanges, and none answers at another's reply queue."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

from calorimeter.config.audit.model import Finding, Quote, Rule, Severity, guide, rule
from calorimeter.config.audit.patches.changes import at_group, at_option
from calorimeter.config.audit.rules.one_heat import usual
from calorimeter.config.audit.subject import APIS, AuditedFiles
from calorimeter.config.heat.heat_conf import MESSAGING, OLD_BROKER_OPTIONS, HeatProcessConf
from calorimeter.config.heat.oslo import OptionValue
from calorimeter.core.deployment import HeatRole

_RENAMED = {"amqp_durable_queues": "rabbit_durable_queues"}

_DECLARED_TWICE = (
    "RabbitMQ refuses the second declaration of a queue or exchange with other properties "
    "(PRECONDITION_FAILED): the process that comes second gets or sends nothing"
)


@dataclass(frozen=True, slots=True)
class CommonOption:
    """What several processes have to agree on.

    `option` sets it. `of` is the value for a process; None if it does not matter there, because the process
    declares no such queue. The processes with one of `roles` have to agree.
    """

    option: str
    of: Callable[[HeatProcessConf], Hashable]
    roles: tuple[HeatRole, ...] = ("engine",)
    group: str = MESSAGING
    effect: str = _DECLARED_TWICE
    severity: Severity = Severity.ERROR


def _option(conf: HeatProcessConf, key: str) -> OptionValue | None:
    """An option of oslo.messaging, by its name and group of today or by the old ones."""
    names = (key, _RENAMED[key]) if key in _RENAMED else (key,)
    values = (get(name) for get in (conf.messaging, conf.get) for name in names)
    return next((value for value in values if value), None)


def _true(conf: HeatProcessConf, key: str) -> bool:
    value = _option(conf, key)
    return bool(value and value.true)


def _number(conf: HeatProcessConf, key: str, default: int) -> Hashable:
    value = _option(conf, key)
    return default if value is None else value.number if value.number is not None else value.text


def _durable(conf: HeatProcessConf) -> Hashable:
    return _true(conf, "amqp_durable_queues") or _true(conf, "rabbit_quorum_queue")


def _durable_fanout(conf: HeatProcessConf) -> Hashable:
    return _true(conf, "rabbit_transient_quorum_queue") or _true(conf, "rabbit_stream_fanout")


def _stream_age(conf: HeatProcessConf) -> Hashable:
    return (
        _number(conf, "rabbit_transient_queues_ttl", 1800) if _true(conf, "rabbit_stream_fanout") else None
    )


def _quorum_limit(key: str) -> Callable[[HeatProcessConf], Hashable]:
    return lambda conf: _number(conf, key, 0) if _true(conf, "rabbit_quorum_queue") else None


def _exchange(conf: HeatProcessConf) -> Hashable:
    value = conf.get("control_exchange")
    return value.text.strip() if value else "heat"


_ALL: tuple[HeatRole, ...] = ("rest", "cfn", "engine")

COMMON_OPTIONS = (
    CommonOption("rabbit_quorum_queue", lambda conf: _true(conf, "rabbit_quorum_queue")),
    CommonOption("amqp_durable_queues", _durable, _ALL),
    CommonOption("amqp_auto_delete", lambda conf: _true(conf, "amqp_auto_delete"), _ALL),
    CommonOption("rabbit_transient_quorum_queue", _durable_fanout),
    CommonOption("rabbit_transient_queues_ttl", _stream_age),
    *(
        CommonOption(key, _quorum_limit(key))
        for key in (
            "rabbit_quorum_delivery_limit",
            "rabbit_quorum_max_memory_length",
            "rabbit_quorum_max_memory_bytes",
        )
    ),
    CommonOption(
        "control_exchange",
        _exchange,
        _ALL,
        "DEFAULT",
        "the APIs of one exchange do not reach the engines of the other",
    ),
    CommonOption(
        "rabbit_qos_prefetch_count",
        lambda conf: _number(conf, "rabbit_qos_prefetch_count", 0),
        effect="the engines do not get equal shares of the work: one with a smaller limit gets less",
        severity=Severity.WARNING,
    ),
    *(
        CommonOption(
            "rpc_response_timeout",
            lambda conf: conf.rpc_response_timeout_s,
            (api,),
            "DEFAULT",
            "a slow request fails or succeeds depending on the API that gets it",
            Severity.WARNING,
        )
        for api in APIS
    ),
)
"""The APIs declare the exchange of calls; the engines also its queues, and the exchanges of fanout."""

_OWN = frozenset(
    {"hostname", "processname", "ssl_cert_file", "ssl_key_file", "ssl_ca_file", "rabbit_login_method"}
)
"""Options that may differ between machines."""


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
    """All processes declare the same queues and exchanges."""
    judged: set[tuple[int, str]] = set()
    for common in COMMON_OPTIONS:
        readers = subject.engines if common.roles == ("engine",) else subject.having(*common.roles)
        confs = [conf for conf in readers if common.of(conf) is not None]
        for conf, pattern in _differing(confs, common.of):
            # Quorum queues are durable: one finding says both. A process may be both APIs.
            same = "rabbit_quorum_queue" if common.option == "amqp_durable_queues" else common.option
            if (id(conf), same) in judged:
                continue
            judged.add((id(conf), common.option))
            yield rule.finding(
                at_option(conf, _setting(conf, common), common.group),
                conf.host,
                f"{_said(conf, common)}, but {_said(pattern, common)} on {pattern.host}",
                common.effect,
                severity=common.severity,
            )
    yield from _other_options(rule, subject.engines)


def _differing(
    confs: Sequence[HeatProcessConf], value_of: Callable[[HeatProcessConf], Hashable]
) -> Iterator[tuple[HeatProcessConf, HeatProcessConf]]:
    """(a file that differs, a file with the most frequent value)."""
    values = [value_of(conf) for conf in confs]
    pattern = usual(values) if values else 0
    for conf, value in zip(confs, values, strict=True):
        if value != values[pattern]:
            yield conf, confs[pattern]


def _setting(conf: HeatProcessConf, common: CommonOption) -> OptionValue | None:
    return _option(conf, common.option)


def _said(conf: HeatProcessConf, common: CommonOption) -> str:
    """The option and its value in force; durable queues are also those of another option."""
    value = _setting(conf, common)
    if common.of(conf) is True and not (value and value.true):
        others = ("rabbit_quorum_queue", "rabbit_stream_fanout")
        return f"{next(key for key in others if _true(conf, key))} is true"
    return f"{common.option} is {value.text.strip() if value else 'not set'}"


def _other_options(rule: Rule, engines: Sequence[HeatProcessConf]) -> Iterator[Finding]:
    """The options that declare nothing, where the engines' files set different values."""
    declared = {common.option for common in COMMON_OPTIONS}
    keys = dict.fromkeys(
        value.entry.key
        for conf in engines
        for value in (
            *conf.options.starting("rabbit_", "kombu_", group="DEFAULT"),
            *conf.options.starting("", group=MESSAGING),
        )
    )
    for key in keys:
        if key in declared or key in _OWN or key in OLD_BROKER_OPTIONS:
            continue
        setting = [conf for conf in engines if _option(conf, key)]
        for conf, pattern in _differing(setting, lambda conf, key=key: _normal(_option(conf, key))):  # type: ignore[misc]
            value, other = _option(conf, key), _option(pattern, key)
            if value and other:
                yield rule.finding(
                    at_option(conf, value),
                    conf.host,
                    f"{key} is {value.text.strip()}, but {other.text.strip()} on {pattern.host}",
                    "the engines share their queues all the same, but do not behave alike",
                    severity=Severity.NOTE,
                )


def _normal(value: OptionValue | None) -> str:
    text = value.text.strip().lower() if value else ""
    return "true" if value and value.true else "false" if text in ("0", "no", "off") else text


@rule(
    "A4-reply-queue-shared",
    Severity.ERROR,
    remedy="give each machine its own [oslo_messaging_rabbit] hostname, and each process on a machine its "
    "own processname",
    quote=Quote(
        "Hostname used by queue manager. Defaults to the value returned by socket.gethostname().",
        "oslo.messaging, help of hostname",
    ),
)
def reply_queue_shared(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """No two processes share their reply queues."""
    confs = [conf for conf in subject.heat if conf.roles and _true(conf, "use_queue_manager")]
    for index, conf in enumerate(confs):
        other = next((each for each in confs[:index] if _one_queue(conf, each)), None)
        if other is None:
            continue
        elsewhere = conf.host != other.host
        key = "hostname" if elsewhere else "processname"
        value = conf.messaging(key)
        yield rule.finding(
            at_option(conf, value) if value else at_group(conf, MESSAGING),
            conf.host,
            f"{key} is {value.text.strip() if value else 'not set'}, as "
            f"{f'on {other.host}' if elsewhere else f'in {other.file}'}, and use_queue_manager is on",
            "both processes name their reply queues reply_HOSTNAME:PROCESSNAME:NUMBER: each takes answers "
            "meant for the other, and calls wait until rpc_response_timeout",
        )


def _one_queue(one: HeatProcessConf, other: HeatProcessConf) -> bool:
    """Whether two processes give their reply queues one name.

    A name that is not set is that of the machine or of the program, so it is the same for one machine or
    one role.
    """
    hosts = _own(one, "hostname"), _own(other, "hostname")
    processes = _own(one, "processname"), _own(other, "processname")
    same_host = hosts[0] == hosts[1] and (hosts[0] is not None or one.host == other.host)
    if processes == (None, None):
        return same_host and one.host != other.host and not one.roles.isdisjoint(other.roles)
    return same_host and processes[0] == processes[1]


def _own(conf: HeatProcessConf, key: str) -> str | None:
    value = conf.messaging(key)
    # `$host` and its like stand for defaults that differ between machines.
    return value.text.strip() or None if value and not value.unresolved else None
