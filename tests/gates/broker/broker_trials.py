"""Literal trials for the tests of B1 to B5: seconds since the fault, at which calls are sent and end."""

from __future__ import annotations

from typing import Any

from calorimeter.gates.broker.broker_trial import BrokerTrial, EngineQueue, NodeFault
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.clients.stack_records import StackRecord, StackState
from calorimeter.gates.engines.queue_window import QueueConsumer
from calorimeter.gates.engines.rotation import Rotation, TracedDelivery

S = 1_000_000_000
FAULT_NS = 1_000 * S
NODES = ("rabbit@a", "rabbit@b", "rabbit@c")
CONSUMERS = ("1", "2")


def at(seconds: float) -> int:
    """Nanoseconds since the epoch, of a time in seconds since the fault."""
    return FAULT_NS + int(seconds * S)


def call(sent_s: float, took_s: float = 0.1, status: int = 200) -> HeatCall:
    """One call."""
    return HeatCall(
        operation="list",
        request_id=f"req-{sent_s}",
        sent_ns=at(sent_s),
        done_ns=at(sent_s + took_s),
        status=status,
        error="" if status else "ReadTimeout",
    )


def calls(begin_s: int = -5, end_s: int = 40) -> list[HeatCall]:
    """A good call each second."""
    return [call(second) for second in range(begin_s, end_s)]


def stack(number: int, status: str = "CREATE_COMPLETE") -> StackRecord:
    """A stack that was accepted; `status` is its last one."""
    states = (StackState(status=status, at_ns=at(number + 1)),) if status else ()
    made = call(number, status=201).model_copy(update={"operation": "create"})
    return StackRecord(name=f"stack-{number}", create=made, stack_id="id", states=states)


def fault(node: str = "a", begun_s: float = 0, healed_s: float = 20, **more: Any) -> NodeFault:
    """A fault of one node, which lasts until its healing takes a second."""
    return NodeFault(
        **{
            "part": node,
            "node": f"rabbit@{node}",
            "begun_ns": at(begun_s),
            "struck_ns": at(begun_s),
            "noticed_ns": at(begun_s + 0.5),
            "healing_ns": at(healed_s - 1),
            "healed_ns": at(healed_s),
            **more,
        },
    )


def rotation(order: str = "12" * 20) -> Rotation:
    """Calls one at a time that went to these consumers in order."""
    consumers = tuple(QueueConsumer(id=each, name=f"engine-{each}") for each in CONSUMERS)
    return Rotation(
        queue="engine",
        described=2,
        before=consumers,
        after=consumers,
        calls=tuple(f"req-{n}" for n in range(len(order))),
        deliveries=tuple(
            TracedDelivery(consumer=each, request_id=f"req-{n}") for n, each in enumerate(order)
        ),
        counted=len(order),
    )


def trial(**more: Any) -> BrokerTrial:
    """A node of three was killed and returned, and nobody noticed."""
    given: dict[str, Any] = {
        "fault": "kill",
        "nodes": NODES,
        "faults": (fault(),),
        "queues": tuple(
            EngineQueue(name=name, type="quorum", home="rabbit@a", during="running")
            for name in ("engine", "engine_worker")
        ),
        "outage_bound_s": 2.0,
        "return_bound_s": 2.0,
        "calls": tuple(calls()),
        "stacks": tuple(stack(number) for number in range(6)),
        "consumers": 2,
        "returned": 2,
        "rotation": rotation(),
        **more,
    }
    return BrokerTrial.model_validate(given, strict=False)
