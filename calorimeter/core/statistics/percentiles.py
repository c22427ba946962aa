"""Exact percentiles, and histograms that are merged by adding them."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from calorimeter.core.statistics.arrays import Ints

SHOWN_BEYOND = 10
"""A percentile is shown only where at least this many samples lie beyond it on each side."""

_VALUE_BITS = 44
"""Bits that a duration in ns has in a sort key: up to 2**44 ns, almost five hours."""


def samples_needed(percent: float) -> int:
    """How many samples the `percent`th percentile needs to be shown: n · min(p, 1 − p) ≥ 10."""
    rare = min(percent, 100 - percent)
    return math.ceil(round(SHOWN_BEYOND * 100 / rare, 6)) if rare > 0 else 1


def percentile(ordered: npt.NDArray[np.number], percent: float) -> float:
    """The percentile of values in ascending order, or NaN where there are too few to show it.

    Linear interpolation between the two nearest ranks, numpy's default (Hyndman and Fan 1996, type 7).
    """
    if len(ordered) < samples_needed(percent):
        return math.nan
    return _interpolated(ordered, percent)


def _interpolated(ordered: npt.NDArray[np.number], percent: float) -> float:
    position = (len(ordered) - 1) * percent / 100
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    start, end = float(ordered[low]), float(ordered[high])
    return start + (end - start) * (position - low)


def sorted_groups(durations_ns: Ints, groups: npt.NDArray[np.integer], count: int) -> list[Ints]:
    """The durations of each of `count` groups, ascending; rows with a group below 0 are left out.

    One sort of one array of integers, because that is what makes ten million rows cheap: the group's
    number in the high bits, the duration in the low ones.
    """
    wanted = groups >= 0
    durations = durations_ns if wanted.all() else durations_ns[wanted]
    chosen = groups if wanted.all() else groups[wanted]
    if len(durations) and (int(durations.min()) < 0 or int(durations.max()) >> _VALUE_BITS):
        raise ValueError("a duration is negative or longer than 2**44 ns")
    keys = chosen.astype(np.int64)
    keys <<= _VALUE_BITS
    keys |= durations
    keys.sort()
    edges = np.searchsorted(keys, np.arange(count + 1, dtype=np.int64) << _VALUE_BITS)
    keys &= (1 << _VALUE_BITS) - 1
    return [keys[a:b] for a, b in pairwise(edges)]


STEP = math.log(1.005)
"""The width of a histogram's cell in the logarithm: half a percent."""

CELLS = math.ceil(_VALUE_BITS * math.log(2) / STEP)
"""Cells of a histogram, from 1 ns to 2**44 ns."""

_CHUNK = 1 << 20


def histograms(durations_ns: Ints, windows: npt.NDArray[np.integer], count: int) -> Ints:
    """How many durations lie in each cell, for each of `count` windows; rows of window −1 are left out.

    Cells are half a percent wide and the same everywhere, so histograms are merged by adding them.
    """
    total = np.zeros(count * CELLS, dtype=np.int64)
    for start in range(0, len(durations_ns), _CHUNK):
        where = windows[start : start + _CHUNK]
        taken = durations_ns[start : start + _CHUNK][where >= 0]
        cells = (np.log(np.maximum(taken, 1)) / STEP).astype(np.int64)
        cells += where[where >= 0].astype(np.int64) * CELLS
        total += np.bincount(cells, minlength=len(total))
    return total.reshape(count, CELLS)
