"""What users can do, by API and name: the names are those of scenarios and of samples.

An operation is one kind of request with the statuses that it expects. `perform` does it once for a user;
those without it (`wait`, `gone`) happen as part of others and cannot be put into a mix. Further families of
operations register themselves here in modules of their own.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Protocol, TypeVar

import gevent

from calorimeter.errors import InputError, unknown
from loadtests.api import StackApi, Target
from loadtests.client import Answer
from loadtests.clock import now_ns
from loadtests.recorder import Entry
from scenarios.scenario import Scenario

T = TypeVar("T")

FINAL = ("CREATE_COMPLETE", "CREATE_FAILED")
UNKNOWN_OUTCOME = ("timeout", "closed", "protocol", "body")
"""Errors after which a create may have been carried out."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of request: the statuses it expects, and how a user does it (None: never by itself)."""

    api: str
    name: str
    expected: frozenset[int]
    repeatable: bool
    perform: Callable[[Actor, Operation], None] | None
    possible: Callable[[Actor], bool]


@dataclass(slots=True)
class Stack:
    """A stack of a user, with its row of the ledger."""

    target: Target
    entry: Entry


class Actor(Protocol):
    """A user, as operations see it."""

    api: StackApi
    stacks: list[Stack]
    stacks_max: int
    random: Random
    number: int
    poll_s: float
    complete_within_s: float

    def request(
        self, operation: Operation, data: bytes, understand: Callable[[Answer], T] | None = None
    ) -> tuple[Answer, T | None]:
        """Send, judge, record. The value is what `understand` made of an expected answer, else None."""

    def completed(self, entry: Entry, problem: str) -> None:
        """Report how long a stack took; `problem` is empty where it became complete."""

    def finish(self, stack: Stack) -> None:
        """Nothing more will happen to a stack: write its row."""

    def unaccounted(self, name: str) -> None:
        """A stack of this name may exist although no answer said so."""

    def next_name(self) -> str:
        """A name for a new stack."""

    def until_ns(self, within_s: float) -> int:
        """When something that may take `within_s` must end, the end of the run considered."""


def always(actor: Actor) -> bool:
    """Possible at any time."""
    return True


REGISTRY: dict[tuple[str, str], Operation] = {}


def register(
    api: str,
    name: str,
    perform: Callable[[Actor, Operation], None] | None,
    *expected: int,
    repeatable: bool = True,
    possible: Callable[[Actor], bool] = always,
) -> Operation:
    """Add an operation."""
    operation = REGISTRY[api, name] = Operation(
        api, name, frozenset(expected), repeatable, perform, possible
    )
    return operation


def mixable(api: str) -> dict[str, Operation]:
    """The operations of one API that a scenario may name."""
    return {name: op for (of, name), op in REGISTRY.items() if of == api and op.perform is not None}


def check(scenario: Scenario) -> None:
    """Raise `InputError` where a scenario names an operation that there is not."""
    for api in ("rest", "cfn"):
        load = scenario.load(api)
        for name in load.mix if load else ():
            if name not in mixable(api):
                raise unknown(f"{scenario.path}: {api}.mix", "operation", name, mixable(api))
    known = {"*", *(f"{api}.{name}" for api, name in REGISTRY)}
    for number, objective in enumerate(scenario.objectives, 1):
        if objective.operation not in known:
            raise unknown(f"{scenario.path}: objectives[{number}]", "operation", objective.operation, known)


class Mix:
    """Operations with weights, drawn from again and again; shared by all users of an API."""

    def __init__(self, weights: dict[Operation, float]) -> None:
        self._weights = weights
        self._conditions = [
            (1 << number, op.possible) for number, op in enumerate(weights) if op.possible is not always
        ]
        self._drawers: dict[int, tuple[list[Operation], list[float]]] = {}

    def draw(self, actor: Actor) -> Operation | None:
        """One of the operations that are possible now, by weight; None where none is."""
        impossible = 0
        for bit, possible in self._conditions:
            if not possible(actor):
                impossible |= bit
        operations, bounds = self._drawers.get(impossible) or self._drawer(impossible)
        if not operations:
            return None
        return operations[bisect(bounds, actor.random.random() * bounds[-1], 0, len(bounds) - 1)]

    def _drawer(self, impossible: int) -> tuple[list[Operation], list[float]]:
        possible = {
            op: weight
            for number, (op, weight) in enumerate(self._weights.items())
            if not impossible >> number & 1
        }
        drawer = self._drawers[impossible] = list(possible), list(accumulate(possible.values()))
        return drawer


# Stacks: the same life on both APIs.


