"""Evidence of D1: the statements that operations make with few stacks and with many; and their promises."""

from __future__ import annotations

from typing import Literal

from calorimeter.core.toml import Model
from calorimeter.gates.evidence.digest_window import DigestWindow

Promise = Literal["per stack listed", "constant"]

PROMISES: dict[str, tuple[Promise, str]] = {
    "stack list": ("per stack listed", "Heat queries the tags of each stack that it lists"),
    "stack show": ("constant", "it is about one stack"),
    "resource list": ("constant", "it is about the resources of one stack"),
    "event list": ("constant", "it is about the events of one stack"),
}
"""Operation → what it promises about its statements when there are more stacks, and why."""


class OperationWindow(Model):
    """`requests` requests of one operation, one after the other, and what was counted meanwhile.

    `listed` is how many stacks the first and the last answer listed; (0, 0) for other operations. `failed`
    of the requests were not answered well, `first_failed` is the first of them.
    """

    operation: str
    requests: int
    failed: int = 0
    first_failed: str = ""
    listed: tuple[int, int] = (0, 0)
    counted: DigestWindow


class StackCount(Model):
    """The operations with `stacks` of the suite's own, and a window in which the suite did nothing.

    `complete` of them became so; `first_incomplete` is what became of the first of the others.
    """

    stacks: int
    complete: int
    first_incomplete: str = ""
    operations: tuple[OperationWindow, ...]
    idle: DigestWindow


class OperationStatements(Model):
    """Evidence of D1: the same operations with few stacks and with more. `database` is what was read."""

    database: str
    few: StackCount
    many: StackCount
