"""What operations act on, what templates must have for them, and the rows of their tables."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from calorimeter.load.operations.operation import (
    Actor,
    Operation,
    SoftwareConfig,
    Stack,
    Subject,
    Trait,
    always,
)
from calorimeter.workload.template import HOLD, VALUE, Template


def _having(test: Callable[[Stack], object]) -> Callable[[Actor], list[Stack]]:
    return lambda actor: [stack for stack in actor.stacks if test(stack)]


def usable(stack: Stack) -> bool:
    """Whether the latest action on a stack succeeded and left it running."""
    return stack.state.endswith("_COMPLETE") and stack.state != "SUSPEND_COMPLETE"


def _any_stack(actor: Actor) -> list[Stack]:
    return actor.stacks


STACK = Subject("a stack", _any_stack)
COMPLETE = Subject("a complete stack", _having(usable))
SUSPENDED = Subject("a suspended stack", _having(lambda stack: stack.state == "SUSPEND_COMPLETE"))
SNAPSHOT = Subject("a stack with a snapshot", _having(lambda stack: usable(stack) and stack.snapshots))
EVENT = Subject("a known event", _having(lambda stack: stack.event))
CONFIG = Subject("a software config", lambda actor: actor.configs)
UNUSED_CONFIG = Subject(
    "a software config without deployments",
    lambda actor: [config for config in actor.configs if not config.deployments],
)
DEPLOYMENT = Subject(
    "a software deployment",
    lambda actor: [config for config in actor.configs if config.deployments],
)
ABANDONED = Subject("an abandoned stack", lambda actor: actor.abandoned)

NEEDS = {SNAPSHOT: (COMPLETE,), EVENT: (STACK,), SUSPENDED: (COMPLETE,)}


@cache
def complete_but(state: str) -> Subject:
    """A complete stack in another state: only then does the state show the end of an action."""
    return Subject(COMPLETE.name, _having(lambda stack: usable(stack) and stack.state != state))


@cache
def with_trait(subject: Subject, trait: Trait) -> Subject:
    """Those stacks of a subject whose template has a trait."""
    return Subject(
        subject.name,
        lambda actor: [stack for stack in subject.of(actor) if trait.shown_by(stack.template)],
    )


def stack_for(actor: Actor, operation: Operation) -> Stack:
    """A stack for an operation on stacks, drawn with the user's own random numbers."""
    assert operation.subject is not None
    stack: Stack = actor.random.choice(operation.subject.of(actor))
    return stack


def config_for(actor: Actor, operation: Operation) -> SoftwareConfig:
    """A software configuration for an operation on them, drawn with the user's own random numbers."""
    assert operation.subject is not None
    config: SoftwareConfig = actor.random.choice(operation.subject.of(actor))
    return config


def exists(subject: Subject) -> Callable[[Actor], bool]:
    """The condition that a user has an object of a subject."""
    return lambda actor: bool(subject.of(actor))


def has_room(actor: Actor) -> bool:
    """Whether the user and its tenant may have one more stack."""
    return len(actor.stacks) < actor.stacks_max and actor.quota.left()


def operation(
    api: str,
    name: str,
    method: str,
    route: str,
    handler: str,
    perform: Callable[[Actor, Operation], None],
    *expected: int,
    subject: Subject | None = None,
    trait: Trait | None = None,
    gives: tuple[Subject, ...] = (),
    repeatable: bool | None = None,
    possible: Callable[[Actor], bool] | None = None,
    asked_by: str = "",
) -> Operation:
    """A row of a table: `expected` defaults to 200, `possible` to the condition that its subject exists.

    Repeatable by default: GET and PUT, which only read or set, and all actions of the CFN API.
    """
    if subject is not None and trait is not None:
        subject = with_trait(subject, trait)
    return Operation(
        api,
        name,
        frozenset(expected or (200,)),
        method in ("GET", "PUT") or api == "cfn" if repeatable is None else repeatable,
        perform,
        possible or (exists(subject) if subject else always),
        method,
        route,
        handler,
        subject,
        gives,
        trait,
        asked_by,
    )


def _has_url(method: str) -> Callable[[Template], bool]:
    return lambda template: any(taken == method for _, taken in template.signal_outputs.values())


OUTPUTS = Trait("an output", lambda template: bool(template.outputs))
HANDLES = Trait(
    "a resource that takes signals, such as OS::Heat::WaitConditionHandle",
    lambda template: bool(template.handles),
)
HOLDS = Trait(
    f"the parameters {VALUE!r} and {HOLD!r}, which make an update take long",
    lambda template: {VALUE, HOLD} <= template.parameters,
)
NO_WAITS = Trait(
    "no wait condition (Heat cannot restore one: its handle's address was signed for another time)",
    lambda template: not template.waits,
)
CONDITION_URL = Trait(
    "an output with the Ref of an AWS::CloudFormation::WaitConditionHandle", _has_url("PUT")
)
ALARM_URL = Trait("an output with the alarm_url of an OS::Heat::ScalingPolicy", _has_url("POST"))
