"""One clock for all samples: nanoseconds since the epoch that never go backwards.

The offset between the wall clock and the monotonic clock is read once, when the process starts. A
correction of the wall clock during a run can therefore not make the duration of a request negative.
"""

from __future__ import annotations

import time

OFFSET_NS = time.time_ns() - time.monotonic_ns()
"""Add it to `time.monotonic_ns()` for ns since the epoch, where calling `now_ns` would cost too much."""


def now_ns() -> int:
    """Nanoseconds since the epoch."""
    return time.monotonic_ns() + OFFSET_NS
