"""Histograms of durations whose bucket bounds grow by 1 %: mergeable, percentiles exact to 1 %."""

from __future__ import annotations

import re
from math import ceil, log
from typing import Any

import numpy as np

_GROWTH = 1.01
_LEAST_NS = 1_000
"""Shorter durations are counted as this one."""

_BUCKETS = ceil(log(24 * 3600 * 1e9 / _LEAST_NS, _GROWTH)) + 1
"""The number of buckets: up to one day."""

_BUCKET = re.compile(r"[0-9]{1,5}", re.ASCII)
_MOST = 2**40
"""The largest count of one bucket in a message: eight million of them fit in 64 bits."""

_MIDDLES = _LEAST_NS * _GROWTH ** (np.arange(_BUCKETS) + 0.5)


class Histogram:
    """Counts of durations by bucket."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BUCKETS, dtype=np.int64)

    def add(self, durations_ns: np.ndarray[Any, Any]) -> None:
        """Count durations, in ns."""
        bounded = np.maximum(durations_ns, _LEAST_NS)
        buckets = (np.log(bounded / _LEAST_NS) / log(_GROWTH)).astype(np.int64)
        self._counts += np.bincount(np.minimum(buckets, _BUCKETS - 1), minlength=_BUCKETS)

    @property
    def count(self) -> int:
        """The number of durations."""
        return int(self._counts.sum())

    def percentile_s(self, percent: float) -> float | None:
        """The smallest duration, in s, that `percent` of all do not exceed; None if nothing was counted."""
        total = self.count
        if not total:
            return None
        rank = max(1, ceil(total * percent / 100))
        bucket = int(np.searchsorted(np.cumsum(self._counts), rank))
        return float(_MIDDLES[bucket]) / 1e9

    def take(self) -> Histogram:
        """The durations counted since the last call, as a histogram of their own."""
        taken = Histogram()
        taken._counts, self._counts = self._counts, taken._counts
        return taken

    def merge(self, other: Histogram) -> None:
        """Add the counts of another histogram."""
        self._counts += other._counts

    def as_message(self) -> dict[str, int]:
        """The counts of the buckets that are not empty, by bucket."""
        return {str(bucket): int(self._counts[bucket]) for bucket in np.flatnonzero(self._counts)}

    def merge_message(self, message: object) -> None:
        """Add the counts in a message of another process (`as_message`), unless it is none."""
        if not isinstance(message, dict):
            return
        for bucket, count in message.items():
            number = int(bucket) if isinstance(bucket, str) and _BUCKET.fullmatch(bucket) else _BUCKETS
            if number < _BUCKETS and type(count) is int and 0 <= count <= _MOST:
                self._counts[number] += count
