"""Where a series of windows settles, and whether it does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calorimeter.core.statistics.arrays import Floats


@dataclass(frozen=True, slots=True)
class Steady:
    """Where a series settles: windows before `first` are warm-up. `reason` says why there is none."""

    first: int
    settled: bool
    reason: str


MINIMUM_SERIES = 20
"""A series of fewer windows is too short for a warm-up to be told from chance."""

MOST_DRIFT = 0.20
"""The largest change over the rest of the series, as a share of its median, that counts as steady."""

CHANCE = 0.01
"""How often a series that only fluctuates may be taken for one that drifts."""

WARM_UP_RULE = (
    "Warm-up ends where MSER (White 1997) puts it: at the window that makes the standard error of the "
    "rest smallest, searched in the first half. What remains is steady unless it drifts: unless its "
    f"Theil–Sen slope changes it by more than {MOST_DRIFT * 100:.0f} % of its median and Kendall's test "
    f"gives that trend p ≤ {CHANCE}. Fewer than {MINIMUM_SERIES} windows are too few to decide."
)


def steady(series: Sequence[float] | Floats) -> Steady:
    """Find the warm-up in a series of windows by `WARM_UP_RULE`."""
    values = np.asarray(series, dtype=np.float64)
    if len(values) < MINIMUM_SERIES or not np.isfinite(values).all():
        return Steady(0, False, f"has {len(values)} windows, too few to tell a warm-up")
    half = len(values) // 2
    errors = [float(values[d:].var()) / (len(values) - d) for d in range(half + 1)]
    first = int(np.argmin(errors))
    if first == half:
        if kendall(values) <= CHANCE:
            return Steady(0, False, "does not settle in its first half")
        first = 0  # no trend at all: the smallest standard error lay there by chance
    rest = values[first:]
    middle = float(np.median(rest))
    drift = theil_sen(rest) * (len(rest) - 1)
    if abs(drift) > MOST_DRIFT * abs(middle) and kendall(rest) <= CHANCE:
        return Steady(0, False, f"drifts by {drift / middle * 100:+.0f} %" if middle else "drifts")
    return Steady(first, True, "")


def kendall(values: Floats) -> float:
    """The two-sided p value of Kendall's test against a trend (Mann 1945), with ties and continuity.

    Long series are thinned to at most `_MOST`. 1.0 where all values are equal.
    """
    thinned = values[:: max(1, math.ceil(len(values) / _MOST))]
    n = len(thinned)
    low, high = np.triu_indices(n, k=1)
    score = abs(float(np.sign(thinned[high] - thinned[low]).sum()))
    ties = np.unique(thinned, return_counts=True)[1]
    spread = (n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18
    if spread <= 0:
        return 1.0
    return math.erfc(max(0.0, score - 1) / math.sqrt(2 * spread))


_MOST = 600
"""All pairs of 600 values are enough, and 180,000 are quick."""


def theil_sen(values: Floats) -> float:
    """The median of the slopes between all pairs of a series, per step (Sen 1968)."""
    if len(values) > _MOST:
        step = math.ceil(len(values) / _MOST)
        values = values[::step] / step
    low, high = np.triu_indices(len(values), k=1)
    if not len(low):
        return 0.0
    return float(np.median((values[high] - values[low]) / (high - low)))
