"""Operations of the REST API that are more than one request, or leave something behind."""

from __future__ import annotations

import json
from typing import cast

from calorimeter.load.apis.stack_api import UnintelligibleError
from calorimeter.load.http import answers
from calorimeter.load.http.client import Answer
from calorimeter.load.operations import stack_life
from calorimeter.load.operations.operation import Actor, Operation, Stack, Subject
from calorimeter.load.operations.rest_requests import REDIRECTED, Ask, Body, api_of, ask, fill
from calorimeter.load.operations.subjects import ABANDONED, SNAPSHOT, stack_of

__all__ = ["REDIRECTED"]

PAGE = 10
PAGES = 5
"""Of a long list so many pages are read."""

HOLD_S = 4
"""How long an update takes that is to be cancelled."""

RESTORABLE = Subject(
    SNAPSHOT.name,
    lambda actor: [s for s in cast(list[Stack], SNAPSHOT.of(actor)) if s.state != "RESTORE_COMPLETE"],
)

MARK_HEALTHY = Operation("rest", "mark-healthy", frozenset({200}))
"""What follows `mark-unhealthy`, so that the stack can be used further."""


def _subject(actor: Actor, operation: Operation) -> Stack:
    assert operation.subject is not None
    return stack_of(actor, operation.subject)


def versions(actor: Actor, operation: Operation) -> None:
    """What versions of the API there are."""
    actor.request(operation, api_of(actor).outside("/"))


def list_pages(actor: Actor, operation: Operation) -> None:
    """Read the list of stacks page after page, each of which is one sample."""
    marker = ""
    for _ in range(PAGES):
        answer, last = actor.request(operation, api_of(actor).page(marker, PAGE), _last_of_page)
        if answer.error or not last:
            return
        marker = last


def _last_of_page(answer: Answer) -> str:
    """The marker of the next page; empty where there is none."""
    try:
        stacks = json.loads(answer.body)["stacks"]
        return str(stacks[-1]["id"]) if len(stacks) == PAGE else ""
    except (ValueError, KeyError, TypeError) as problem:
        raise UnintelligibleError("no list of stacks") from problem


def update(actor: Actor, operation: Operation) -> None:
    """Replace a stack's template by the same with another value."""
    stack = _subject(actor, operation)
    _update(actor, operation, stack, "PUT", Body.changed(actor, stack))


def update_patch(actor: Actor, operation: Operation) -> None:
    """Change one parameter of a stack."""
    stack = _subject(actor, operation)
    _update(actor, operation, stack, "PATCH", Body.patched(actor, stack))


def _update(actor: Actor, operation: Operation, stack: Stack, method: str, body: object) -> None:
    path = fill(operation.route, actor, stack)
    data = api_of(actor).call(method, path, body, stack.template.deferred)
    if stack_life.act(actor, operation, stack, data, "UPDATE_COMPLETE"):
        stack.version += 1


def _action(actor: Actor, operation: Operation, end: str) -> None:
    stack = _subject(actor, operation)
    data = api_of(actor).call("POST", fill(operation.route, actor, stack), {operation.handler: None})
    stack_life.act(actor, operation, stack, data, end)


def suspend(actor: Actor, operation: Operation) -> None:
    """Suspend a stack."""
    _action(actor, operation, "SUSPEND_COMPLETE")


def resume(actor: Actor, operation: Operation) -> None:
    """Resume a suspended stack."""
    _action(actor, operation, "RESUME_COMPLETE")


def check(actor: Actor, operation: Operation) -> None:
    """Check a stack's resources."""
    _action(actor, operation, "CHECK_COMPLETE")


HELD = Operation("rest", "update-held", frozenset({202}), False)
"""The update that is about to be cancelled."""


def cancel_update(actor: Actor, operation: Operation) -> None:
    """Begin an update that takes long, cancel it, and look until it is rolled back."""
    _cancel(actor, operation, "ROLLBACK_COMPLETE")


def cancel_without_rollback(actor: Actor, operation: Operation) -> None:
    """Begin an update that takes long and cancel it, which leaves a failed stack; then mend that."""
    stack = _cancel(actor, operation, "UPDATE_FAILED")
    if stack.state == "UPDATE_FAILED":
        path = fill(_PATH, actor, stack)
        data = api_of(actor).call("PUT", path, Body.changed(actor, stack), stack.template.deferred)
        stack_life.act(actor, MEND, stack, data, "UPDATE_COMPLETE")


MEND = Operation("rest", "update-mending", frozenset({202}), False)
"""The update that follows one that was cancelled without a rollback."""

_PATH = "/stacks/{stack_name}/{stack_id}"


