"""What an experiment records of each stack that it creates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from calorimeter.core.toml import Model
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.evidence.rpc_message import Delivery


class StackState(Model):
    """A status of a stack; it was first listed at `at_ns` (ns since the epoch)."""

    status: str
    at_ns: int

    @property
    def final(self) -> bool:
        """Whether the stack is no longer in progress."""
        return not self.status.endswith("_IN_PROGRESS")


class OutputRead(Model):
    """A stack's output, read back; `as_made` if it has the form that the template asks for."""

    call: HeatCall
    as_made: bool
    said: str


class StackRecord(Model):
    """One stack: its create, the statuses listed until its delete, one read of its output, its delete.

    `stack_id` is None if the create was not accepted and no stack of that name was found. A record with an
    id and without `states` was first listed during the deletes. `gone_ns` is when the list no longer had
    the stack, None if it still did.
    """

    name: str
    create: HeatCall
    stack_id: str | None = None
    states: tuple[StackState, ...] = ()
    read: OutputRead | None = None
    delete: HeatCall | None = None
    gone_ns: int | None = None

    @property
    def accepted(self) -> bool:
        """Whether Heat's answer accepted the create."""
        return self.create.ok

    @property
    def taken(self) -> bool:
        """Whether Heat took the stack on: it accepted the create, or lists the stack all the same."""
        return self.accepted or bool(self.states)

    @property
    def outcome(self) -> str:
        """The last status before the delete; empty if the stack was never listed."""
        return self.states[-1].status if self.states else ""

    @property
    def final(self) -> bool:
        """Whether the stack reached a final state."""
        return bool(self.states) and self.states[-1].final

    def __str__(self) -> str:
        return f"{self.name} ({self.create.request_id})"


def with_traced_request_ids(
    records: Iterable[StackRecord], deliveries: Iterable[Delivery]
) -> tuple[StackRecord, ...]:
    """The records; a create without an answer gets its request id from the trace, by the stack's name."""
    traced = {d.stack_name: d.request_id for d in deliveries if d.method == "create_stack" and d.request_id}

    def identified(record: StackRecord) -> StackRecord:
        id_ = record.create.request_id or traced.get(record.name)
        return record.model_copy(update={"create": record.create.model_copy(update={"request_id": id_})})

    return tuple(identified(record) for record in records)


def unheard(records: Iterable[StackRecord]) -> str:
    """How many stacks exist although their create got no answer, after "… were accepted"; empty if none."""
    more = sum(record.taken and not record.accepted for record in records)
    return f" and {more} more were created although their clients got no answer" if more else ""


def with_engines(records: Iterable[StackRecord], engines: Mapping[str, str]) -> tuple[StackRecord, ...]:
    """The records; `engines` (request id → engine) names the engine of each call that was traced."""

    def attributed(call: HeatCall) -> HeatCall:
        return call.model_copy(update={"engine": engines.get(call.request_id or "")})

    return tuple(
        record.model_copy(
            update={
                "create": attributed(record.create),
                "read": record.read
                and record.read.model_copy(update={"call": attributed(record.read.call)}),
                "delete": record.delete and attributed(record.delete),
            }
        )
        for record in records
    )
