"""Who consumes from the engines' queues, and whether Heat's own service table agrees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Judgement, failed, inconclusive, passed


class Consuming(Model):
    """One consumer of a queue.

    `server` is what the process calls itself on this topic: its host on `engine`, its engine id on
    `engine_worker`; None for one that has no queue of its own, as every engine has. `role` is the
    program that it says it is. `listed` is whether the broker listed its connection: where it did not, in
    time or any more, nobody knows who it is.
    """

    id: str
    name: str
    role: str | None
    server: str | None
    prefetch: int = 0
    listed: bool = True


class Service(Model):
    """One entry of Heat's service table (`openstack orchestration service list`)."""

    engine_id: str
    host: str
    up: bool


class ConsumerRoster(Model):
    """Evidence of E1: the queues, their consumers, and Heat's service table.

    `queues` are the names that exist among those expected. `services` is None where the table cannot be
    read, `services_unread` then says why.
    """

    described: tuple[str, ...]
    workers: int
    expected_queues: tuple[str, ...]
    queues: tuple[str, ...]
    consumers: dict[str, tuple[Consuming, ...]]
    services: tuple[Service, ...] | None = None
    services_unread: str | None = None


ENGINE, WORKER = "engine", "engine_worker"


def as_described(evidence: ConsumerRoster) -> Judgement:
    """Whether every described engine consumes with every worker, and nobody else does.

    Each worker process has one consumer on `engine` (named by its host) and one on `engine_worker`
    (named by its engine id), and an entry in the service table that is up. Entries of engines that are
    gone stay `up` for twice their report interval: those are counted, not held against anybody. Of a
    consumer whose connection the broker does not list nothing is said, nor who would be there without it.
    """
    wanted = len(evidence.described) * evidence.workers
    figures = {
        "described": wanted,
        **{f"consumers_{queue}": len(found) for queue, found in evidence.consumers.items()},
        "services_up": sum(s.up for s in evidence.services) if evidence.services is not None else None,
    }
    wrong = list(_wrong(evidence))
    if wrong:
        return failed(
            f"{len(evidence.described)} engines with {evidence.workers} workers are described, the broker "
            f"shows otherwise: {wrong[0]}",
            wrong,
            **figures,
        )
    if unlisted := _unlisted(evidence):
        why = "who consumes cannot be told, the broker does not list the connection: "
        return inconclusive(why + ", ".join(unlisted), **figures)
    if evidence.services is None:
        return inconclusive(f"the service table cannot be read: {evidence.services_unread}", **figures)
    ids = {consumer.server for consumer in evidence.consumers.get(WORKER, ())}
    stale = sum(s.up and s.engine_id not in ids for s in evidence.services)
    return passed(
        f"{wanted} consumers on {ENGINE} and on {WORKER}, {evidence.workers} of each of "
        f"{', '.join(evidence.described)}, no stranger; the service table agrees",
        services_not_yet_down=stale,
        **figures,
    )


def unfit(consumers: Mapping[str, tuple[Consuming, ...]], parts: Collection[str]) -> str | None:
    """Why a fault of these engines would show nothing that can be laid to it; None where it would.

    One that consumes nothing cannot be missed. What a stranger takes and passes on, or keeps, is some
    engine's or nobody's: the trace does not tell whose calls and stacks a fault then costs. It is E1 that
    finds either, so nothing is broken for it.
    """
    if stranger := next(_strangers(consumers), None):
        return f"{stranger}; whose its calls are nobody can tell, so nothing was broken: see gate E1"
    there = {c.server for c in consumers.get(ENGINE, ())}
    if absent := [part for part in parts if part not in there]:
        return (
            f"{', '.join(absent)} does not consume from {ENGINE}, so nothing was broken, for it would show "
            "nothing: see gate E1"
        )
    return None


def _strangers(consumers: Mapping[str, tuple[Consuming, ...]]) -> Iterator[str]:
    for queue, found in consumers.items():
        for consumer in found:
            if consumer.listed and (consumer.role != "heat-engine" or consumer.server is None):
                yield f"a stranger consumes from {queue}: {consumer.name}"


def _unlisted(evidence: ConsumerRoster) -> list[str]:
    return [
        f"{consumer.name} on {queue}"
        for queue, found in evidence.consumers.items()
        for consumer in found
        if not consumer.listed
    ]


def _wrong(evidence: ConsumerRoster) -> Iterator[str]:
    """Everything that is not as described, the gravest first."""
    for queue in evidence.expected_queues:
        if queue not in evidence.queues:
            yield f"there is no queue {queue}"
    yield from _strangers(evidence.consumers)
    if not _unlisted(evidence):
        yield from _hosts(evidence)
    yield from _prefetches(evidence)
    yield from _services(evidence)


def _hosts(evidence: ConsumerRoster) -> Iterator[str]:
    engines = [c for c in evidence.consumers.get(ENGINE, ()) if c.role == "heat-engine" and c.server]
    have = Counter(c.server for c in engines)
    up = Counter(s.host for s in evidence.services or () if s.up)
    for host in evidence.described:
        if have[host] != evidence.workers:
            said = f"; the service table has {up[host]} of it as up" if evidence.services else ""
            yield f"{host} has {have[host]} consumers on {ENGINE}, {evidence.workers} described{said}"
    for host in sorted(str(h) for h in set(have) - set(evidence.described)):
        yield f"{host} consumes from {ENGINE} and is not described"
    wanted = len(evidence.described) * evidence.workers
    workers = sum(c.role == "heat-engine" for c in evidence.consumers.get(WORKER, ()))
    if workers != len(engines) or (workers != wanted and len(engines) == wanted):
        yield f"{workers} engines consume from {WORKER}, {len(engines)} from {ENGINE}"


def _prefetches(evidence: ConsumerRoster) -> Iterator[str]:
    """A consumer with a limit of its own is passed over while it has not acknowledged: its turn is lost."""
    for queue, found in evidence.consumers.items():
        engines = [c for c in found if c.role == "heat-engine"]
        usual = Counter(c.prefetch for c in engines).most_common(1)
        for consumer in engines:
            if consumer.prefetch != usual[0][0]:
                yield (
                    f"{consumer.name} consumes from {queue} with a prefetch of {consumer.prefetch}, others "
                    f"with {usual[0][0]}: rabbit_qos_prefetch_count must be equal on all engines"
                )


def _services(evidence: ConsumerRoster) -> Iterator[str]:
    if evidence.services is None:
        return
    up = {s.engine_id for s in evidence.services if s.up}
    for consumer in evidence.consumers.get(WORKER, ()):
        if consumer.role == "heat-engine" and consumer.server and consumer.server not in up:
            yield f"{consumer.name} consumes from {WORKER}, and the service table does not have it as up"
