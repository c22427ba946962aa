"""Stacks that one release makes and the other one changes, each asked at an API of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Event
from typing import NamedTuple

from calorimeter.core import foreign, waiting
from calorimeter.core.deployment import Backend, Deployment
from calorimeter.core.foreign import UnintelligibleError
from calorimeter.core.recorded.upgrade_record import CrossedStack
from calorimeter.gates.clients.heat_client import HeatClient
from calorimeter.gates.clients.stack_records import StackRecord
from calorimeter.gates.clients.stacks import Stacks, template, temporary_stacks
from calorimeter.gates.context import Context, Settings

STACKS = 2
"""Stacks of each kind: updated when complete, deleted when complete, deleted while in progress."""

RESOURCES = 6
GONE = "DELETE_COMPLETE"
EVERY_S = 0.5


def client_of(deployment: Deployment, backend: Backend) -> HeatClient:
    """A client of one API, at its own address."""
    scheme = "https" if backend.tls else "http"
    url = f"{scheme}://{backend.address}{deployment.rest.parts.path}"
    there = deployment.model_copy(
        update={"rest": deployment.rest.model_copy(update={"url": url}), "cfn": None}
    )
    return HeatClient(Context(there, Settings()), sources=1)


class Until(NamedTuple):
    """When waiting is over (monotonic clock), and what ends it before."""

    at_s: float
    cancel: Event

    @property
    def left_s(self) -> float:
        """The time that is left, a second at least."""
        return max(1.0, self.at_s - time.monotonic())


Side = tuple[str, HeatClient]
"""A release, and a client of one of its APIs."""


def crossed(sides: tuple[Side, Side], within_s: float, cancel: Event) -> Iterator[CrossedStack]:
    """What became of stacks that one side made and the other one changed, both ways.

    The waits take `within_s` at most together, and then a second for each operation that is left: an
    upgrade that loses work makes every stack wait. The removal of the stacks comes on top. Raises
    CancelledError once `cancel` is set.
    """
    until = Until(time.monotonic() + within_s, cancel)
    for (maker, made_at), (changer, changed_at) in (sides, sides[::-1]):
        with temporary_stacks(made_at, RESOURCES) as created:
            yield from _changed(created, maker, changer, changed_at, until)


def _changed(
    created: Stacks, maker: str, changer: str, changed_at: HeatClient, until: Until
) -> Iterator[CrossedStack]:
    for _ in range(2 * STACKS):
        created.create()
    created.await_final(until.left_s)
    made = created.records
    for record in made:
        took_s = (record.states[-1].at_ns - record.create.sent_ns) / 1e9 if record.states else 0.0
        outcome = record.outcome or str(record.create.status)
        yield _crossed(maker, maker, "create", record, "CREATE_COMPLETE", outcome, took_s)
    for record in made[:STACKS]:
        yield _update(maker, changer, changed_at, record, until)
    for record in made[STACKS:]:
        yield _delete(maker, changer, changed_at, record, until)
    for _ in range(STACKS):  # in progress when the other release is asked to delete it
        yield _delete(maker, changer, changed_at, created.create(), until)


def in_progress(client: HeatClient) -> list[tuple[str, str]]:
    """(id, time of its last change) of each stack that is in progress; empty without an answer."""
    call, answer = client.call("list", "GET", "/stacks?status=IN_PROGRESS")
    try:
        found = foreign.objects(foreign.member(answer, "stacks")) if call.ok else []
        return [(foreign.text(each.get("id")), str(each.get("updated_time"))) for each in found]
    except UnintelligibleError:
        return []


def _update(
    maker: str, changer: str, client: HeatClient, record: StackRecord, until: Until
) -> CrossedStack:
    began = time.monotonic()
    body = {"template": template(RESOURCES + 1), "timeout_mins": 2}
    call, _ = client.call("update", "PUT", f"/stacks/{record.name}/{record.stack_id}", body)
    outcome = f"{call.status} {call.said}".strip()
    if call.ok:
        outcome = _state_after(client, record, "UPDATE", until)
    took_s = time.monotonic() - began
    return _crossed(maker, changer, "update", record, "UPDATE_COMPLETE", outcome, took_s)


def _delete(
    maker: str, changer: str, client: HeatClient, record: StackRecord, until: Until
) -> CrossedStack:
    began = time.monotonic()
    call, _ = client.call("delete", "DELETE", f"/stacks/{record.name}/{record.stack_id}")
    outcome = f"{call.status} {call.said}".strip()
    if call.ok:
        outcome = _state_after(client, record, "DELETE", until)
    return _crossed(maker, changer, "delete", record, GONE, outcome, time.monotonic() - began)


def _state_after(client: HeatClient, record: StackRecord, action: str, until: Until) -> str:
    """The state in which an action ended, or the last one that was seen."""

    def state() -> str:
        call, answer = client.call("show", "GET", f"/stacks/{record.name}/{record.stack_id}")
        if call.status == 404:
            return GONE
        try:
            return foreign.text(foreign.member(answer, "stack", "stack_status"))
        except UnintelligibleError:
            return f"{call.status} {call.said}".strip()

    def ended(seen: str) -> bool:
        return seen == GONE or (seen.startswith(action) and not seen.endswith("_IN_PROGRESS"))

    return waiting.poll(state, until.left_s, enough=ended, every_s=EVERY_S, cancel=until.cancel)


def _crossed(
    maker: str, changer: str, operation: str, record: StackRecord, wanted: str, outcome: str, took_s: float
) -> CrossedStack:
    return CrossedStack.model_validate(
        {
            "made_by": maker,
            "changed_by": changer,
            "operation": operation,
            "stack": record.name,
            "wanted": wanted,
            "outcome": outcome,
            "took_s": round(took_s, 2),
        }
    )
