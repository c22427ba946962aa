"""How the operations of the CFN API are performed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from calorimeter.core.foreign import UnintelligibleError
from calorimeter.load.apis.cfn import CfnApi
from calorimeter.load.http.client import Answer
from calorimeter.load.operations import stack_life
from calorimeter.load.operations.operation import Actor, Operation, Stack
from calorimeter.load.operations.subjects import stack_for
from calorimeter.workload.template import HOLD, VALUE

HELD_UPDATE = Operation("cfn", "UpdateStackHeld", frozenset({200}), False)
"""The update that is going to be cancelled."""

FormPart = Callable[[Actor, Any], dict[str, str]]


def api_of(actor: Actor) -> CfnApi:
    """The user's API, which must be the CFN API."""
    assert isinstance(actor.api, CfnApi)
    return actor.api


def stack_name(actor: Actor, stack: Stack) -> dict[str, str]:
    """The parameter that names a stack, by its ARN."""
    return {"StackName": stack.target.identity}


def logical_resource(actor: Actor, stack: Stack) -> dict[str, str]:
    """The parameter that names one of the stack's resources."""
    return {"LogicalResourceId": actor.random.choice(list(stack.template.resources))}


def template_body(actor: Actor, thing: object) -> dict[str, str]:
    """The parameter with one of the user's templates."""
    return {"TemplateBody": actor.random.choice(actor.templates).text}


class SingleAction:
    """Performs an action that is one request; its answer must contain the XML element `element`."""

    def __init__(self, element: str, *parts: FormPart) -> None:
        self._element = f"<{element}".encode()
        self._parts = parts

    def __call__(self, actor: Actor, operation: Operation) -> None:
        """Perform the action once."""
        subject = operation.subject
        thing = actor.random.choice(subject.of(actor)) if subject else None
        form = {name: value for part in self._parts for name, value in part(actor, thing).items()}
        actor.request(operation, api_of(actor).call(operation.name, **form), self._understand)

    def _understand(self, answer: Answer) -> bool:
        if self._element not in answer.body:
            raise UnintelligibleError(f"no {self._element.decode()}>")
        return True


def _changed(actor: Actor, stack: Stack, hold_s: int = 0) -> bytes:
    values = {VALUE: f"version-{stack.version + 1}", HOLD: str(hold_s)}
    known = [(name, value) for name, value in values.items() if name in stack.template.parameters]
    form = {"StackName": stack.target.identity, "TemplateBody": stack.template.text}
    for number, (name, value) in enumerate(known, 1):
        form[f"Parameters.member.{number}.ParameterKey"] = name
        form[f"Parameters.member.{number}.ParameterValue"] = value
    return api_of(actor).call("UpdateStack", **form)


def update(actor: Actor, operation: Operation) -> None:
    """Update a stack with its own template and another value of its parameter."""
    stack = stack_for(actor, operation)
    if stack_life.act(actor, operation, stack, _changed(actor, stack), "UPDATE_COMPLETE"):
        stack.version += 1


def cancel_update(actor: Actor, operation: Operation) -> None:
    """Begin an update that takes long, cancel it, and poll until it is rolled back."""
    stack = stack_for(actor, operation)
    cancellation = api_of(actor).call(operation.name, StackName=stack.target.identity)
    update = _changed(actor, stack, stack_life.HOLD_S)
    stack_life.cancel(actor, stack, (HELD_UPDATE, update), (operation, cancellation))
