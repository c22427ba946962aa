"""Whether the engines' queues have the described consumers, and Heat's service table agrees (E1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from itertools import chain

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Judgement, failed, inconclusive, passed
from calorimeter.gates.engines.struck_engines import listed, process_sizes


class RosterConsumer(Model):
    """One consumer of a queue.

    `server` is the name of the process on this topic: its host on `engine`, its engine id on
    `engine_worker`; None for a process without a queue of its own, which every engine has. `role` is the
    program that its connection names. `listed` is whether the broker listed its connection: a consumer
    without a listed connection is unknown.
    """

    id: str
    name: str
    role: str | None
    server: str | None
    prefetch: int = 0
    listed: bool = True

    @property
    def is_engine(self) -> bool:
        """Whether its connection names it as a heat-engine."""
        return self.role == "heat-engine"


class ServiceEntry(Model):
    """One entry of Heat's service table (`openstack orchestration service list`)."""

    engine_id: str
    host: str
    up: bool


class ConsumerRoster(Model):
    """Evidence of E1: the queues, their consumers, and Heat's service table.

    `described` is the number of consumers of each host. `queues` are the expected queues that exist.
    `services` is None if the table cannot be read, for the reason `services_unread`.

    `unlisted` is why consumers cannot be listed at all; then `counts` has the number of consumers of each
    queue, as AMQP alone tells it, and `consumers` is empty.
    """

    described: dict[str, int]
    expected_queues: tuple[str, ...]
    queues: tuple[str, ...]
    consumers: dict[str, tuple[RosterConsumer, ...]]
    services: tuple[ServiceEntry, ...] | None = None
    services_unread: str | None = None
    unlisted: str | None = None
    counts: dict[str, int] = {}


ENGINE, WORKER = "engine", "engine_worker"


def as_described(evidence: ConsumerRoster) -> Judgement:
    """E1: whether every worker of every described engine consumes, and nothing else does.

    Each worker process has one consumer on `engine` (named by its host) and one on `engine_worker` (named
    by its engine id), and an entry in the service table that is up, if that may be read. The entry of an
    engine that is gone stays `up` for two report intervals: such entries are counted and prove nothing.
    While there is a consumer whose connection the broker does not list, no engine is reported as missing:
    it may be that one.
    """
    if evidence.unlisted is not None:
        return _as_many(evidence, evidence.unlisted)
    wanted = sum(evidence.described.values())
    figures = {
        "described": wanted,
        **{f"consumers_{queue}": len(found) for queue, found in evidence.consumers.items()},
        "services_up": sum(s.up for s in evidence.services) if evidence.services is not None else None,
    }
    wrong = list(_wrong(evidence))
    if wrong:
        return failed(
            f"the consumers are not the {wanted} that the deployment file describes: {wrong[0]}",
            wrong,
            **figures,
        )
    if unlisted := _unlisted(evidence):
        why = "some consumers cannot be identified because the broker does not list their connections: "
        return inconclusive(why + ", ".join(unlisted), **figures)
    ids = {consumer.server for consumer in evidence.consumers.get(WORKER, ())}
    stale = sum(s.up and s.engine_id not in ids for s in evidence.services or ())
    table = "agrees" if evidence.services is not None else f"was not compared: {evidence.services_unread}"
    return passed(
        f"{ENGINE} and {WORKER} have {wanted} consumers each ({_listed(evidence.described)}), and no "
        f"stranger; the service table {table}",
        services_not_yet_down=stale,
        **figures,
    )


def _as_many(evidence: ConsumerRoster, unlisted: str) -> Judgement:
    """What numbers of consumers alone can show: that they are not the described ones, and no more."""
    wanted = sum(evidence.described.values())
    figures = {"described": wanted, **{f"consumers_{q}": n for q, n in evidence.counts.items()}}
    missing = [f"there is no queue {q}" for q in evidence.expected_queues if q not in evidence.queues]
    other = [
        f"{q} has {n} consumers, {wanted} described" for q, n in evidence.counts.items() if n != wanted
    ]
    if wrong := [*missing, *other]:
        return failed(f"{wrong[0]} (counted over AMQP)", wrong, **figures)
    return inconclusive(
        f"{ENGINE} and {WORKER} have {wanted} consumers each, as described, but which processes these are, "
        f"with which prefetch, and whether a stranger is among them, is not known: {unlisted}",
        **figures,
    )


