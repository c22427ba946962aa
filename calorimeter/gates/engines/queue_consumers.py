"""Who consumes from the engines' queues at this moment."""

from __future__ import annotations

from collections.abc import Iterable

from calorimeter.core.errors import InputError
from calorimeter.core.faults.schedule import Commands
from calorimeter.gates.context import Context
from calorimeter.gates.engines.consumers import ENGINE, WORKER, ConsumerRoster, Consuming, Service, unfit
from calorimeter.gates.engines.rotation import Consumer
from calorimeter.gates.evidence import broker_records, heat_services
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.broker_records import EngineConsumer, join_consumers
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

LISTENER = "heat-engine-listener"


def roster(context: Context) -> ConsumerRoster:
    """Look at the queues, their consumers and the service table; nothing is changed."""
    engines = context.engines
    expected = (ENGINE, WORKER, LISTENER)
    with BrokerApi.of(context.deployment) as api:
        there = {queue.name for queue in api.queues()}
        consumers = _consumers(api)
    services, unread = _services(context)
    return ConsumerRoster(
        described=engines.names,
        workers=engines.workers,
        expected_queues=expected,
        queues=tuple(name for name in expected if name in there),
        consumers=consumers,
        services=services,
        services_unread=unread,
    )


def see_fit(api: BrokerApi, faults: Iterable[Commands]) -> None:
    """See that the engines are those described as far as a fault of some can be judged, before it.

    Raises `EvidenceUnavailable`, which names the gate that finds the cause.
    """
    if why := unfit(_consumers(api), [each.part for each in faults]):
        raise EvidenceUnavailable(api.where, why)


def _consumers(api: BrokerApi) -> dict[str, tuple[Consuming, ...]]:
    return {topic: tuple(_consuming(c) for c in api.engine_consumers(topic)) for topic in (ENGINE, WORKER)}


def _services(context: Context) -> tuple[tuple[Service, ...] | None, str | None]:
    try:
        found = heat_services.read(context.deployment)
    except (EvidenceUnavailable, InputError) as problem:
        return None, str(problem)
    return tuple(Service(engine_id=s.engine_id, host=s.host, up=s.status == "up") for s in found), None


def _consuming(found: EngineConsumer) -> Consuming:
    return Consuming(
        id=consumer_id(found),
        name=str(found),
        role=found.process.role if found.process else None,
        server=found.server,
        prefetch=found.prefetch,
        listed=found.peer_host is not None,
    )


def consumer_id(found: EngineConsumer) -> str:
    """A consumer by its channel, as traced deliveries name it."""
    return f"{found.connection}#{found.channel}"


def host(name: str) -> str:
    """The host in a consumer's name as `named` makes it; of a stranger, all of its name."""
    return name.split(" [", maxsplit=1)[0]


def named(
    topic: str,
    consumers: tuple[broker_records.Consumer, ...],
    connections: tuple[broker_records.Connection, ...],
) -> tuple[Consumer, ...]:
    """The consumers of a topic by a name that people know: `engine-1 [pid]`, a host where it tells one.

    On `engine_worker` an engine calls itself by an id; its host is that of the same process on `engine`.
    """
    engines = join_consumers(ENGINE, consumers, connections)
    servers = {c.connection: c.server for c in engines}
    processes = broker_records.hosts(engines)
    made = []
    for found in join_consumers(topic, consumers, connections):
        server = servers.get(found.connection) or processes.get(found.process) if found.process else None
        who = f"{server} [{found.process.pid}]" if server and found.process else str(found)
        made.append(Consumer(id=consumer_id(found), name=who))
    return tuple(made)
