"""The engines that commands may strike, as they consume before a fault, and which of them go away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from calorimeter.core import engine_groups
from calorimeter.core.faults.schedule import FaultCommands
from calorimeter.gates.context import Context
from calorimeter.gates.engines.consumers import ENGINE, WORKER, why_not_breakable
from calorimeter.gates.engines.queue_consumers import read_consumers
from calorimeter.gates.engines.queue_window import QueueConsumer
from calorimeter.gates.engines.struck_engines import (
    ProcessSizes,
    host_of,
    listed,
    possible_hosts,
    process_sizes,
    whole_processes,
)
from calorimeter.gates.engines.traced_calls import BrokerTrace
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

WORKERS_WITHIN_S = 6.0
"""How long an engine that has just started may take until the broker shows who consumes its work:
RabbitMQ's statistics interval of 5 s, and a poll."""


@dataclass(frozen=True, slots=True)
class FaultTargets:
    """The consumers of `engine` that the commands of `number` parts may strike, before the fault.

    `sizes`: host → the number of consumers of each of its engine processes.
    """

    trace: BrokerTrace
    number: int
    consumers: tuple[QueueConsumer, ...]
    sizes: ProcessSizes

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the consumers."""
        return tuple(consumer.name for consumer in self.consumers)

    def gone(self) -> tuple[str, ...]:
        """The names of those that no longer consume.

        By id: an engine restarted by a supervisor may have the same name (process id in a container).
        """
        there = {consumer.id for consumer in self.trace.consumers(ENGINE)}
        return tuple(c.name for c in self.consumers if c.id not in there)

    def whole(self, gone: Sequence[str]) -> bool:
        """Whether these consumers are at least one whole engine for each part."""
        return max(whole_processes(gone, self.sizes), default=0) >= self.number


def fault_targets(context: Context, trace: BrokerTrace, chosen: Sequence[FaultCommands]) -> FaultTargets:
    """The engines that these commands may strike.

    Raises `EvidenceUnavailable`, before anything is broken, if faults of them could not be judged: see
    `why_not_breakable`; and consumers must have names of their own, on both queues.
    """
    described = engine_groups.sizes(context.engines)
    engines = [part.name for part in context.deployment.parts if part.kind == "engine"]
    hosts = {each.part: possible_hosts(each.part, described, engines) for each in chosen}
    if why := why_not_breakable(read_consumers(trace.api), hosts, described):
        raise EvidenceUnavailable(trace.api.where, why)
    there = {host for each in hosts.values() for host in each}
    consumers = tuple(c for c in trace.consumers(ENGINE) if host_of(c.name) in there)
    _require_names(trace, consumers)
    found = Counter(host_of(consumer.name) for consumer in consumers)
    sizes = process_sizes(sorted(there), described, found)
    return FaultTargets(trace, len(chosen), consumers, sizes)


def _require_names(trace: BrokerTrace, consumers: Sequence[QueueConsumer]) -> None:
    often = Counter(consumer.name for consumer in consumers)
    unknown = alike = [name for name, number in often.items() if number > 1]

    def all_known() -> bool:
        nonlocal unknown
        unknown = [*({*often} - {consumer.name for consumer in trace.consumers(WORKER)})]
        return not unknown

    if alike or not trace.until(all_known, WORKERS_WITHIN_S, 0.5):
        queue, whose = ENGINE if alike else WORKER, listed(sorted(unknown))
        raise EvidenceUnavailable(
            trace.api.where,
            f"the consumers of {queue} that belong to {whose} cannot be determined: engines that share an "
            "address must not share a process id",
        )
