"""One REST request: its path and body, and the check of its answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID

from calorimeter.core import foreign
from calorimeter.core.foreign import UnintelligibleError
from calorimeter.load.apis.rest import RestApi, text_of
from calorimeter.load.http.client import Answer
from calorimeter.load.operations.operation import Actor, Operation, Stack
from calorimeter.workload.template import HOLD, VALUE

TYPE = "OS::Heat::TestResource"
VERSION = "heat_template_version.2018-08-31"

REDIRECTED = Operation("rest", "redirected", frozenset({200}))
"""Reading the stack that a lookup found, at the address in its answer."""

Value = Callable[[Actor, Any], str]


def api_of(actor: Actor) -> RestApi:
    """The user's API, which must be the REST API."""
    assert isinstance(actor.api, RestApi)
    return actor.api


def server_id(actor: Actor) -> str:
    """The id of the server that a user pretends to have."""
    return str(UUID(int=0xCA10 << 112 | actor.number))


def _resource(actor: Actor, stack: Stack) -> str:
    name = stack.event[0] if stack.event else actor.random.choice(list(stack.template.resources))
    return quote(name, safe="")


def _arn(actor: Actor, stack: Stack) -> str:
    project = api_of(actor).project_id
    return quote(f"arn:openstack:heat::{project}:stacks/{stack.target.name}/{stack.target.stack_id}", "")


ROUTE_VALUES: dict[str, Value] = {
    "stack_name": lambda actor, stack: stack.target.name,
    "stack_id": lambda actor, stack: stack.target.stack_id,
    "arn": _arn,
    "resource_name": _resource,
    "event_id": lambda actor, stack: stack.event[1] if stack.event else "",
    "output_key": lambda actor, stack: quote(actor.random.choice(stack.template.outputs), safe=""),
    "snapshot_id": lambda actor, stack: stack.snapshots[0],
    "config_id": lambda actor, config: config.config_id,
    "deployment_id": lambda actor, config: config.deployments[0],
    "server_id": lambda actor, thing: server_id(actor),
    "type_name": lambda actor, thing: TYPE,
    "template_version": lambda actor, thing: VERSION,
}
"""The values of a route's parameters, by their names."""

_PLACE = re.compile(r"\{(\w+)\}")


def fill(path: str, actor: Actor, thing: object) -> str:
    """A path with the values of its parameters."""
    if "{" not in path:
        return path
    return _PLACE.sub(lambda place: ROUTE_VALUES[place[1]](actor, thing), path)


def template_body(actor: Actor, thing: object) -> object:
    """One of the user's templates."""
    return text_of(actor.random.choice(actor.templates))


def preview_body(actor: Actor, thing: object) -> object:
    """A stack that is not going to be created."""
    return {"stack_name": actor.next_name(), **text_of(actor.random.choice(actor.templates))}


def changed_body(actor: Actor, stack: Stack, hold_s: int = 0) -> dict[str, object]:
    """A stack's whole template, with the next value."""
    return {**text_of(stack.template), **patched_body(actor, stack, hold_s)}


def patched_body(actor: Actor, stack: Stack, hold_s: int = 0) -> dict[str, object]:
    """Only the parameters that change, if the template has them: the next value, and how long it takes."""
    values = {VALUE: f"version-{stack.version + 1}", HOLD: hold_s}
    return {"parameters": {n: v for n, v in values.items() if n in stack.template.parameters}}


def deployed_body(actor: Actor, thing: object) -> object:
    """A software deployment that has succeeded."""
    return {"status": "COMPLETE", "status_reason": "deployed", "output_values": {"deploy_status_code": 0}}


@dataclass(frozen=True, slots=True)
class SingleRequest:
    """Performs an operation that is one request. `path` defaults to the operation's route.

    The answer must begin with `begins`. With `follow`, the address of a redirect is read as well.
    """

    path: str = ""
    query: str = ""
    body: Callable[[Actor, Any], object] | None = None
    begins: str = "{"
    follow: bool = False

    def __call__(self, actor: Actor, operation: Operation) -> None:
        """Perform the operation once."""
        subject = operation.subject
        thing = actor.random.choice(subject.of(actor)) if subject else None
        request_about(actor, operation, thing, self)


def request_about(
    actor: Actor,
    operation: Operation,
    thing: object,
    how: SingleRequest,
    read: Callable[[bytes], object] | None = None,
) -> Answer:
    """Send the request of an operation on this thing, and check how the answer begins.

    `read` reads the whole body, and raises UnintelligibleError if it lacks something.
    """
    path = fill(how.path or operation.route, actor, thing)
    if how.query:
        path += "?" + fill(how.query, actor, thing)
    begins = how.begins.encode()

    def begins_well(answer: Answer) -> bool:
        if not answer.body.startswith(begins):
            raise UnintelligibleError(f"does not begin with {how.begins}")
        if read is not None:
            read(answer.body)
        if how.follow:
            foreign.location(answer.location)
        return True

    body = how.body(actor, thing) if how.body else None
    deferred = bool(body) and any(template.deferred for template in actor.templates)
    data = api_of(actor).call(operation.method, path, body, deferred)
    answer, _ = actor.request(operation, data, begins_well)
    if how.follow and not answer.error:
        actor.request(REDIRECTED, api_of(actor).outside(foreign.location(answer.location)))
    return answer
