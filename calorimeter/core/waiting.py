"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event
from typing import TypeVar

T = TypeVar("T")


class CancelledError(Exception):
    """What was waited for is no longer wanted."""


class DeadlineError(Exception):
    """A condition did not hold before its deadline."""


def until(
    condition: Callable[[], T], deadline_s: float, *, every_s: float = 0.05, cancel: Event | None = None
) -> T:
    """Ask `condition` until its answer is true, and give that answer.

    Raises `DeadlineError` after `deadline_s` seconds, and `CancelledError` as soon as `cancel` is set.
    """
    end = time.monotonic() + deadline_s
    waiting = cancel or Event()
    while True:
        if waiting.is_set():
            raise CancelledError
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= end:
            raise DeadlineError(f"after {deadline_s:g} s")
        waiting.wait(every_s)
