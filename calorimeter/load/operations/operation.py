"""What an operation is, and what it needs to know of the user who does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol, TypeVar

from calorimeter.load.apis.stack_api import StackApi, Target
from calorimeter.load.http.client import Answer
from calorimeter.load.operations.quota import Quota
from calorimeter.load.recording.recorder import Action, Entry
from calorimeter.workload.template import Template

T = TypeVar("T")


@dataclass(slots=True)
class Stack:
    """A stack of a user, with its row of the ledger.

    `state` is the last one seen, such as CREATE_COMPLETE; empty where it is not known. `version` counts its
    updates. `urls` are the addresses at which its handles take signals.
    """

    target: Target
    entry: Entry
    template: Template
    state: str = ""
    version: int = 0
    snapshots: list[str] = field(default_factory=list)
    event: tuple[str, str] | None = None
    """A resource and the id of one of its events."""
    urls: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Config:
    """A software configuration of a user."""

    config_id: str
    deployments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Belongings:
    """What a user has besides stacks."""

    configs: list[Config] = field(default_factory=list)
    abandoned: list[bytes] = field(default_factory=list)
    """What Heat gave of stacks that it forgot, as JSON."""


class Actor(Protocol):
    """A user, as operations see it."""

    api: StackApi
    stacks: list[Stack]
    stacks_max: int
    belongings: Belongings
    quota: Quota
    templates: tuple[Template, ...]
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

    def acted(self, action: Action, problem: str) -> None:
        """Record how long an action on a stack took from its acceptance; `problem` as above."""

    def finish(self, stack: Stack) -> None:
        """Nothing more will happen to a stack: write its row."""

    def unaccounted(self, name: str) -> None:
        """A stack of this name may exist although no answer said so."""

    def next_name(self) -> str:
        """A name for a new stack."""

    def until_ns(self, within_s: float) -> int:
        """When something that may take `within_s` must end, the end of the run considered."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What an operation is done to: `of` gives all that a user has of it."""

    name: str
    of: Callable[[Actor], Sequence[object]]


@dataclass(frozen=True, slots=True)
class Trait:
    """What a template must have for an operation to be possible on its stacks."""

    name: str
    shown_by: Callable[[Template], bool]


def always(actor: Actor) -> bool:
    """Possible at any time."""
    return True


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One kind of request: the statuses it expects, and how a user does it (None: never by itself).

    `method`, `route` and `handler` are Heat's own words for what is called: a route of heat-api and the
    method of its controller, or an action of the CFN API. `subject` is what it is done to, `gives` are the
    subjects that exist after it, `trait` is what a template must have. `asked_by` is the API in whose
    users' mix it is, where that is not `api`.
    """

    api: str
    name: str
    expected: frozenset[int]
    repeatable: bool = True
    perform: Callable[[Actor, Operation], None] | None = None
    possible: Callable[[Actor], bool] = always
    method: str = ""
    route: str = ""
    handler: str = ""
    subject: Subject | None = None
    gives: tuple[Subject, ...] = ()
    trait: Trait | None = None
    asked_by: str = ""