def _cancel(actor: Actor, operation: Operation, end: str) -> Stack:
    stack = _subject(actor, operation)
    api = api_of(actor)
    body = Body.changed(actor, stack, HOLD_S)
    held = api.call("PUT", fill(_PATH, actor, stack), body, stack.template.deferred)
    begun, _ = actor.request(HELD, held)
    if begun.error:
        if answers.meaning(begun).unknown:
            stack.state = ""
        return stack
    wish = api.call("POST", fill(operation.route, actor, stack), {operation.handler: None})
    cancelled, _ = actor.request(operation, wish)
    others = ("UPDATE_COMPLETE", "UPDATE_FAILED")
    if cancelled.error:
        stack_life.await_action(actor, HELD, stack, begun, "UPDATE_COMPLETE", *others, end)
    else:
        stack_life.await_action(actor, operation, stack, cancelled, end, *others)
    return stack


def snapshot(actor: Actor, operation: Operation) -> None:
    """Take a snapshot."""
    stack = _subject(actor, operation)
    path = fill(operation.route, actor, stack)
    data = api_of(actor).call("POST", path, {"name": f"{stack.target.name}-snapshot"})
    answer, snapshot_id = actor.request(operation, data, _id_of_snapshot)
    if snapshot_id is None:
        if answers.meaning(answer).unknown:
            stack.state = ""
        return
    if stack_life.await_action(actor, operation, stack, answer, "SNAPSHOT_COMPLETE"):
        stack.snapshots.append(snapshot_id)


def _id_of_snapshot(answer: Answer) -> str:
    try:
        return str(json.loads(answer.body)["id"])
    except (ValueError, KeyError, TypeError) as problem:
        raise UnintelligibleError("a snapshot without an id") from problem


def snapshot_delete(actor: Actor, operation: Operation) -> None:
    """Delete a stack's oldest snapshot."""
    stack = _subject(actor, operation)
    answer = ask(actor, operation, stack, Ask(begins=""))
    if not answer.error or answers.meaning(answer).unknown:
        del stack.snapshots[0]


def snapshot_restore(actor: Actor, operation: Operation) -> None:
    """Bring a stack back to what it was in its oldest snapshot."""
    stack = _subject(actor, operation)
    data = api_of(actor).call("POST", fill(operation.route, actor, stack))
    stack_life.act(actor, operation, stack, data, "RESTORE_COMPLETE")


def abandon(actor: Actor, operation: Operation) -> None:
    """Let Heat forget a stack, and keep what it gives of it."""
    stack = _subject(actor, operation)
    answer = ask(actor, operation, stack, Ask())
    if answer.error:
        if answers.meaning(answer).unknown:
            stack.state = ""
        return
    actor.belongings.abandoned.append(answer.body)
    stack_life.await_gone(actor, operation, stack, answer)


def adopt(actor: Actor, operation: Operation) -> None:
    """Make a stack of what was abandoned."""
    data = cast(bytes, ABANDONED.of(actor)[0])
    actor.belongings.abandoned.remove(data)
    body = {"adopt_stack_data": data.decode(), "timeout_mins": 10, "disable_rollback": True}
    name_of = json.loads(data)["template"].get("description", "")
    template = next((t for t in actor.templates if name_of and name_of in t.text), actor.templates[0])
    stack_life.make(
        actor,
        operation,
        template,
        lambda name: api_of(actor).call("POST", "/stacks", {"stack_name": name, **body}, template.deferred),
        stack_life.ADOPTED,
    )


def mark_unhealthy(actor: Actor, operation: Operation) -> None:
    """Mark a resource as unhealthy, and as healthy again."""
    stack = _subject(actor, operation)
    path = fill(operation.route, actor, stack)
    for wanted, unhealthy in ((operation, True), (MARK_HEALTHY, False)):
        body = {"mark_unhealthy": unhealthy, "resource_status_reason": "load"}
        answer, _ = actor.request(wanted, api_of(actor).call("PATCH", path, body))
        if answer.error:
            stack.state = ""  # a resource may be left marked, with which hardly any action succeeds
            return


def resource_events(actor: Actor, operation: Operation) -> None:
    """The events of one resource; one of them is remembered for `event`."""
    stack = _subject(actor, operation)
    resource = actor.random.choice(list(stack.template.resources))
    path = fill(operation.route.replace("{resource_name}", resource), actor, stack)
    _, event = actor.request(operation, api_of(actor).call("GET", path), _id_of_event)
    if event:
        stack.event = resource, event


def _id_of_event(answer: Answer) -> str:
    try:
        events = json.loads(answer.body)["events"]
        return str(events[0]["id"]) if events else ""
    except (ValueError, KeyError, TypeError) as problem:
        raise UnintelligibleError("no list of events") from problem
