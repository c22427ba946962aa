"""What an operation is, and what it needs of the user who performs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol, TypeVar

from calorimeter.load.apis.quota import Quota
from calorimeter.load.apis.stack_api import StackApi, StackIdentity
from calorimeter.load.http.client import Answer
from calorimeter.load.recording.recorder import ActionRow, LedgerRow
from calorimeter.workload.template import Template

T = TypeVar("T")


@dataclass(slots=True)
class Stack:
    """A stack of a user, with its row of the ledger.

    `state` is the latest known one, such as CREATE_COMPLETE; empty if unknown. `version` counts updates.
    `urls` are the addresses at which its handles take signals, by handle.
    """

    target: StackIdentity
    entry: LedgerRow
    template: Template
    state: str = ""
    version: int = 0
    snapshots: list[str] = field(default_factory=list)
    event: tuple[str, str] | None = None
    """A resource and the id of one of its events."""
    urls: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class SoftwareConfig:
    """A software configuration of a user."""

    config_id: str
    deployments: list[str] = field(default_factory=list)


class Actor(Protocol):
    """A user, as far as operations need it."""

    api: StackApi
    stacks: list[Stack]
    stacks_max: int
    configs: list[SoftwareConfig]
    abandoned: list[bytes]
    """The data of abandoned stacks, as JSON."""

    quota: Quota
    templates: tuple[Template, ...]
    random: Random
    number: int
    poll_s: float
    complete_within_s: float

    def request(
        self, operation: Operation, data: bytes, understand: Callable[[Answer], T] | None = None
    ) -> tuple[Answer, T | None]:
        """Send, judge and record. The value is that of `understand` for an expected answer, else None."""

    def accepted(self, stack: Stack) -> None:
        """Add a stack that was accepted to the user's stacks."""

    def completed(self, entry: LedgerRow, problem: str) -> None:
        """Report how long a create took; `problem` is empty if the stack became complete."""

    def acted(self, action: ActionRow, problem: str) -> None:
        """Record how long an action on a stack took from its acceptance; `problem` as in `completed`."""

    def finish(self, stack: Stack) -> None:
        """Write the row of a stack to which nothing more will happen."""

    def unaccounted(self, name: str) -> None:
        """Note that a stack of this name may exist although no answer confirmed it."""

    def next_name(self) -> str:
        """A unique name for a new stack."""

    def until_ns(self, within_s: float) -> int:
        """The deadline of something that may take `within_s`; not after the end of the run."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What an operation acts on; `of` returns all such objects of a user."""

    name: str
    of: Callable[[Actor], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Trait:
    """What a template must have so that an operation is possible on its stacks."""

    name: str
    shown_by: Callable[[Template], bool]


def always(actor: Actor) -> bool:
    """Possible at any time."""
    return True


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One kind of request: the expected statuses, and how a user performs it (None: only part of others).

    `method`, `route` and `handler` are Heat's: a route of heat-api and the method of its controller, or an
    action of the CFN API. `gives` are the subjects that exist after it, `trait` is what a template must
    have. `asked_by` is the API whose users have it in their mix, if that is not `api`.
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
