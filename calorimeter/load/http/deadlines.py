"""Timeouts for very many requests at the cost of an assignment each.

A timer per request would cost more than the request. Here whoever waits writes down until when
(`expires_ns`), and one timer a process looks at all of them every 20 ms and wakes those that are late. A
timeout is therefore up to 20 ms late, never early.
"""

from __future__ import annotations

import weakref
from typing import Any, Protocol

import gevent

from calorimeter.core import clock

SWEEP_S = 0.02


class TimedOutError(BaseException):
    """Thrown into a greenlet whose wait has expired; like `gevent.Timeout` it is no `Exception`."""


class Waiting(Protocol):
    """Something that waits: `expires_ns` is 0 while it does not."""

    expires_ns: int
    greenlet: Any


_waiting: weakref.WeakSet[Any] = weakref.WeakSet()
_timers: dict[int, Any] = {}


def watch(waiting: Waiting) -> None:
    """Enforce the deadlines of `waiting` from now on, for as long as it lives."""
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
        # An earlier one may have ended this one's wait meanwhile.
        if 0 < waiting.expires_ns <= now:
            waiting.expires_ns = 0
            waiting.greenlet.throw(TimedOutError())
