"""Operations of the REST API that need more than one request, or change what the user has."""

from __future__ import annotations

from urllib.parse import quote

from calorimeter.core import foreign
from calorimeter.load.apis.rest import id_in, ids_in
from calorimeter.load.http import answers
from calorimeter.load.http.client import Answer
from calorimeter.load.operations import stack_life
from calorimeter.load.operations.operation import Actor, Operation, Stack, Subject
from calorimeter.load.operations.rest_requests import (
    SingleRequest,
    api_of,
    changed_body,
    fill,
    patched_body,
    request_about,
)
from calorimeter.load.operations.subjects import ABANDONED, SNAPSHOT, stack_for

PAGE = 10
PAGES = 5
"""The most pages that are read of a list."""

RESTORABLE = Subject(
    SNAPSHOT.name,
    lambda actor: [stack for stack in SNAPSHOT.of(actor) if stack.state != "RESTORE_COMPLETE"],
)

MARK_HEALTHY = Operation("rest", "mark-healthy", frozenset({200}))
"""The request that follows `mark-unhealthy`, so that the stack can be used further."""


def versions(actor: Actor, operation: Operation) -> None:
    """Read the versions of the API."""
    actor.request(operation, api_of(actor).outside("/"))


def list_pages(actor: Actor, operation: Operation) -> None:
    """Read the list of stacks page by page; each page is one sample."""
    marker = ""
    for _ in range(PAGES):
        answer, last = actor.request(operation, api_of(actor).page(marker, PAGE), _last_of_page)
        if answer.error or not last:
            return
        marker = last


def _last_of_page(answer: Answer) -> str:
    """The marker of the next page; empty if this page is the last."""
    ids = ids_in(answer, "stacks")
    return ids[-1] if len(ids) == PAGE else ""


def update(actor: Actor, operation: Operation) -> None:
    """Update a stack's value: PUT its whole template again, or PATCH only the parameter."""
    stack = stack_for(actor, operation)
    body = (changed_body if operation.method == "PUT" else patched_body)(actor, stack)
    data = api_of(actor).call(
        operation.method, fill(operation.route, actor, stack), body, stack.template.deferred
    )
    if stack_life.act(actor, operation, stack, data, "UPDATE_COMPLETE"):
        stack.version += 1


def action(actor: Actor, operation: Operation) -> None:
    """Suspend, resume or check a stack, as the operation's name says."""
    stack = stack_for(actor, operation)
    data = api_of(actor).call("POST", fill(operation.route, actor, stack), {operation.handler: None})
    stack_life.act(actor, operation, stack, data, f"{operation.name.upper()}_COMPLETE")


HELD_UPDATE = Operation("rest", "update-held", frozenset({202}), False)
"""The update that is going to be cancelled."""


def cancel_update(actor: Actor, operation: Operation) -> None:
    """Begin an update that takes long, cancel it, and poll until it is rolled back."""
    _cancel(actor, operation, "ROLLBACK_COMPLETE")


def cancel_without_rollback(actor: Actor, operation: Operation) -> None:
    """Begin an update that takes long and cancel it; repair the failed stack that this leaves."""
    stack = _cancel(actor, operation, "UPDATE_FAILED")
    if stack.state == "UPDATE_FAILED":
        path = fill(_PATH, actor, stack)
        data = api_of(actor).call("PUT", path, changed_body(actor, stack), stack.template.deferred)
        stack_life.act(actor, REPAIR, stack, data, "UPDATE_COMPLETE")


REPAIR = Operation("rest", "update-mending", frozenset({202}), False)
"""The update that follows one which was cancelled without a rollback."""

_PATH = "/stacks/{stack_name}/{stack_id}"


