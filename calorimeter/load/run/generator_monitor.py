"""Monitors the load generator: one line per second in the run's `watch/generator.jsonl`."""

from __future__ import annotations

import gc
import json
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import numpy as np
import numpy.ma  # `np.quantile` would import it in the first window

from calorimeter.core import files
from calorimeter.core.clock import now_ns
from calorimeter.core.errors import InputError
from calorimeter.core.host.precedence import LOOP, Precedence
from calorimeter.core.recorded.load_generator import (
    MOST_CPU_SHARE,
    GeneratorWindow,
    allowed_lag_s,
    bottleneck,
)
from calorimeter.load.arrivals.open_arrivals import OpenArrivals
from calorimeter.load.http import client
from calorimeter.load.recording.histogram import Histogram

WINDOW_S = 1.0
TICK_S = 0.01
TICK_NS = round(TICK_S * 1e9)
MOST_SWALLOWED = 1_000
"""The most ticks counted for one pause: ten seconds."""


def freeze_garbage() -> None:
    """Collect garbage now, and exempt all remaining objects from later collections.

    A collection that traverses all modules and users would take 100 ms, in which nothing is sent.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def lateness(late_ns: int) -> list[int]:
    """The lateness of a tick, and of those missed while the process paused, each due 10 ms later."""
    swallowed = min(max(0, late_ns - 1) // TICK_NS, MOST_SWALLOWED)
    return [max(0, late_ns) - TICK_NS * n for n in range(swallowed + 1)]


class GeneratorMonitor:
    """Measures one worker in windows of a second, from the start of its load to `close`.

    Until then this process runs before others on its machine, unless it uses more of its core than a
    generator may, or than leaves half of the machine to others: it must not starve what it measures.

    `population` gives its users now, and the stacks of theirs that are in progress.
    """

    def __init__(
        self,
        run: Path,
        worker: str,
        arrivals: OpenArrivals | None,
        responses: Histogram,
        population: Callable[[], tuple[int, int]],
        on_failure: Callable[[str], None],
        precedence: Precedence,
    ) -> None:
        self._path = run / "watch" / "generator.jsonl"
        self._worker = worker
        self._arrivals = arrivals
        self._responses = responses
        self._population = population
        self._on_failure = on_failure
        self._precedence = precedence
        self.all_responses = Histogram()
        """All responses so far."""
        self.unreported = Histogram()
        """The responses that have not been reported to a master."""
        self._connections_before = client.connections_made()
        self._windows = self._invalid = self._most_users = 0
        self._ticks = array("q")
        self._tick_due = 0
        self._timer: Any = gevent.get_hub().loop.timer(TICK_S, repeat=TICK_S)
        self._timer.start(self._tick)
        self._before = self._counters()
        self._greenlet = gevent.spawn(self._measure)
        precedence.take(LOOP)

    def about(self) -> dict[str, Any]:
        """This worker's entry in run.json."""
        arrivals = self._arrivals
        return {
            "worker": self._worker,
            "connections": client.connections_made() - self._connections_before,
            "users": self._most_users,
            "offered": arrivals.offered if arrivals else None,
            "dropped": arrivals.drops if arrivals else None,
            "windows": self._windows,
            "invalid_windows": self._invalid,
            "scheduling": str(self._precedence),
        }

    def close(self) -> None:
        """Write the last window and stop."""
        self._greenlet.kill()
        self._timer.close()
        self._window()
        self._precedence.give_back()

    def _tick(self) -> None:
        now = time.monotonic_ns()
        if self._tick_due:
            self._ticks.extend(lateness(now - self._tick_due))
        self._tick_due = now + TICK_NS  # the phase of the loop's timer is its own

    def _measure(self) -> None:
        due = time.monotonic()
        while True:
            due += WINDOW_S
            gevent.sleep(max(0.0, due - time.monotonic()))
            self._window()

    def _counters(self) -> tuple[float, float, int, int, int]:
        arrivals = self._arrivals
        return (
            time.monotonic(),
            time.process_time(),
            client.connections_made(),
            arrivals.offered if arrivals else 0,
            arrivals.drops if arrivals else 0,
        )

    def _window(self) -> None:
        now, before = self._counters(), self._before
        length = now[0] - before[0]
        if length < WINDOW_S / 2:
            return
        self._before = now
        ticks, self._ticks = self._ticks, array("q")
        lags = np.array(self._arrivals.take_lags() if self._arrivals else ticks) / 1e9
        p50, p99, longest = np.quantile(lags, (0.5, 0.99, 1.0)) if len(lags) else (0.0, 0.0, 0.0)
        responses = self._responses.take()
        self.all_responses.merge(responses)
        self.unreported.merge(responses)
        users, stacks = self._population()
        window = GeneratorWindow(
            t_ns=now_ns(),
            length_s=length,
            worker=self._worker,
            cpu_share=(now[1] - before[1]) / length,
            lag_p50_s=float(p50),
            lag_p99_s=float(p99),
            lag_max_s=float(longest),
            timed=len(lags),
            late=int(np.count_nonzero(lags > allowed_lag_s(responses.percentile_s(50)))),
            offered=now[3] - before[3],
            dropped=now[4] - before[4],
            requests=responses.count,
            response_p50_s=responses.percentile_s(50),
            response_p99_s=responses.percentile_s(99),
            users=users,
            stacks=stacks,
            connections=now[2] - before[2],
        )
        why_invalid = bottleneck(window)
        if window.cpu_share > min(MOST_CPU_SHARE, self._precedence.most_share):
            self._precedence.give_back(f"after a second with {window.cpu_share:.0%} of its core")
        self._windows += 1
        self._most_users = max(self._most_users, window.users)
        self._invalid += bool(why_invalid)
        self._write(window.model_copy(update={"why_invalid": why_invalid}))

    def _write(self, window: GeneratorWindow) -> None:
        rounded = {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in window.model_dump().items()
        }
        try:
            files.make_folder(self._path.parent)
            # Each short line is one write, so lines of several workers do not mix.
            with files.append(self._path) as file:
                files.write_all(file, json.dumps(rounded).encode() + b"\n")
        except InputError as problem:
            self._on_failure(str(problem))
        except OSError as problem:
            self._on_failure(f"{self._path}: cannot be written ({problem.strerror})")