def _listed(described: Mapping[str, int]) -> str:
    """`2 of each of a, b`, or `a 2, b 3`."""
    counts = {*described.values()}
    if len(counts) == 1 and len(described) > 1:
        return f"{counts.pop()} of each of {', '.join(described)}"
    return ", ".join(f"{count} of {host}" for host, count in described.items())


def why_not_breakable(
    consumers: Mapping[str, tuple[RosterConsumer, ...]],
    hosts: Mapping[str, Collection[str]],
    described: Mapping[str, tuple[int, ...]],
) -> str | None:
    """Why a fault of these engines would prove nothing; None if it can be judged.

    `hosts` maps each part to the hosts on which its engine may run, `described` hosts to the consumers of
    each engine process. The loss of an engine that does not consume has no effect. A stranger may drop a
    message or pass it on, so the trace does not show which engine's calls and stacks a fault costs. Among
    other consumers than described it is unknown which of them make one engine. Gate E1 finds all of these,
    so nothing is broken to show them.
    """
    if stranger := next(_strangers(consumers), None):
        return f"{stranger}; its calls cannot be attributed, so nothing was broken: see gate E1"
    found = Counter(c.server for c in consumers.get(ENGINE, ()) if c.server is not None)
    if absent := [part for part, each in hosts.items() if not any(found[host] for host in each)]:
        return (
            f"{', '.join(absent)} does not consume from {ENGINE}, so its fault would have no effect and "
            "nothing was broken: see gate E1"
        )
    for host, sizes in process_sizes(chain(*hosts.values()), described, found).items():
        if found[host] != sum(sizes):
            return (
                f"{host} has {found[host]} consumers on {ENGINE}, {sum(sizes)} described, so it is unknown "
                "which of them make one engine and nothing was broken: see gate E1"
            )
    return None


def _strangers(consumers: Mapping[str, tuple[RosterConsumer, ...]]) -> Iterator[str]:
    for queue, consumer in ((queue, c) for queue, found in consumers.items() for c in found):
        if consumer.listed and (not consumer.is_engine or consumer.server is None):
            yield f"a stranger consumes from {queue}: {consumer.name}"


def _unlisted(evidence: ConsumerRoster) -> list[str]:
    return [
        f"{c.name} on {queue}" for queue, found in evidence.consumers.items() for c in found if not c.listed
    ]


def _wrong(evidence: ConsumerRoster) -> Iterator[str]:
    """Everything that is not as described, the worst first."""
    for queue in evidence.expected_queues:
        if queue not in evidence.queues:
            yield f"there is no queue {queue}"
    yield from _strangers(evidence.consumers)
    if not _unlisted(evidence):
        yield from _hosts(evidence)
    yield from _prefetches(evidence)
    yield from _services(evidence)


def _hosts(evidence: ConsumerRoster) -> Iterator[str]:
    engines = [c for c in evidence.consumers.get(ENGINE, ()) if c.is_engine and c.server]
    have = Counter(c.server for c in engines)
    up = Counter(s.host for s in evidence.services or () if s.up)

    def who(host: str) -> str:
        names = sorted(c.name for c in engines if c.server == host)
        return f": {listed(names)}" if names else ""

    for host, described in evidence.described.items():
        if have[host] != described:
            table = f"; the service table lists {up[host]} of it as up" if evidence.services else ""
            yield f"{host} has {have[host]} consumers on {ENGINE}, {described} described{table}{who(host)}"
    for host in sorted(str(h) for h in set(have) - set(evidence.described)):
        yield f"{host} consumes from {ENGINE}, but is not described{who(host)}"
    wanted = sum(evidence.described.values())
    workers = sum(c.is_engine for c in evidence.consumers.get(WORKER, ()))
    if workers != len(engines) or (workers != wanted and len(engines) == wanted):
        yield f"{workers} engines consume from {WORKER}, {len(engines)} from {ENGINE}"


def _prefetches(evidence: ConsumerRoster) -> Iterator[str]:
    """A consumer with a prefetch limit of its own loses its turn while it has not acknowledged."""
    for queue, found in evidence.consumers.items():
        engines = [c for c in found if c.is_engine]
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
        if consumer.is_engine and consumer.server and consumer.server not in up:
            yield f"{consumer.name} consumes from {WORKER}, but the service table does not list it as up"
