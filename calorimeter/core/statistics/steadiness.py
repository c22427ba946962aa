"""Whether a series of windows settles, and where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calorimeter.core.statistics.arrays import Floats


@dataclass(frozen=True, slots=True)
class Steady:
    """The steady part of a series: windows before `first` are warm-up. `reason`: why it is not steady."""

    first: int
    settled: bool
    reason: str


MINIMUM_SERIES = 20
"""In a series of fewer windows, a warm-up cannot be distinguished from chance."""

MOST_DRIFT = 0.20
"""The largest change over the steady part, as a share of its median."""

CHANCE = 0.01
"""The probability that a series that only fluctuates is called drifting."""

WARM_UP_RULE = (
    "The end of the warm-up is found by MSER (White 1997): the window in the first half that minimizes the "
    "standard error of the windows after it. These windows are steady unless they drift, that is, unless "
    f"their Theil–Sen slope changes them by more than {MOST_DRIFT * 100:.0f} % of their median and "
    f"Kendall's test gives this trend p ≤ {CHANCE}. Fewer than {MINIMUM_SERIES} windows are too few to "
    "decide."
)


def steady(series: Sequence[float] | Floats) -> Steady:
    """Find the warm-up in a series of windows by `WARM_UP_RULE`."""
    values = np.asarray(series, dtype=np.float64)
    if len(values) < MINIMUM_SERIES or not np.isfinite(values).all():
        return Steady(0, False, f"has {len(values)} windows, too few to detect a warm-up")
    half = len(values) // 2
    errors = [float(values[d:].var()) / (len(values) - d) for d in range(half + 1)]
    first = int(np.argmin(errors))
    if first == half:
        if kendall(values) <= CHANCE:
            return Steady(0, False, "does not settle in its first half")
        first = 0  # no trend: the standard error is smallest there by chance
    rest = values[first:]
    middle = float(np.median(rest))
    drift = theil_sen(rest) * (len(rest) - 1)
    if abs(drift) > MOST_DRIFT * abs(middle) and kendall(rest) <= CHANCE:
        return Steady(0, False, f"drifts by {drift / middle * 100:+.0f} %" if middle else "drifts")
    return Steady(first, True, "")


def kendall(values: Floats) -> float:
    """The two-sided p value of Kendall's test for a trend (Mann 1945), corrected for ties and continuity.

    Long series are thinned to at most `_MOST` values. 1.0 if all values are equal.
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
"""600 values have 180,000 pairs: enough for the estimate, and fast."""


def theil_sen(values: Floats) -> float:
    """The median slope per step over all pairs of values (Sen 1968). Long series are thinned."""
    if len(values) > _MOST:
        step = math.ceil(len(values) / _MOST)
        values = values[::step] / step
    low, high = np.triu_indices(len(values), k=1)
    if not len(low):
        return 0.0
    return float(np.median((values[high] - values[low]) / (high - low)))
