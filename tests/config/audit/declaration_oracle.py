"""What the oslo.messaging of .venv-heat declares with given options, as a program: JSON in, JSON out.

In: a list of tables of [oslo_messaging_rabbit]. Out: for each, what an API and an engine declare, as a
table of name → properties; null if oslo.messaging refuses the options. Nothing is connected. It runs
outside the suite's environment.
"""

import json
import logging
import sys

from oslo_config import cfg
from oslo_messaging._drivers.impl_rabbit import Connection
from oslo_messaging.opts import list_opts

COPIED = (
    "rabbit_ha_queues",
    "rabbit_quorum_queue",
    "rabbit_transient_quorum_queue",
    "rabbit_stream_fanout",
    "rabbit_transient_queues_ttl",
    "amqp_durable_queues",
    "amqp_auto_delete",
    "enable_cancel_on_failover",
)


def connection(options):
    """A connection that is not connected, with the options."""
    conf = cfg.ConfigOpts()
    conf([], project="heat", default_config_files=[])
    for group, known in list_opts():
        conf.register_opts(known, group=group)
    for key, value in options.items():
        conf.set_override(key, value, group="oslo_messaging_rabbit")
    made = Connection.__new__(Connection)
    for key in COPIED:
        setattr(made, key, getattr(conf.oslo_messaging_rabbit, key))
    made.rabbit_quorum_queue_config = made._get_quorum_configurations(conf.oslo_messaging_rabbit)
    made._q_manager = None
    return made


def of_api(options):
    """The exchange to which an API sends its calls."""
    made, exchanges = connection(options), []
    made._ensure_publishing = lambda _method, exchange, _msg, **_: exchanges.append(exchange)
    made.topic_send("heat", "engine", {})
    return {f"exchange {each.name}": [each.durable, each.auto_delete] for each in exchanges}


def of_engine(options):
    """The queues of an engine that other engines declare, too, and the exchanges."""
    made, consumers = connection(options), []
    made.declare_consumer = consumers.append
    made.declare_topic_consumer("heat", "engine")
    made.declare_fanout_consumer("engine", None)
    found = of_api(options)
    for each in consumers:
        found[f"exchange {each.exchange_name}"] = [each.durable, each.exchange_auto_delete]
        # RabbitMQ 3.10.8 accepts declarations of one queue that differ in x-ha-policy, and in nothing else.
        arguments = sorted(pair for pair in each.queue_arguments.items() if pair[0] != "x-ha-policy")
        found[f"queue {each.queue_name}"] = [each.durable, each.queue_auto_delete, arguments]
    return found


def answer(options):
    """What both declare; None if the options exclude one another."""
    try:
        return {"rest": of_api(options), "engine": of_engine(options)}
    except RuntimeError:
        return None


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    json.dump([answer(options) for options in json.load(sys.stdin)], sys.stdout)
