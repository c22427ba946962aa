"""Run with Heat's interpreter and names of options: prints, for all their values, which queues are durable.

Each row is of one combination, in the order of `itertools.product`: topic, reply and fanout queue.
"""

import itertools
import json
import sys

from oslo_messaging._drivers import impl_rabbit

UNUSED = (
    "rabbit_ha_queues",
    "rabbit_transient_queues_ttl",
    "enable_cancel_on_failover",
    "rabbit_quorum_queue_config",
    "amqp_auto_delete",
    "_q_manager",
)
rows = []
for values in itertools.product([False, True], repeat=len(sys.argv[1:])):
    connection = object.__new__(impl_rabbit.Connection)
    durable = []
    impl_rabbit.Consumer = lambda into=durable, **given: into.append(given["durable"])
    options = {**dict.fromkeys(UNUSED), **dict(zip(sys.argv[1:], values, strict=True))}
    for name, value in options.items():
        setattr(connection, name, value)
    connection.declare_consumer = lambda consumer: None
    connection.declare_topic_consumer("heat", "engine")
    connection.declare_direct_consumer("reply_1", None)
    connection.declare_fanout_consumer("engine", None)
    rows.append(durable)
print(json.dumps(rows))
