"""Timeouts for very many requests, at the cost of one assignment per request.

A timer per request would cost more than the request. Instead, a client stores its deadline (`expires_ns`),
and one timer per process checks all clients every 20 ms and wakes those whose deadline has passed. A
timeout is therefore up to 20 ms late, and never early.
"""

from __future__ import annotations

import weakref
from typing import Any, Protocol

import gevent

from calorimeter.core import clock

SWEEP_S = 0.02


class TimedOutError(BaseException):
    """Thrown into a greenlet whose deadline has passed. Like `gevent.Timeout`, it is not an `Exception`."""


class Waiting(Protocol):
    """What a deadline applies to; `expires_ns` is 0 while it does not wait."""

    expires_ns: int
    greenlet: Any


_waiting: weakref.WeakSet[Any] = weakref.WeakSet()
_timers: dict[int, Any] = {}


def watch(waiting: Waiting) -> None:
    """Enforce the deadlines of `waiting` from now on, until it is garbage-collected."""
    hub = gevent.get_hub()
    if id(hub) not in _timers:
        timer = hub.loop.timer(SWEEP_S, repeat=SWEEP_S, ref=False)
        timer.start(_sweep)
        _timers[id(hub)] = timer
    _waiting.add(waiting)


def _sweep() -> None:
    now = clock.now_ns()
    late = [waiting for waiting in _waiting if 0 < waiting.expires_ns <= now]
    for waiting in late:
        # Waking an earlier one may have ended this one's wait.
        if 0 < waiting.expires_ns <= now:
            waiting.expires_ns = 0
            waiting.greenlet.throw(TimedOutError())
