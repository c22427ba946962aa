"""The operations on stacks that both of Heat's APIs have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from calorimeter.load.http.client import Answer
from calorimeter.workload.template import Template


@dataclass(frozen=True, slots=True)
class StackIdentity:
    """A stack, as an API names it: `identity` is the REST id or the CFN ARN."""

    name: str
    stack_id: str
    identity: str


class StackApi(Protocol):
    """Requests as bytes, and parsers of answers, which raise UnintelligibleError and nothing else."""

    name: str
    gone_statuses: frozenset[int]
    """Statuses that mean that a stack does not exist."""

    def list(self) -> bytes:
        """List all stacks of the project."""

    def show(self, stack: StackIdentity) -> bytes:
        """Show one stack with its state."""

    def show_resource(self, stack: StackIdentity, resource: str) -> bytes:
        """Show one resource of a stack with its state."""

    def create(self, name: str, template: Template) -> bytes:
        """Create a stack."""

    def delete(self, stack: StackIdentity) -> bytes:
        """Delete a stack."""

    def check_list(self, answer: Answer) -> None:
        """Check that the answer is a list of stacks."""

    def created(self, answer: Answer, name: str) -> StackIdentity:
        """The stack whose create was accepted."""

    def state(self, answer: Answer) -> str:
        """The state in an answer to `show`, such as CREATE_COMPLETE."""
