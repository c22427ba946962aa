"""The life of a stack: create, actions, delete; the same through both APIs.

The acceptance of a request and the end of its work are two measurements: the sample of the request is the
acceptance; the end is a row of the ledger (create) or of the actions.
"""

from __future__ import annotations

from collections.abc import Callable

import gevent

from calorimeter.core.clock import now_ns
from calorimeter.load.apis.stack_api import StackIdentity
from calorimeter.load.http import answers
from calorimeter.load.http.client import Answer
from calorimeter.load.operations import signals
from calorimeter.load.operations.operation import Actor, Operation, Stack
from calorimeter.load.operations.subjects import stack_for, usable
from calorimeter.load.recording.recorder import ActionRow, LedgerRow
from calorimeter.workload.template import Template

HOLD_S = 4
"""How long an update takes that is going to be cancelled."""

CREATED = ("CREATE_COMPLETE", "CREATE_FAILED")
ADOPTED = ("ADOPT_COMPLETE", "ADOPT_FAILED")
DELETED = ("DELETE_COMPLETE", "DELETE_FAILED")

WAIT = {
    "rest": Operation("rest", "wait", frozenset({200})),
    "cfn": Operation("cfn", "wait", frozenset({200})),
}
"""The polls of a stack until an action has ended; they are samples of their own."""

GONE = {
    "rest": Operation("rest", "gone", frozenset({200, 404})),
    "cfn": Operation("cfn", "gone", frozenset({200, 400, 404})),
}
"""The polls of a stack until it is gone."""


def list_stacks(actor: Actor, operation: Operation) -> None:
    """List all stacks of the project."""
    actor.request(operation, actor.api.list(), actor.api.check_list)


def show(actor: Actor, operation: Operation) -> None:
    """Show one of the user's stacks."""
    stack = stack_for(actor, operation)
    actor.request(operation, actor.api.show(stack.target), actor.api.state)


def create(actor: Actor, operation: Operation) -> None:
    """Create a stack and poll it until it is complete."""
    template = actor.random.choice(actor.templates) if len(actor.templates) > 1 else actor.templates[0]
    make(actor, operation, template, lambda name: actor.api.create(name, template))


def make(
    actor: Actor,
    operation: Operation,
    template: Template,
    data: Callable[[str], bytes],
    ends: tuple[str, str] = CREATED,
) -> None:
    """Create a stack under a new name with the request `data(name)`, and poll it until it is complete."""
    name = actor.next_name()
    actor.quota.take()
    try:
        answer, target = actor.request(
            operation, data(name), lambda answer: actor.api.created(answer, name)
        )
    except gevent.GreenletExit:
        actor.unaccounted(name)
        raise
    if target is None:
        if answers.meaning(answer).unknown:
            actor.unaccounted(name)
        else:
            actor.quota.give_back()
        return
    entry = _entry(actor, target, answer)
    stack = Stack(target, entry, template)
    actor.accepted(stack)
    signals.signal_waits(actor, stack)
    await_final(actor, stack, ends)


def _entry(actor: Actor, target: StackIdentity, answer: Answer) -> LedgerRow:
    request_id = answer.request_id.decode("ascii", "replace")
    return LedgerRow(target.stack_id, target.name, actor.api.name, request_id, answer.done_ns, actor.number)


def await_final(actor: Actor, stack: Stack, ends: tuple[str, str] = CREATED) -> None:
    """Poll a new stack until it is in a final state, or time is up."""
    entry = stack.entry
    seen = _poll_until(actor, stack, (*ends, *CREATED, *ADOPTED), entry.accepted_ns)
    if seen is None:
        actor.completed(entry, "not complete in time")
        return
    entry.final_ns, entry.final_state = seen.done_ns, stack.state
    actor.completed(entry, "" if stack.state.endswith("_COMPLETE") else stack.state)


def act(actor: Actor, operation: Operation, stack: Stack, data: bytes, end: str, *others: str) -> bool:
    """Request an action, and poll the stack until its state is `end` or one of the `others`.

    Returns whether it ended in `end`.
    """
    answer, _ = actor.request(operation, data)
    if answer.error:
        note_failure(stack, answer)
        return False
    return await_action(actor, operation, stack, answer, end, *others)


