"""Open arrivals: each is handed to a user that is free at the moment it is due, or dropped.

The users of Locust are the places in which work can be under way; each waits here until it gets an arrival.
They take turns, so that all source addresses are used. The clock is absolute: what is late is late, and is
neither skipped nor does it shift what comes after it.
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
from calorimeter.load.arrivals.due_times import Due

LEAST_SLEEP_NS = 250_000
"""What is due within this time is handed out together: a turn of the loop for each would cost too much."""

DENSE = 8
MOST_SLEEP_NS = 1_000_000
"""Where so many are due within this time, they are handed out together: that saves turns of the loop, and
what is left of the processor catches up after a pause of the machine."""

BATCH = 256
"""At most so many are handed out before answers are read again."""

_OVER = 0


class Arrivals:
    """The arrivals of one process, from `begin` to `close`."""

    def __init__(
        self, due: Iterator[Due], kinds: tuple[str, ...], dropped: Callable[[str, int, int], None]
    ) -> None:
        """`dropped` is called with the API, when it was due, and now, for what nobody was free to do."""
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
        """When the schedule begins; 0 until that is known."""
        self.offered = 0
        """Arrivals that were due so far."""
        self.drops = 0
        """Those of them that nobody was free to do."""
        self._lags = array("q")

    def take_lags(self) -> array[int]:
        """How late each arrival since the last call was handed out or dropped, in ns."""
        lags, self._lags = self._lags, array("q")
        return lags

    def begin(self, at_ns: int) -> None:
        """Start the clock at `at_ns`."""
        if not self.begin_ns and not self._over:
            self.begin_ns = at_ns
            self._next_chunk()
            self._wake_at(now_ns())

    def wait(self, kind: str) -> int:
        """Wait for an arrival; when it was due, or 0 where there will be none for this user."""
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
        """Give an arrival up: nobody can do it."""
        self.drops += 1
        self._dropped(kind, due, now_ns())

    def dismiss(self, greenlet: Any) -> None:
        """Let a user that waits go without an arrival."""
        for queue in self._queues:
            for place in queue:
                if place.greenlet is greenlet:
                    queue.remove(place)
                    self._loop.run_callback(place.switch, _OVER)
                    return

    def close(self) -> None:
        """No more arrivals: all who wait go."""
        self._over = True
        self._alarm.close()
        for queue in self._queues:
            while queue:
                self._loop.run_callback(queue.popleft().switch, _OVER)

    # In the hub: nothing here may wait. A user that is switched to comes back when it waits itself.

    def _wake_at(self, now: int) -> None:
        if self._position < len(self._at) and not self._over:
            due = self.begin_ns + self._at[self._position]
            self._alarm.set(due if due <= now else max(due, now + self._sleep_ns(now)))

    def _sleep_ns(self, now: int) -> int:
        """How long to sleep at the least: until several are due, where they are close together."""
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
            self._one(due, self._kind[self._position])
            if self._over:
                return
            self._position += 1
            if self._position == len(self._at):
                self._next_chunk()
                if not self._at:
                    break
        self._wake_at(now_ns())

    def _one(self, due: int, kind: int) -> None:
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
