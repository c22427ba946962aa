"""A4: RabbitMQ accepts the queues that Heat declares."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.model import Finding, Quote, Rule, Severity, rule
from calorimeter.config.audit.patches.changes import at_group, at_option
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.heat.heat_conf import HeatProcessConf
from calorimeter.config.heat.oslo import as_boolean

REFUSES_TRANSIENT = (4, 3)
"""The first version of RabbitMQ that refuses transient queues that are not exclusive, by default."""
_GROUP = "oslo_messaging_rabbit"


@rule(
    "A4-transient-queues",
    Severity.ERROR,
    remedy="set rabbit_quorum_queue and rabbit_transient_quorum_queue to true on all hosts at once, or "
    "permit the deprecated feature transient_nonexcl_queues in rabbitmq.conf",
    quote=Quote(
        "attempts to declare a queue with such property combination will be rejected by default.",
        "RabbitMQ 4.3.0 release notes, non-durable (transient) non-exclusive queues",
    ),
)
def transient_queues(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """RabbitMQ accepts the queues that Heat declares."""
    release = subject.inputs.rabbitmq_release
    if release is None or release < REFUSES_TRANSIENT:
        return
    for conf in subject.heat:
        queues = _transient(conf)
        if queues:
            value = conf.get("rabbit_transient_quorum_queue", _GROUP)
            place = at_option(conf, value, _GROUP) if value else at_group(conf, _GROUP)
            yield rule.finding(
                place,
                conf.host,
                f"declares transient queues ({', '.join(queues)}), which RabbitMQ "
                f"{'.'.join(map(str, release))} refuses",
                "APIs and engines do not get the queues that they need: no request reaches an engine",
            )


def _transient(conf: HeatProcessConf) -> list[str]:
    """The kinds of queues that oslo.messaging declares neither durable nor exclusive with these options."""
    transport = conf.transport
    if not transport.hosts and not transport.fault:
        return []  # another broker

    def on(key: str) -> bool:
        value = conf.get(key, _GROUP)
        if key in transport.query:
            return as_boolean(transport.query[key]) is True
        return value is not None and value.true

    quorum = on("rabbit_transient_quorum_queue")
    found = {
        "engine and other topics": on("rabbit_quorum_queue") or on("amqp_durable_queues"),
        "replies": quorum,
        "fanout": quorum or on("rabbit_stream_fanout"),
    }
    return [kind for kind, durable in found.items() if not durable]
