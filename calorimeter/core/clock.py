"""One clock for all samples: nanoseconds since the epoch that never step back.

The offset between the wall clock and the monotonic clock is taken once, when the process starts, so that a
correction of the wall clock in the middle of a run cannot make a request take negative time.
"""

from __future__ import annotations

import time

OFFSET_NS = time.time_ns() - time.monotonic_ns()
"""What `time.monotonic_ns()` lacks to be the time of day; added by hand where a call costs too much."""


def now_ns() -> int:
    """Nanoseconds since the epoch."""
    return time.monotonic_ns() + OFFSET_NS
