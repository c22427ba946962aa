"""What the nodes of RabbitMQ say of themselves and of each other while some of them are broken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calorimeter.core.deployment import Deployment
from calorimeter.core.faults.schedule import FaultCommands
from calorimeter.gates.engines.consumers import ENGINE
from calorimeter.gates.evidence import firehose
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

PROBE_S = 3.0
"""How long a node may take to accept an AMQP connection."""


@dataclass(frozen=True, slots=True)
class BrokerPart:
    """A node with the commands for a fault. `amqp` and `management` are its URLs, as far as described."""

    node: str
    commands: FaultCommands
    amqp: str | None
    management: str | None


def is_gone(deployment: Deployment, part: BrokerPart, broken: Sequence[BrokerPart]) -> bool:
    """Whether a broken node no longer answers, or another one no longer counts it as running."""
    if part.amqp is not None and not firehose.answers(deployment, part.amqp, PROBE_S):
        return True
    try:
        with _of_others(deployment, broken) as api:
            return part.node not in {node.name for node in api.nodes() if node.running}
    except EvidenceUnavailable:
        return False


def queue_states(deployment: Deployment, broken: Sequence[BrokerPart]) -> dict[str, str] | None:
    """Queue → its state, as the nodes show it that are not broken; None if none of them answers."""
    try:
        with _of_others(deployment, broken) as api:
            return {queue.name: queue.state or "running" for queue in api.queues()}
    except EvidenceUnavailable:
        return None


def apart(deployment: Deployment, nodes: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the nodes that are not in one cluster with the others; all if none answers."""
    try:
        with BrokerApi.of(deployment) as api:
            seen = api.nodes()
    except EvidenceUnavailable:
        return nodes
    whole = {node.name for node in seen if node.running and not node.partitions}
    return tuple(name for name in nodes if name not in whole)


def consumers(deployment: Deployment) -> int:
    """The consumers of the queue `engine` now; 0 if no node answers."""
    try:
        with BrokerApi.of(deployment) as api:
            return len([each for each in api.consumers() if each.queue == ENGINE])
    except EvidenceUnavailable:
        return 0


def _of_others(deployment: Deployment, broken: Sequence[BrokerPart]) -> BrokerApi:
    return BrokerApi.of(deployment, besides={each.management for each in broken if each.management})