def has_stack(actor: Actor) -> bool:
    """Whether the user has a stack."""
    return bool(actor.stacks)


def has_room(actor: Actor) -> bool:
    """Whether the user may have one more."""
    return len(actor.stacks) < actor.stacks_max


def list_stacks(actor: Actor, operation: Operation) -> None:
    """List all stacks of the project."""
    actor.request(operation, actor.api.list(), actor.api.check_list)


def show(actor: Actor, operation: Operation) -> None:
    """Show one of the user's stacks."""
    stack = actor.random.choice(actor.stacks)
    actor.request(operation, actor.api.show(stack.target), actor.api.state)


def create(actor: Actor, operation: Operation) -> None:
    """Create a stack and look until it is complete."""
    name = actor.next_name()
    try:
        answer, target = actor.request(
            operation, actor.api.create(name), lambda answer: actor.api.created(answer, name)
        )
    except gevent.GreenletExit:
        actor.unaccounted(name)
        raise
    if target is None:
        if answer.error in UNKNOWN_OUTCOME or answer.status >= 500:
            actor.unaccounted(name)
        return
    request_id = actor.api.request_id(answer).decode("ascii", "replace")
    entry = Entry(target.stack_id, name, actor.api.name, request_id, answer.done_ns, actor.number)
    stack = Stack(target, entry)
    actor.stacks.append(stack)
    await_final(actor, stack)


def await_final(actor: Actor, stack: Stack) -> None:
    """Look at a new stack until it is in a final state, or time is up."""
    entry = stack.entry
    until = min(
        actor.until_ns(actor.complete_within_s), entry.accepted_ns + int(actor.complete_within_s * 1e9)
    )
    operation = REGISTRY[actor.api.name, "wait"]
    while now_ns() < until:
        gevent.sleep(actor.poll_s)
        answer, state = actor.request(operation, actor.api.show(stack.target), actor.api.state)
        if state in FINAL:
            entry.final_ns, entry.final_state = answer.done_ns, state
            actor.completed(entry, "" if state == "CREATE_COMPLETE" else state)
            return
    actor.completed(entry, "not complete in time")


def delete(actor: Actor, operation: Operation) -> None:
    """Delete the user's oldest stack and look until it is gone."""
    stack = actor.stacks[0]
    answer, _ = actor.request(operation, actor.api.delete(stack.target))
    if answer.status in actor.api.gone_statuses:
        actor.finish(stack)  # not there, although nobody else may have removed it: the sample is an error
    elif not answer.error:
        await_gone(actor, stack)


def await_gone(actor: Actor, stack: Stack) -> None:
    """Look at a stack that is being deleted until it is gone, or time is up."""
    operation = REGISTRY[actor.api.name, "gone"]
    gone = actor.api.gone_statuses
    until = actor.until_ns(actor.complete_within_s)
    while now_ns() < until:
        gevent.sleep(actor.poll_s)
        answer, state = actor.request(
            operation,
            actor.api.show(stack.target),
            lambda answer: "DELETE_COMPLETE" if answer.status in gone else actor.api.state(answer),
        )
        if state == "DELETE_COMPLETE":
            stack.entry.deleted_ns = answer.done_ns
            break
        if state == "DELETE_FAILED":
            break
    actor.finish(stack)


def _stacks(api: str, names: dict[str, str], *, created: int, deleted: int, gone: tuple[int, ...]) -> None:
    register(api, names["list"], list_stacks, 200)
    register(api, names["show"], show, 200, possible=has_stack)
    register(api, names["create"], create, created, repeatable=False, possible=has_room)
    register(api, names["delete"], delete, deleted, possible=has_stack)
    register(api, "wait", None, 200)
    register(api, "gone", None, 200, *gone)


_stacks(
    "rest",
    {"list": "list", "show": "show", "create": "create", "delete": "delete"},
    created=201,
    deleted=204,
    gone=(404,),
)
_stacks(
    "cfn",
    {"list": "ListStacks", "show": "DescribeStacks", "create": "CreateStack", "delete": "DeleteStack"},
    created=200,
    deleted=200,
    gone=(400, 404),
)

DELETE = {"rest": REGISTRY["rest", "delete"], "cfn": REGISTRY["cfn", "DeleteStack"]}
"""The operation that removes a stack, by API."""


def mix_of(scenario: Scenario, api: str) -> Mix:
    """The mix of one API's users; raises `InputError` where the scenario has none."""
    load = scenario.load(api)
    if load is None:
        raise InputError(str(scenario.path), f"has no [{api}] table")
    return Mix({REGISTRY[api, name]: weight for name, weight in load.mix.items()})
