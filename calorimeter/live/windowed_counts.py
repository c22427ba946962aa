"""How much counters grew in the last minute."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

from calorimeter.core.recorded.recorded_json import LARGEST

WINDOW_S = 60.0
KEPT_NS = 600 * 10**9
"""A counter that is missing for ten minutes is forgotten; if it comes back, it counts from 0."""

MOST_POLLS = 20_000
"""Polls of a window that are kept: three proxies a hundred times a second."""

K = TypeVar("K", bound=Hashable)


def bounded(count: int) -> int:
    """A sum of counters, none of which any deployment reaches, as a figure."""
    return min(count, LARGEST)


class WindowedCounts(Generic[K]):
    """The growth of counters within the window. A counter that fell was reset, and counts from 0."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_ns = int(window_s * 1e9)
        self._steps: deque[tuple[int, dict[K, int]]] = deque(maxlen=MOST_POLLS)
        self._last: dict[tuple[str, K], tuple[int, int]] = {}
        self._scopes: set[str] = set()
        self.first_ns = 0
        """When counting began; 0 before."""

    def add(self, scope: str, t_ns: int, counters: Mapping[K, int]) -> None:
        """Add one poll of a scope: who counts. Its first poll is where counting begins."""
        if scope in self._scopes:
            steps = {}
            for key, value in counters.items():
                _, before = self._last.get((scope, key), (0, 0))
                if step := value - before if value >= before else value:
                    steps[key] = step
            self._steps.append((t_ns, steps))
        else:
            self._scopes.add(scope)
            self.first_ns = self.first_ns or t_ns
        self._last.update({(scope, key): (t_ns, value) for key, value in counters.items()})
        if len(self._last) > 2 * len(counters):
            self._last = {key: last for key, last in self._last.items() if last[0] > t_ns - KEPT_NS}

    def grown(self, now_ns: int) -> Counter[K]:
        """The growth of each counter in the window that ends now."""
        while self._steps and self._steps[0][0] <= now_ns - self._window_ns:
            self._steps.popleft()
        total: Counter[K] = Counter()
        for _, steps in self._steps:
            total.update(steps)
        return total
