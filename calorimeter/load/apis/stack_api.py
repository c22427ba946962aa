"""What an API of Heat looks like to a user of stacks, whichever of the two it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from calorimeter.load.http.client import Answer
from calorimeter.workload.template import Template


class UnintelligibleError(ValueError):
    """An answer with the right status whose body does not say what it must."""


@dataclass(frozen=True, slots=True)
class Target:
    """A stack, as both APIs name it: `identity` is the REST id or the CFN ARN."""

    name: str
    stack_id: str
    identity: str


class StackApi(Protocol):
    """Requests as bytes, and what users need of answers; parsers raise `UnintelligibleError`."""

    name: str
    kind: str
    """How Locust's page calls it."""

    gone_statuses: frozenset[int]
    """Statuses that say that a stack does not exist."""

    def list(self) -> bytes:
        """All stacks of the project."""

    def show(self, stack: Target) -> bytes:
        """One stack with its state."""

    def show_resource(self, stack: Target, resource: str) -> bytes:
        """One resource of a stack with its state."""

    def create(self, name: str, template: Template) -> bytes:
        """A new stack."""

    def delete(self, stack: Target) -> bytes:
        """Remove a stack."""

    def check_list(self, answer: Answer) -> None:
        """Whether the answer is a list of stacks."""

    def created(self, answer: Answer, name: str) -> Target:
        """The stack that was accepted."""

    def state(self, answer: Answer) -> str:
        """The state in a `show`, such as CREATE_COMPLETE."""

    def request_id(self, answer: Answer) -> bytes:
        """The id by which Heat knows the request; empty where it gives none."""
