"""Pauses of a core of this machine: `python -m tests.bench.core_pauses SECONDS`.

Prints one JSON object: `longest_s`, the longest time between two readings of the clock by a process that
does nothing else, and `lost`, the share of the time in pauses of a millisecond or more. No generator on
that core can be more punctual.
"""

from __future__ import annotations

import json
import sys
import time

PAUSE_NS = 1_000_000


def pauses(seconds: float) -> dict[str, float]:
    """Read the clock without a break for `seconds`."""
    began = before = time.monotonic_ns()
    until = began + int(seconds * 1e9)
    longest = lost = 0
    while before < until:
        now = time.monotonic_ns()
        gap = now - before
        before = now
        longest = max(longest, gap)
        if gap >= PAUSE_NS:
            lost += gap
    return {"longest_s": longest / 1e9, "lost": lost / (before - began)}


if __name__ == "__main__":
    print(json.dumps(pauses(float(sys.argv[1]))))
