"""What operations are done to, and what templates must have for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeVar, cast

from calorimeter.load.operations.operation import Actor, Config, Stack, Subject, Trait
from calorimeter.workload.template import HOLD, VALUE, Template

S = TypeVar("S")


def _having(test: Callable[[Stack], object]) -> Callable[[Actor], list[Stack]]:
    return lambda actor: [stack for stack in actor.stacks if test(stack)]


def usable(stack: Stack) -> bool:
    """Whether a stack's last action succeeded and left it running."""
    return stack.state.endswith("_COMPLETE") and stack.state != "SUSPEND_COMPLETE"


def _any_stack(actor: Actor) -> list[Stack]:
    return actor.stacks


STACK = Subject("a stack", _any_stack)
COMPLETE = Subject("a complete stack", _having(usable))
SUSPENDED = Subject("a suspended stack", _having(lambda stack: stack.state == "SUSPEND_COMPLETE"))
SNAPSHOT = Subject("a stack with a snapshot", _having(lambda stack: usable(stack) and stack.snapshots))
EVENT = Subject("a known event", _having(lambda stack: stack.event))
CONFIG = Subject("a software config", lambda actor: actor.belongings.configs)
UNUSED_CONFIG = Subject(
    "a software config without deployments",
    lambda actor: [config for config in actor.belongings.configs if not config.deployments],
)
DEPLOYMENT = Subject(
    "a software deployment",
    lambda actor: [config for config in actor.belongings.configs if config.deployments],
)
ABANDONED = Subject("an abandoned stack", lambda actor: actor.belongings.abandoned)

NEEDS = {SNAPSHOT: (COMPLETE,), EVENT: (STACK,), SUSPENDED: (COMPLETE,)}


@cache
def complete_but(state: str) -> Subject:
    """A complete stack whose last state is another one: only so can an action's own end be told."""
    return Subject(COMPLETE.name, _having(lambda stack: usable(stack) and stack.state != state))


@cache
def with_trait(subject: Subject, trait: Trait) -> Subject:
    """Of those stacks only the ones whose template has something."""
    return Subject(
        subject.name,
        lambda actor: [s for s in cast(list[Stack], subject.of(actor)) if trait.shown_by(s.template)],
    )


def stack_of(actor: Actor, subject: Subject) -> Stack:
    """One of the stacks, drawn by the user's own random numbers."""
    return cast(Stack, actor.random.choice(subject.of(actor)))


def config_of(actor: Actor, subject: Subject) -> Config:
    """One of the configurations, likewise."""
    return cast(Config, actor.random.choice(subject.of(actor)))


def exists(subject: Subject) -> Callable[[Actor], bool]:
    """Whether a user has one."""
    return lambda actor: bool(subject.of(actor))


def has_room(actor: Actor) -> bool:
    """Whether a user, and the tenant, may have one more stack."""
    return len(actor.stacks) < actor.stacks_max and actor.quota.left()


def _has_outputs(template: Template) -> bool:
    return bool(template.outputs)


def _has_handles(template: Template) -> bool:
    return bool(template.handles)


def _has_url(method: str) -> Callable[[Template], bool]:
    return lambda template: any(its == method for _, its in template.signal_outputs.values())


OUTPUTS = Trait("an output", _has_outputs)
HANDLES = Trait("a resource that takes signals, such as OS::Heat::WaitConditionHandle", _has_handles)
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