def _cancel(actor: Actor, operation: Operation, end: str) -> Stack:
    stack = stack_for(actor, operation)
    api = api_of(actor)
    body = changed_body(actor, stack, stack_life.HOLD_S)
    update = api.call("PUT", fill(_PATH, actor, stack), body, stack.template.deferred)
    cancellation = api.call("POST", fill(operation.route, actor, stack), {operation.handler: None})
    stack_life.cancel(actor, stack, (HELD_UPDATE, update), (operation, cancellation), end)
    return stack


def snapshot(actor: Actor, operation: Operation) -> None:
    """Take a snapshot."""
    stack = stack_for(actor, operation)
    path = fill(operation.route, actor, stack)
    data = api_of(actor).call("POST", path, {"name": f"{stack.target.name}-snapshot"})
    answer, snapshot_id = actor.request(operation, data, lambda answer: id_in(answer, "id"))
    if snapshot_id is None:
        stack_life.note_failure(stack, answer)
        return
    if stack_life.await_action(actor, operation, stack, answer, "SNAPSHOT_COMPLETE"):
        stack.snapshots.append(snapshot_id)


def snapshot_delete(actor: Actor, operation: Operation) -> None:
    """Delete a stack's oldest snapshot."""
    stack = stack_for(actor, operation)
    answer = request_about(actor, operation, stack, SingleRequest(begins=""))
    if not answer.error or answers.meaning(answer).unknown:
        del stack.snapshots[0]


def snapshot_restore(actor: Actor, operation: Operation) -> None:
    """Restore a stack from its oldest snapshot."""
    stack = stack_for(actor, operation)
    data = api_of(actor).call("POST", fill(operation.route, actor, stack))
    stack_life.act(actor, operation, stack, data, "RESTORE_COMPLETE")


def abandon(actor: Actor, operation: Operation) -> None:
    """Abandon a stack, and keep its data for `adopt`."""
    stack = stack_for(actor, operation)
    answer = request_about(actor, operation, stack, SingleRequest(), _description)
    if answer.error:
        stack_life.note_failure(stack, answer)
        return
    actor.abandoned.append(answer.body)
    stack_life.await_gone(actor, operation, stack, answer)


def _description(abandoned: bytes) -> str:
    """The description of the template in the data of an abandoned stack."""
    template = foreign.table(foreign.member(foreign.json_value(abandoned), "template"))
    return foreign.text(template.get("description") or "")


def adopt(actor: Actor, operation: Operation) -> None:
    """Create a stack from the data of an abandoned one."""
    data: bytes = ABANDONED.of(actor)[0]
    actor.abandoned.remove(data)
    body = {"adopt_stack_data": data.decode(), "timeout_mins": 10, "disable_rollback": True}
    name_of = _description(data)
    template = next((t for t in actor.templates if name_of and name_of in t.text), actor.templates[0])
    stack_life.make(
        actor,
        operation,
        template,
        lambda name: api_of(actor).call("POST", "/stacks", {"stack_name": name, **body}, template.deferred),
        stack_life.ADOPTED,
    )


def mark_unhealthy(actor: Actor, operation: Operation) -> None:
    """Mark a resource as unhealthy, and then as healthy."""
    stack = stack_for(actor, operation)
    path = fill(operation.route, actor, stack)
    for wanted, unhealthy in ((operation, True), (MARK_HEALTHY, False)):
        body = {"mark_unhealthy": unhealthy, "resource_status_reason": "load"}
        answer, _ = actor.request(wanted, api_of(actor).call("PATCH", path, body))
        if answer.error:
            stack.state = ""  # with a resource that is still marked, hardly any action succeeds
            return


def resource_events(actor: Actor, operation: Operation) -> None:
    """Read the events of a resource; the first one is kept for the operation `event`."""
    stack = stack_for(actor, operation)
    resource = actor.random.choice(list(stack.template.resources))
    path = fill(operation.route.replace("{resource_name}", quote(resource, safe="")), actor, stack)
    _, events = actor.request(
        operation, api_of(actor).call("GET", path), lambda answer: ids_in(answer, "events")
    )
    if events:
        stack.event = resource, events[0]
