"""Literal stacks and bursts for the tests of E10 and L1 to L3."""

from __future__ import annotations

from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.clients.stack_records import OutputRead, StackRecord, StackState
from calorimeter.gates.engines.backlog import StackBurst

S = 1_000_000_000


def call(operation: str, at_s: float, status: int = 201, **more: object) -> HeatCall:
    """A call that took a tenth of a second."""
    fields: dict[str, object] = {
        "operation": operation,
        "request_id": f"req-{operation}-{at_s}",
        "sent_ns": int(at_s * S),
        "done_ns": int((at_s + 0.1) * S),
        "status": status,
    }
    return HeatCall.model_validate(fields | more)


def record(n: int, *statuses: str, **more: object) -> StackRecord:
    """Stack number n, created at second n, listed in these statuses a second apart, deleted at 100."""
    seen = statuses or ("CREATE_IN_PROGRESS", "CREATE_COMPLETE")
    fields: dict[str, object] = {
        "name": f"stack-{n}",
        "create": call("create", n),
        "stack_id": f"id-{n}",
        "states": tuple(StackState(status=s, at_ns=(n + 1 + k) * S) for k, s in enumerate(seen)),
        "read": OutputRead(call=call("show", 50 + n, 200, engine="engine-2"), as_made=True, said="made"),
        "delete": call("delete", 100, 204),
        "gone_ns": 103 * S,
    }
    return StackRecord.model_validate(fields | more)


def burst(*odd: StackRecord, **more: object) -> StackBurst:
    """Ten complete stacks, and odd ones."""
    fields: dict[str, object] = {
        "entries": (*(record(n) for n in range(10)), *odd),
        "resources": 12,
        "waited_s": 120,
    }
    return StackBurst.model_validate(fields | more)


def refused(count: int) -> tuple[StackRecord, ...]:
    """That many creates that got an error and made no stack."""
    return tuple(
        record(n, create=call("create", n, 500), stack_id=None, states=()) for n in range(10, 10 + count)
    )
