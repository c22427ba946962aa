"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event
from typing import TypeVar

T = TypeVar("T")


class CancelledError(Exception):
    """The caller cancelled the wait."""


class DeadlineError(Exception):
    """A condition did not hold before its deadline."""


def poll(
    read: Callable[[], T],
    deadline_s: float,
    *,
    enough: Callable[[T], object] = bool,
    every_s: float | Callable[[], float] = 0.05,
    cancel: Event | None = None,
) -> T:
    """Call `read` until `enough` accepts the value, or for `deadline_s` seconds; return the last value.

    It reads at least once, and pauses for `every_s` between two readings. Raises CancelledError as soon as
    `cancel` is set.
    """
    end = time.monotonic() + deadline_s
    while True:
        if cancel and cancel.is_set():
            raise CancelledError
        value = read()
        if enough(value) or time.monotonic() >= end:
            return value
        pause_s = every_s() if callable(every_s) else every_s
        if cancel:
            cancel.wait(pause_s)
        else:
            time.sleep(pause_s)  # not Event.wait: gevent patches the module's `sleep` for Locust


def until(
    condition: Callable[[], T],
    deadline_s: float,
    *,
    every_s: float | Callable[[], float] = 0.05,
    cancel: Event | None = None,
) -> T:
    """Call `condition` until it returns a true value, and return that value.

    Raises DeadlineError after `deadline_s` seconds, and CancelledError as soon as `cancel` is set.
    """
    value = poll(condition, deadline_s, every_s=every_s, cancel=cancel)
    if not value:
        raise DeadlineError(f"after {deadline_s:g} s")
    return value
