"""The progress line of a load: rewritten on a terminal, printed every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import gevent

from calorimeter.core import terminal
from calorimeter.load.recording.histogram import Histogram
from calorimeter.workload.scenario import Scenario

TERMINAL_S = 1.0
ELSEWHERE_S = 10.0
FIRST_S = 2.0
"""The first line, if standard error is not a terminal."""


def print_line(line: str, anywhere: bool = False) -> None:
    """Print a line that the next one replaces; `anywhere`: also if standard error is not a terminal."""
    if anywhere or sys.stderr.isatty():
        terminal.rewritten(line)


def show(environment: Any, scenario: Scenario, responses: Callable[[], Histogram]) -> None:
    """Print the progress until killed."""
    on_terminal = sys.stderr.isatty()
    print_line(_planned(scenario), anywhere=True)
    started = last = time.monotonic()
    before = 0
    every = TERMINAL_S if on_terminal else FIRST_S
    while True:
        gevent.sleep(every)
        every = TERMINAL_S if on_terminal else ELSEWHERE_S
        total = environment.stats.total
        now = time.monotonic()
        rate, last = (total.num_requests - before) / (now - last), now
        before = total.num_requests
        print_line(
            f"{now - started:4.0f} s  {environment.runner.user_count} users  "
            f"{rate:.0f} requests/s  {total.num_failures} failed  "
            f"median {_ms(responses(), 50)}, 99 % within {_ms(responses(), 99)}",
            anywhere=True,
        )


def _ms(responses: Histogram, percent: float) -> str:
    found = responses.percentile_s(percent)
    return "–" if found is None else f"{found * 1e3:.3g} ms" if found < 1 else f"{found:.3g} s"


def show_draining(environment: Any, until_s: float) -> None:
    """Print that users remove their stacks, until killed."""
    ends = time.monotonic() + until_s
    while True:
        left = max(0.0, ends - time.monotonic())
        print_line(
            f"the load has ended; {environment.runner.user_count} users wait for their answers and remove "
            f"their stacks, for {left:.0f} s at most",
            anywhere=True,
        )
        gevent.sleep(TERMINAL_S if sys.stderr.isatty() else ELSEWHERE_S)


def _planned(scenario: Scenario) -> str:
    if not scenario.rates:
        return f"{scenario.name}: {scenario.users} users for {scenario.duration_s:g} s"
    peak = max(stage.level for stage in scenario.rates)
    return (
        f"{scenario.name}: up to {peak:g} arrivals a second for {scenario.duration_s:g} s, "
        f"{scenario.users} in flight at most"
    )


def clear() -> None:
    """Clear the terminal's line."""
    if sys.stderr.isatty():
        terminal.rewritten("")
