"""One line about how a load goes: rewritten on a terminal, every ten seconds elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

import gevent

TERMINAL_S = 1.0
ELSEWHERE_S = 10.0


def say(line: str) -> None:
    """Show what takes a moment, on a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{line}")
        sys.stderr.flush()


def show(environment: Any) -> None:
    """Print until killed."""
    terminal = sys.stderr.isatty()
    started = time.monotonic()
    before = 0
    every = TERMINAL_S if terminal else ELSEWHERE_S
    while True:
        gevent.sleep(every)
        total = environment.stats.total
        rate = (total.num_requests - before) / every
        before = total.num_requests
        line = (
            f"{time.monotonic() - started:4.0f} s  {environment.runner.user_count} users  "
            f"{rate:.0f} requests/s  {total.num_failures} failed  "
            f"median {total.median_response_time:.0f} ms"
        )
        sys.stderr.write(f"\r\033[K{line}" if terminal else f"{line}\n")
        sys.stderr.flush()


def clear() -> None:
    """Leave the terminal's line empty."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()
