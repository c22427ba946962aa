"""Exact percentiles, and histograms that can be added."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from calorimeter.core.statistics.arrays import Ints

SHOWN_BEYOND = 10
"""A percentile is shown only if at least this many samples lie beyond it on each side."""

_VALUE_BITS = 44
"""Bits of a duration in a sort key: up to 2**44 ns, almost five hours."""


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
    return _interpolated(ordered, percent)


def _interpolated(ordered: npt.NDArray[np.number], percent: float) -> float:
    position = (len(ordered) - 1) * percent / 100
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    start, end = float(ordered[low]), float(ordered[high])
    return start + (end - start) * (position - low)


def sorted_groups(durations_ns: Ints, groups: npt.NDArray[np.integer], count: int) -> list[Ints]:
    """The durations of each of `count` groups in ascending order. Rows with a negative group are left out.

    All groups are sorted as one integer array, with the group in the high bits and the duration in the low
    ones, so that ten million rows are cheap. Raises ValueError for a duration that is negative or too long.
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
"""The width of a histogram's cell, as a natural logarithm: half a percent."""

CELLS = math.ceil(_VALUE_BITS * math.log(2) / STEP)
"""The number of cells of a histogram, from 1 ns to 2**44 ns."""

_CHUNK = 1 << 20


def histograms(durations_ns: Ints, windows: npt.NDArray[np.integer], count: int) -> Ints:
    """The number of durations in each cell, for each of `count` windows. Rows of window −1 are left out.

    Returns an array of shape (`count`, `CELLS`). All histograms have the same cells, so they can be added.
    """
    total = np.zeros(count * CELLS, dtype=np.int64)
    for start in range(0, len(durations_ns), _CHUNK):
        where = windows[start : start + _CHUNK]
        taken = durations_ns[start : start + _CHUNK][where >= 0]
        cells = (np.log(np.maximum(taken, 1)) / STEP).astype(np.int64)
        cells += where[where >= 0].astype(np.int64) * CELLS
        total += np.bincount(cells, minlength=len(total))
    return total.reshape(count, CELLS)
