"""The end of a stack's life: when it counts as gone, and what the end of the run searches for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from calorimeter.core.clock import now_ns
from calorimeter.load.apis.stack_api import StackIdentity
from calorimeter.load.http.client import Answer
from calorimeter.load.operations import operation_table, stack_life
from calorimeter.load.operations.operation import SoftwareConfig, Stack
from calorimeter.load.recording.recorder import LedgerRow

DELETE = operation_table.DELETE["rest"]


class Api:
    """The REST API without a Heat behind it: the state is in the body."""

    name = "rest"
    gone_statuses = frozenset({404})

    def delete(self, target: StackIdentity) -> bytes:
        """Any request."""
        return b"delete"

    show = delete

    def state(self, answer: Answer) -> str:
        """The body."""
        return answer.body.decode()


@dataclass
class User:
    """A user that gets these answers (status, body), and records the ends of its stacks."""

    answers: list[tuple[int, str]]
    ends_ns: int = 2**63
    api: Any = field(default_factory=Api)
    number: int = 0
    poll_s: float = 0.0
    complete_within_s: float = 60.0
    configs: list[SoftwareConfig] = field(default_factory=list)
    finished: list[Stack] = field(default_factory=list)
    acts: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def request(self, operation: Any, data: bytes, understand: Any = None) -> tuple[Answer, Any]:
        """The next answer; its value if it was expected."""
        answer = Answer()
        status, body = self.answers.pop(0)
        answer.status, answer.body, answer.done_ns = status, body.encode(), now_ns()
        answer.error = "" if answer.status in operation.expected else "status"
        return answer, understand(answer) if understand and not answer.error else None

    def until_ns(self, within_s: float) -> int:
        """So long from now, or when the run ends."""
        return min(now_ns() + int(within_s * 1e9), self.ends_ns)

    def acted(self, action: Any, problem: str) -> None:
        """Note it."""
        self.acts.append(problem)

    def unaccounted(self, name: str) -> None:
        """Note it."""
        self.lost.append(name)

    def finish(self, stack: Stack) -> None:
        """Note it."""
        self.finished.append(stack)


def removed(user: User) -> Stack:
    """A stack that the user has removed, as its row has it."""
    stack = Stack(
        StackIdentity("cal-r-0-1", "id", "id"), LedgerRow("id", "cal-r-0-1", "rest", "req", 1, 0), None
    )  # type: ignore[arg-type]
    stack_life.remove(user, DELETE, stack)  # type: ignore[arg-type]
    assert user.finished == [stack]
    return stack


def test_a_stack_that_is_gone_is_accounted_for() -> None:
    """The delete is accepted, and then the stack is not found: it is gone, none is unaccounted for."""
    user = User([(204, ""), (200, "DELETE_IN_PROGRESS"), (404, "")])
    assert removed(user).entry.deleted_ns > 0
    assert (user.acts, user.lost) == ([""], [])


@pytest.mark.parametrize(
    ("answers", "ends_ns", "problem"),
    [([(204, ""), (200, "DELETE_FAILED")], 2**63, "DELETE_FAILED"), ([(204, "")], 1, "not gone in time")],
)
def test_a_stack_that_stays_is_unaccounted_for(
    answers: list[tuple[int, str]], ends_ns: int, problem: str
) -> None:
    """A delete that fails, or takes too long, leaves a stack that the end of the run must remove."""
    user = User(answers, ends_ns)
    assert removed(user).entry.deleted_ns == 0
    assert (user.acts, user.lost) == ([problem], ["cal-r-0-1"])


def test_a_delete_whose_first_answer_was_lost_ends_the_stack() -> None:
    """A delete with the answer 404 shows that the stack is gone: its row has a time, its quota is freed."""
    user = User([(404, "")])
    assert removed(user).entry.deleted_ns > 0
    assert (user.acts, user.lost) == ([], [])


def test_configs_are_not_removed_after_the_end() -> None:
    """Once time is up nothing more is sent."""
    user = User([], ends_ns=1, configs=[SoftwareConfig("c", ["d"])])
    operation_table.remove_configs(user)  # type: ignore[arg-type]
    assert [config.config_id for config in user.configs] == ["c"]
