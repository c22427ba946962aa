"""Exact percentiles of values in order, and histograms that can be added."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from calorimeter.core.statistics.arrays import Ints

SHOWN_BEYOND = 10
"""A percentile is shown only if at least this many samples lie beyond it on each side."""

VALUE_BITS = 44
"""Bits of a duration: it is shorter than 2**44 ns, almost five hours."""


def samples_needed(percent: float) -> int:
    """How many samples a percentile needs to be shown: n · min(p, 1 − p) ≥ 10."""
    rare = min(percent, 100 - percent)
    return math.ceil(round(SHOWN_BEYOND * 100 / rare, 6)) if rare > 0 else 1


def percentile(ordered: npt.NDArray[np.number], percent: float) -> float:
    """A percentile of values in ascending order, NaN if there are too few (see `samples_needed`).

    Interpolates linearly between the two nearest ranks, as numpy does (Hyndman and Fan 1996, type 7).
    """
    if len(ordered) < samples_needed(percent):
        return math.nan
    low, high, part = place(len(ordered), percent)
    start, end = float(ordered[low]), float(ordered[high])
    return start + (end - start) * part


def place(total: int, percent: float) -> tuple[int, int, float]:
    """The two ranks beside a percentile of `total` values, and how far it is from the first one."""
    position = (total - 1) * percent / 100
    low = math.floor(position)
    return low, min(low + 1, total - 1), position - low


STEP = math.log(1.005)
"""The width of a histogram's cell, as a natural logarithm: half a percent."""

CELLS = math.ceil(VALUE_BITS * math.log(2) / STEP)
"""The number of cells of a histogram, from 1 ns to 2**44 ns."""


class WindowHistograms:
    """Histograms of durations, one for each window of each of several series. All have the same cells.

    Memory grows with the cells that are filled, not with the durations, the series or the windows.
    """

    def __init__(self, windows: int) -> None:
        self._windows = windows
        self._keys, self._counts = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)

    def add(
        self, durations_ns: Ints, series: npt.NDArray[np.integer], windows: npt.NDArray[np.integer]
    ) -> None:
        """Count durations (ns), each in a window of a series. Those of window −1 are left out."""
        inside = windows >= 0
        keys = series[inside].astype(np.int64) * self._windows + windows[inside]
        keys *= CELLS
        keys += (np.log(np.maximum(durations_ns[inside], 1)) / STEP).astype(np.int64)
        keys.sort()
        edges = np.flatnonzero(np.diff(keys, prepend=-1))
        counts = np.diff(edges, append=len(keys))
        every = np.concatenate([self._keys, keys[edges]])
        self._keys, places = np.unique(every, return_inverse=True)
        self._counts = np.bincount(places, np.concatenate([self._counts, counts])).astype(np.int64)

    def of(self, series: int) -> Ints:
        """The histograms of a series, of shape (windows, `CELLS`)."""
        first = series * self._windows * CELLS
        low, high = np.searchsorted(self._keys, [first, first + self._windows * CELLS])
        held = np.zeros(self._windows * CELLS, dtype=np.int64)
        held[self._keys[low:high] - first] = self._counts[low:high]
        return held.reshape(self._windows, CELLS)
