"""The load generator's processes, from the lines of `watch/generator.jsonl`."""

from __future__ import annotations

from collections import deque

from calorimeter.core.recorded.load_generator import GeneratorWindow, window_of
from calorimeter.core.recorded.polled_rows import MOST_NAMES, Row
from calorimeter.live.live_figures import DataSource, GeneratorNow
from calorimeter.live.windowed_counts import WINDOW_S

QUIET_NS = 10 * 10**9
"""A process without a line for so long does not count in sums: it generates nothing, or cannot say so."""


class LiveGenerator:
    """The newest window of each process, and which of the last minute's were limited by it."""

    def __init__(self) -> None:
        self._newest: dict[str, GeneratorWindow] = {}
        self._limited: deque[tuple[int, str]] = deque()

    def add(self, line: Row | None) -> None:
        """Add a line of the file; None is a damaged one."""
        window = window_of(line)
        if window is None or (len(self._newest) >= MOST_NAMES and window.worker not in self._newest):
            return
        self._newest[window.worker] = window
        if window.why_invalid:
            self._limited.append((window.t_ns, window.worker))

    def sources(self) -> list[DataSource]:
        """The generator, as old as its newest line; none if nothing was generated."""
        at = [window.t_ns for window in self._newest.values()]
        return [DataSource(name="load generator", at_ns=max(at))] if at else []

    def figures(self, now_ns: int) -> list[GeneratorNow]:
        """The processes that generated in the window, by name."""
        from_ns = now_ns - int(WINDOW_S * 1e9)
        while self._limited and self._limited[0][0] <= from_ns:
            self._limited.popleft()
        limited = [worker for _, worker in self._limited]
        return [
            GeneratorNow(
                worker=name[:200],
                at_ns=window.t_ns,
                cpu_share=round(_least_0(window.cpu_share), 4),
                lag_p99_s=_least_0(window.lag_p99_s),
                users=int(_least_0(window.users)),
                stacks=int(_least_0(window.stacks)),
                requests_per_s=round(_least_0(window.requests) / max(window.length_s, 0.1), 2),
                dropped=int(_least_0(window.dropped)),
                response_p99_s=None if window.response_p99_s is None else _least_0(window.response_p99_s),
                limits=window.why_invalid[:500],
                limited=limited.count(name),
            )
            for name, window in sorted(self._newest.items())
            if window.t_ns > from_ns
        ]


def generating(found: list[GeneratorNow], now_ns: int) -> list[GeneratorNow]:
    """The processes that generate now."""
    return [each for each in found if each.at_ns > now_ns - QUIET_NS]


def _least_0(value: float) -> float:
    return max(0.0, value)
