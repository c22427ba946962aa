"""The consumers of the engines' queues, as the broker and Heat's service table list them now."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

from calorimeter.core import engine_groups, waiting
from calorimeter.core.errors import InputError
from calorimeter.core.verdict import Outcome
from calorimeter.gates.context import Context
from calorimeter.gates.engines.consumers import (
    ENGINE,
    WORKER,
    ConsumerRoster,
    RosterConsumer,
    ServiceEntry,
    as_described,
)
from calorimeter.gates.engines.queue_window import QueueConsumer
from calorimeter.gates.evidence import broker_records, firehose, heat_services
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.broker_records import EngineConsumer, join_consumers
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

LISTENER = "heat-engine-listener"


SETTLED_S = 6.0
"""How long a deployment that is not as described is read again: an engine that starts consumes before the
broker lists its connection and its own queue, up to RabbitMQ's statistics interval of 5 s later."""


def read_roster(context: Context) -> ConsumerRoster:
    """Read the queues, their consumers and the service table; changes nothing.

    They are read again for a while if they are not as described.
    """
    found = _read_once(context)

    def as_wanted() -> bool:
        nonlocal found
        found = _read_once(context)
        return as_described(found).outcome is Outcome.PASS

    if as_described(found).outcome is not Outcome.PASS:
        waiting.poll(as_wanted, SETTLED_S, every_s=0.5)
    return found


def _read_once(context: Context) -> ConsumerRoster:
    expected = (ENGINE, WORKER, LISTENER)
    try:
        with BrokerApi.of(context.deployment) as api:
            there = {queue.name for queue in api.queues()}
            consumers = read_consumers(api)
    except EvidenceUnavailable as problem:
        return _counted(context, expected, problem)
    services, unread = _services(context)
    return ConsumerRoster(
        described=engine_groups.consumers(context.engines),
        expected_queues=expected,
        queues=tuple(name for name in expected if name in there),
        consumers=consumers,
        services=services,
        services_unread=unread,
    )


def _counted(context: Context, expected: tuple[str, ...], problem: EvidenceUnavailable) -> ConsumerRoster:
    """What AMQP alone tells of the queues: how many consumers they have. Raises EvidenceUnavailable."""
    firehose.connect(context.deployment).close()
    counts = {}
    for queue in expected:
        with suppress(EvidenceUnavailable):  # there is no such queue
            counts[queue] = firehose.depth(context.deployment, queue)[1]
    return ConsumerRoster(
        described=engine_groups.consumers(context.engines),
        expected_queues=expected,
        queues=tuple(counts),
        consumers={},
        unlisted=f"{problem.where} {problem.why}",
        counts={queue: count for queue, count in counts.items() if queue in (ENGINE, WORKER)},
    )


def read_consumers(api: BrokerApi) -> dict[str, tuple[RosterConsumer, ...]]:
    """Topic → its consumers, as evidence of E1."""
    return {topic: tuple(consuming(c) for c in api.engine_consumers(topic)) for topic in (ENGINE, WORKER)}


def _services(context: Context) -> tuple[tuple[ServiceEntry, ...] | None, str | None]:
    try:
        found = heat_services.read(context.deployment)
    except (EvidenceUnavailable, InputError) as problem:
        return None, str(problem)
    return tuple(ServiceEntry(engine_id=s.engine_id, host=s.host, up=s.status == "up") for s in found), None


def consuming(found: EngineConsumer) -> RosterConsumer:
    """A consumer as evidence of E1."""
    return RosterConsumer(
        id=consumer_id(found),
        name=str(found),
        role=found.process.role if found.process else None,
        server=found.server,
        prefetch=found.prefetch,
        listed=found.peer_host is not None,
    )


def consumer_id(found: EngineConsumer) -> str:
    """A consumer's id (`connection#channel`), as traced deliveries name it."""
    return f"{found.connection}#{found.channel}"


def name_consumers(
    topic: str,
    consumers: tuple[broker_records.BrokerConsumer, ...],
    connections: tuple[broker_records.BrokerConnection, ...],
) -> tuple[QueueConsumer, ...]:
    """The consumers of a topic, named `engine-1 [pid]` if their host is known.

    On `engine_worker` an engine is named by an id; its host is that of the same process on `engine`.
    Processes of one host with the same id (containers that share a host name) are told apart by the address
    from which they reach the broker: `engine-1 [pid at 10.0.0.2]`.
    """
    engines = join_consumers(ENGINE, consumers, connections)
    servers = {c.connection: c.server for c in engines}
    processes = broker_records.hosts(engines)
    alike = Counter((server, process.pid) for process, server in processes.items())
    result = []
    for found in join_consumers(topic, consumers, connections):
        process, name = found.process, str(found)
        server = servers.get(found.connection) or processes.get(process) if process else None
        if process and server:
            at = f" at {process.host}" if alike[server, process.pid] > 1 else ""
            name = f"{server} [{process.pid}{at}]"
        result.append(QueueConsumer(id=consumer_id(found), name=name))
    return tuple(result)
