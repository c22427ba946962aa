"""One burst of stacks under the broker's trace: created, polled, read back, deleted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pika.exceptions

from calorimeter.core.deployment import Deployment
from calorimeter.gates.clients.heat_client import HeatClient
from calorimeter.gates.clients.stack_records import with_engines
from calorimeter.gates.clients.stacks import POLL_S, TIMEOUT_MIN, temporary_stacks
from calorimeter.gates.context import Context, shared
from calorimeter.gates.engines.backlog import QueueDepth, StackBurst
from calorimeter.gates.engines.consumers import ENGINE, WORKER
from calorimeter.gates.engines.equal_shares import QueueShares
from calorimeter.gates.engines.traced_calls import trace_broker
from calorimeter.gates.evidence.firehose import connect, depth
from calorimeter.gates.repeated_work import RepeatedWork

RESOURCES = 12
DEPTH_EVERY_S = 0.1


@shared
def stack_burst(context: Context) -> StackBurst:
    """Create and delete the context's number of stacks; one experiment for E3, E10, L1 and L2."""
    client = HeatClient(context)
    waited_s = TIMEOUT_MIN * 60.0
    with trace_broker(context) as trace, temporary_stacks(client, RESOURCES, trace.check) as created:
        start = trace.quiet_point(WORKER)
        number = context.strength("stacks")
        with poll_queue_depths(context.deployment) as depths:
            context.say(f"{number} stacks of {RESOURCES} resources are created")
            with RepeatedWork("states", POLL_S, created.poll):
                created.burst(number)
            context.say("waiting until the stacks are final")
            created.await_final(waited_s)
        context.say("the stacks are read and deleted")
        created.read_back()
        left = created.delete_all()
        shares = trace.shares(start)
        calls = trace.deliveries(ENGINE, start.event)
        engines = {e.request_id: trace.engine_of(e) for e in calls if e.request_id}
        waiting = sum(depth(context.deployment, queue)[0] for queue in (ENGINE, WORKER))
        found = StackBurst(
            entries=with_engines(created.records, engines),
            resources=RESOURCES,
            waited_s=waited_s,
            depths=tuple(depths),
            left=left,
            waiting=waiting,
        )
    # Only after the recording has ended is it certain that it is complete.
    worker = shares.model_copy(update={"incomplete": trace.firehose.why_incomplete})
    return found.model_copy(update={"worker": worker})


def worker_shares(context: Context) -> QueueShares:
    """Each worker's share of the work on those stacks."""
    found = stack_burst(context).worker
    assert found is not None
    return found


@contextmanager
def poll_queue_depths(deployment: Deployment) -> Iterator[list[QueueDepth]]:
    """Record how many messages wait in both queues, by passive declares, while the context is open."""
    depths: list[QueueDepth] = []
    connection = connect(deployment)
    channel = connection.channel()

    def poll() -> None:
        engine, worker = (
            int(channel.queue_declare(queue, passive=True).method.message_count)
            for queue in (ENGINE, WORKER)
        )
        depths.append(QueueDepth(at_ns=time.time_ns(), engine=engine, engine_worker=worker))

    try:
        # If polling ends early, the peak is that of the polls that were made.
        with RepeatedWork("depths", DEPTH_EVERY_S, poll):
            yield depths
    finally:
        with suppress(pika.exceptions.AMQPError):
            connection.close()
