"""Precedence on this machine: what measures time must not wait for the processor behind what it measures.

Linux runs a thread of a real-time policy as soon as it is ready, before all threads of the usual policy
(sched(7)). On a machine that is shared with a deployment, a thread of the usual policy waits for several
milliseconds instead (`bin/bench beside`). Without the right to a real-time policy (CAP_SYS_NICE, or
`ulimit -r`), a negative nice value helps a little; it needs a right, too (CAP_SYS_NICE, or `ulimit -e`).
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from calorimeter.core.host import machine

LOOP, WRITER = 2, 1
"""Levels. A thread that writes holds Python's lock at times, so it runs before other processes, too; and
the loop runs before it."""

NICENESS = {LOOP: -10, WRITER: -5}

LOCK_S = 0.0005
"""The longest that the loop waits for a writing thread to hand over Python's lock (Python's own: 5 ms)."""

USUAL = "usual"


class Precedence:
    """The precedence of one process, from `take` to `give_back`. No method raises.

    As a text it says what the loop's thread has or had: `SCHED_RR 2`, `nice -10`, or `usual` and why.
    """

    def __init__(self, wanted: bool = True, of: int = 1) -> None:
        """`of` is how many processes take precedence together."""
        self.most_share = machine.processors() / 2 / of
        """The share of a core up to which it is kept: together they leave half of the machine to others."""
        self._niceness = os.getpriority(os.PRIO_PROCESS, 0)
        self._refused = "" if wanted else "as wanted"
        if self._niceness > 0:
            self._refused = f"started with nice {self._niceness}"
        if machine.processors() < 2:  # what is measured would have no other
            self._refused = "one processor"
        self._policy = USUAL
        self._given_back = ""
        self._lock_s = sys.getswitchinterval()

    def __str__(self) -> str:
        notes = "; ".join(filter(None, [self._refused, self._given_back]))
        return f"{self._policy} ({notes})" if notes else self._policy

    def take(self, level: int) -> None:
        """Give the calling thread precedence of a level; threads and processes that it starts have none."""
        if self._refused:
            return
        policy = _take(level)
        if level == LOOP:
            self._policy = policy
            self._refused = "not permitted" if policy == USUAL else ""
            sys.setswitchinterval(LOCK_S)

    def give_back(self, why: str = "") -> None:
        """Return the calling thread to the priority that it had, once."""
        if self._policy == USUAL or self._given_back:
            return
        self._given_back = f"given back {why}" if why else ""
        sys.setswitchinterval(self._lock_s)
        with suppress(OSError):
            _be_usual()
            os.setpriority(os.PRIO_PROCESS, 0, self._niceness)


def _take(level: int) -> str:
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(level))
        return f"SCHED_RR {level}"
    with suppress(OSError):
        _be_usual()
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS[level])  # of this thread only, on Linux
        return f"nice {NICENESS[level]}"
    return USUAL


def _be_usual() -> None:
    # The flag resets a negative nice value in a child, too. Without CAP_SYS_NICE it cannot be taken back.
    os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
