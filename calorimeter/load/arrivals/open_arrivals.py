"""Open arrivals: each arrival is handed to a user that is free when it is due, or is dropped.

The number of Locust users limits the operations in flight; each user waits here for an arrival. Users take
turns, so all source addresses are used. Due times are absolute: a late arrival is not skipped and does not
shift later ones.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import gevent
from gevent.hub import Waiter

from calorimeter.core.clock import now_ns
from calorimeter.load.arrivals.alarm import Alarm
from calorimeter.load.arrivals.due_times import DueArrivals

LEAST_SLEEP_NS = 250_000
"""Arrivals due within this time are handed out together: one turn of the loop each would cost too much."""

DENSE = 8
MOST_SLEEP_NS = 1_000_000
"""If DENSE arrivals are due within this time, they are handed out together. This saves turns of the loop,
and leaves processor time to catch up after a pause of the machine."""

BATCH = 256
"""The most arrivals handed out before answers are read again."""

_OVER = 0


class OpenArrivals:
    """The arrivals of one process, from `begin` to `close`."""

    def __init__(
        self, due: Iterator[DueArrivals], kinds: tuple[str, ...], dropped: Callable[[str, int, int], None]
    ) -> None:
        """`dropped` is called with API, due time and current time of an arrival that finds no free user."""
        self._chunks = due
        self._kinds = kinds
        self._dropped = dropped
        self._free: dict[str, deque[Waiter[int]]] = {kind: deque() for kind in kinds}
        self._queues = [self._free[kind] for kind in kinds]
        self._loop = gevent.get_hub().loop
        self._alarm = Alarm(self._hand_out)
        self._at: list[int] = []
        self._kind: list[int] = []
        self._position = 0
        self._over = False
        self.begin_ns = 0
        """When the schedule begins; 0 until `begin` is called."""
        self.offered = 0
        """Arrivals due so far."""
        self.drops = 0
        """Arrivals dropped so far."""
        self._lags = array("q")

    def take_lags(self) -> array[int]:
        """By how many ns each arrival since the last call was handed out, or dropped, late."""
        lags, self._lags = self._lags, array("q")
        return lags

    def begin(self, at_ns: int) -> None:
        """Begin the schedule at `at_ns`."""
        if not self.begin_ns and not self._over:
            self.begin_ns = at_ns
            self._next_chunk()
            self._wake_at(now_ns())

    def wait(self, kind: str) -> int:
        """Wait for an arrival and return its due time; 0 if this user gets no further arrival."""
        if self._over:
            return _OVER
        place: Waiter[int] = Waiter()
        queue = self._free[kind]
        queue.append(place)
        try:
            due: int = place.get()
            return due
        except BaseException:
            if place in queue:
                queue.remove(place)
            raise

    def drop(self, kind: str, due: int) -> None:
        """Count and report an arrival that no user serves."""
        self.drops += 1
        self._dropped(kind, due, now_ns())

    def dismiss(self, greenlet: Any) -> None:
        """Release a waiting user without an arrival."""
        for queue in self._queues:
            for place in queue:
                if place.greenlet is greenlet:
                    queue.remove(place)
                    self._loop.run_callback(place.switch, _OVER)
                    return

    def close(self) -> None:
        """End the schedule and release all waiting users."""
        self._over = True
        self._alarm.close()
        for queue in self._queues:
            while queue:
                self._loop.run_callback(queue.popleft().switch, _OVER)

    # In the hub: nothing here may wait. A user that is switched to returns here when it waits.

    def _wake_at(self, now: int) -> None:
        if self._position < len(self._at) and not self._over:
            due = self.begin_ns + self._at[self._position]
            self._alarm.set(due if due <= now else max(due, now + self._sleep_ns(now)))

    def _sleep_ns(self, now: int) -> int:
        """The shortest sleep: if arrivals are dense, until several of them are due."""
        last = self._position + DENSE - 1
        if last < len(self._at) and (until := self.begin_ns + self._at[last] - now) <= MOST_SLEEP_NS:
            return max(until, LEAST_SLEEP_NS)
        return LEAST_SLEEP_NS

    def _hand_out(self) -> None:
        begin, now = self.begin_ns, now_ns()
        for _ in range(BATCH):
            due = begin + self._at[self._position]
            if due > now:
                now = now_ns()
                if due > now:
                    break
            self._hand_out_one(due, self._kind[self._position])
            if self._over:
                return
            self._position += 1
            if self._position == len(self._at):
                self._next_chunk()
                if not self._at:
                    break
        self._wake_at(now_ns())

    def _hand_out_one(self, due: int, kind: int) -> None:
        self.offered += 1
        now = now_ns()
        self._lags.append(now - due)
        queue = self._queues[kind]
        if queue:
            queue.popleft().switch(due)
        else:
            self.drop(self._kinds[kind], due)

    def _next_chunk(self) -> None:
        self._position = 0
        for chunk in self._chunks:
            if chunk.at_ns:
                self._at, self._kind = chunk.at_ns, chunk.kinds
                return
        self._at, self._kind = [], []