def note_failure(stack: Stack, answer: Answer) -> None:
    """After a failed request: if the action may have been accepted, the stack's state is unknown."""
    if answers.meaning(answer).unknown:
        stack.state = ""  # the stack can only be deleted


def cancel(
    actor: Actor,
    stack: Stack,
    update: tuple[Operation, bytes],
    cancellation: tuple[Operation, bytes],
    end: str = "ROLLBACK_COMPLETE",
) -> None:
    """Begin an update that takes long, cancel it, and poll the stack until its state is `end`."""
    begun, _ = actor.request(*update)
    if begun.error:
        note_failure(stack, begun)
        return
    cancelled, _ = actor.request(*cancellation)
    others = ("UPDATE_COMPLETE", "UPDATE_FAILED")
    if cancelled.error:
        await_action(actor, update[0], stack, begun, "UPDATE_COMPLETE", *others, end)
    else:
        await_action(actor, cancellation[0], stack, cancelled, end, *others)


def await_action(
    actor: Actor, operation: Operation, stack: Stack, accepted: Answer, end: str, *others: str
) -> bool:
    """Poll the stack until an accepted action has ended; the second half of `act`."""
    action = _action(actor, operation, stack, accepted)
    stack.state = ""
    failed = end.replace("_COMPLETE", "_FAILED")
    seen = _poll_until(actor, stack, (end, failed, *others), action.accepted_ns)
    if seen is not None:
        action.final_ns, action.final_state = seen.done_ns, stack.state
    actor.acted(action, "" if stack.state == end else stack.state or "not complete in time")
    return stack.state == end


def _action(actor: Actor, operation: Operation, stack: Stack, accepted: Answer) -> ActionRow:
    request_id = accepted.request_id.decode("ascii", "replace")
    name, stack_id = operation.name, stack.target.stack_id
    return ActionRow(stack_id, operation.api, name, request_id, accepted.done_ns, actor.number)


def _poll_until(actor: Actor, stack: Stack, states: tuple[str, ...], accepted_ns: int) -> Answer | None:
    """The first answer that shows the stack in one of the states; None if time is up before."""
    until = min(actor.until_ns(actor.complete_within_s), accepted_ns + int(actor.complete_within_s * 1e9))
    while now_ns() < until:
        gevent.sleep(actor.poll_s)
        answer, state = actor.request(WAIT[actor.api.name], actor.api.show(stack.target), actor.api.state)
        if state in states:
            stack.state = state
            return answer
    return None


def delete(actor: Actor, operation: Operation) -> None:
    """Delete a stack that cannot be used further, else the oldest one, and poll until it is gone."""
    stack = next((stack for stack in actor.stacks if not usable(stack)), actor.stacks[0])
    remove(actor, operation, stack)


def remove(actor: Actor, operation: Operation, stack: Stack) -> None:
    """Delete this stack, and poll it until it is gone."""
    answer, _ = actor.request(operation, actor.api.delete(stack.target))
    if answer.status in actor.api.gone_statuses:
        # Gone by an earlier delete whose answer was lost; the time is unknown. The sample stays an error.
        stack.entry.deleted_ns = answer.done_ns
        actor.finish(stack)
    elif not answer.error:
        await_gone(actor, operation, stack, answer)


def await_gone(actor: Actor, operation: Operation, stack: Stack, accepted: Answer) -> None:
    """Poll a stack that is being deleted until it is gone, or time is up."""
    gone = actor.api.gone_statuses
    action = _action(actor, operation, stack, accepted)
    until = actor.until_ns(actor.complete_within_s)
    while now_ns() < until:
        gevent.sleep(actor.poll_s)
        answer, state = actor.request(
            GONE[actor.api.name],
            actor.api.show(stack.target),
            lambda answer: "DELETE_COMPLETE" if answer.status in gone else actor.api.state(answer),
        )
        if state in DELETED:
            action.final_ns, action.final_state = answer.done_ns, state
            break
    if action.final_state == "DELETE_COMPLETE":
        stack.entry.deleted_ns = action.final_ns
    else:
        actor.unaccounted(stack.target.name)
    actor.acted(action, "" if stack.entry.deleted_ns else action.final_state or "not gone in time")
    actor.finish(stack)
