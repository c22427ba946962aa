"""How many engines take part in one check, snapshot and suspend of a stack, from the broker's trace."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from calorimeter.core import engine_groups, foreign, waiting
from calorimeter.core.deployment import Deployment
from calorimeter.core.foreign import UnintelligibleError
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.clients.heat_client import HeatClient
from calorimeter.gates.clients.stack_records import StackRecord
from calorimeter.gates.clients.stacks import temporary_stacks
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.studies.releases.release_rounds import EngineShare
from calorimeter.studies.releases.release_sides import ACTIONS
from calorimeter.studies.upgrade.upgrade_trace import TOPICS, UpgradeTrace, VhostMessages

RESOURCES = 12
"""Of the stack, in three chains: enough that each of three engines could get some."""

WITHIN_S = 45.0
"""Time limit of the create, and of each action."""

EVERY_S = 0.5


def measured(deployment: Deployment, client: HeatClient) -> tuple[EngineShare, ...]:
    """Do each action on one stack while the broker is traced, then remove the stack.

    Raises `EvidenceUnavailable` if the stack cannot be made. What could not be traced is a doubt.
    """
    assert deployment.broker is not None
    trace = UpgradeTrace(deployment)
    with temporary_stacks(client, RESOURCES) as created:
        stack = created.create()
        if not created.await_final(WITHIN_S) or created.records[0].outcome != "CREATE_COMPLETE":
            why = f"{created.records[0].outcome or stack.create.status} {stack.create.said}".strip()
            raise EvidenceUnavailable("the stack whose actions are traced", f"was not made: {why}")
        trace.begin(deployment.broker.vhost)
        try:
            done = [(action, *_act(client, stack, action)) for action in ACTIONS]
            trace.look()
        finally:
            trace.close()
    return tuple(shares(done, trace.messages(), trace.doubts, engine_groups.processes(deployment.engines)))


def shares(
    done: Iterable[tuple[str, HeatCall, str]],
    recorded: Iterable[VhostMessages],
    doubts: Iterable[str],
    engines: int,
) -> Iterator[EngineShare]:
    """The engines that got messages of each action (its name, its call, how it ended)."""
    doubt, every = "; ".join(doubts)[:200], [*recorded]
    for action, call, outcome in done:
        got = [
            each.names.get(event.connection, event.connection)
            for each in every
            for event in each.events
            if event.kind == "deliver" and event.queue in TOPICS
            and call.request_id is not None and event.request_id == call.request_id
        ]  # fmt: skip
        yield EngineShare(
            action=action, engines=len(set(got)), of=engines, messages=len(got), outcome=outcome[:200],
            doubt=doubt,
        )  # fmt: skip


def _act(client: HeatClient, stack: StackRecord, action: str) -> tuple[HeatCall, str]:
    """The call of an action, and the state in which the stack was afterwards."""
    path = f"/stacks/{stack.name}/{stack.stack_id}"
    place, body = (
        ("snapshots", {"name": f"snapshot-{time.time_ns()}"})
        if action == "snapshot"
        else ("actions", {action: None})
    )
    call, _ = client.call(action, "POST", f"{path}/{place}", body)
    if not call.ok:
        return call, f"{call.status} {call.said}".strip()
    name = action.upper()

    def state() -> str:
        shown, answer = client.call("show", "GET", path)
        try:
            return foreign.text(foreign.member(answer, "stack", "stack_status"))
        except UnintelligibleError:
            return f"{shown.status} {shown.said}".strip()

    def ended(seen: str) -> bool:
        return seen.startswith(name) and not seen.endswith("_IN_PROGRESS")

    return call, waiting.poll(state, WITHIN_S, enough=ended, every_s=EVERY_S)
