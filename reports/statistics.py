"""Percentiles, intervals and steady state: numbers in, numbers out; nothing here prints or draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SHOWN_BEYOND = 10
"""A percentile is shown only where at least this many samples lie beyond it on each side."""

_VALUE_BITS = 44
"""Bits that a duration in ns has in a sort key: up to 2**44 ns, almost five hours."""


def needed(percent: float) -> int:
    """How many samples the `percent`th percentile needs to be shown: n · min(p, 1 − p) ≥ 10."""
    rare = min(percent, 100 - percent)
    return math.ceil(round(SHOWN_BEYOND * 100 / rare, 6)) if rare > 0 else 1


def percentile(ordered: npt.NDArray[np.number], percent: float) -> float:
    """The percentile of values in ascending order, or NaN where there are too few to show it.

    Linear interpolation between the two nearest ranks, numpy's default (Hyndman and Fan 1996, type 7).
    """
    if len(ordered) < needed(percent):
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


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the bounds that its bootstrap gives at `confidence`."""

    estimate: float
    low: float
    high: float
    confidence: float = 0.95

    @property
    def known(self) -> bool:
        """Whether there were enough windows for bounds."""
        return math.isfinite(self.low) and math.isfinite(self.high)


MINIMUM_WINDOWS = 8
"""Fewer windows than these get an estimate without bounds."""


def bootstrap(
    values: Sequence[float] | Floats,
    statistic: Callable[[Floats], Floats],
    *,
    seed: int,
    rounds: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """Percentile bootstrap (Efron 1979) of `statistic` over windows or runs, never over requests.

    Requests follow one another and are not independent; windows of a second and more nearly are.
    `statistic` reduces the last axis. Below `MINIMUM_WINDOWS` the bounds are NaN.
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return Interval(math.nan, math.nan, math.nan, confidence)
    estimate = float(statistic(known[None, :])[0])
    if len(known) < MINIMUM_WINDOWS:
        return Interval(estimate, math.nan, math.nan, confidence)
    rng = np.random.default_rng(seed)
    drawn = statistic(known[rng.integers(0, len(known), size=(rounds, len(known)))])
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(estimate, float(low), float(high), confidence)


_STEP = math.log(1.005)
"""The width of a histogram's cell in the logarithm: half a percent."""

CELLS = math.ceil(_VALUE_BITS * math.log(2) / _STEP)
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
        cells = (np.log(np.maximum(taken, 1)) / _STEP).astype(np.int64)
        cells += where[where >= 0].astype(np.int64) * CELLS
        total += np.bincount(cells, minlength=len(total))
    return total.reshape(count, CELLS)


def pooled_bounds(
    windows: Ints, percents: Sequence[float], *, seed: int, rounds: int = 1000, confidence: float = 0.95
) -> dict[float, tuple[float, float]]:
    """Bootstrap bounds of percentiles, in ns, by drawing whole windows and pooling what they hold.

    `windows` has a histogram a row (see `histograms`). Requests of one window stay together, because
    they are not independent (a block bootstrap, Künsch 1989). Histograms are merged, never averaged;
    bounds are as coarse as their cells. Empty where fewer than `MINIMUM_WINDOWS` windows hold anything.
    """
    used = windows[windows.any(axis=1)].astype(np.float64)
    if not percents or len(used) < MINIMUM_WINDOWS:
        return {}
    filled = np.flatnonzero(used.any(axis=0))
    first = int(filled[0])
    used = used[:, first : int(filled[-1]) + 1]
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(used), np.full(len(used), 1 / len(used)), size=rounds) @ used
    reached = drawn.cumsum(axis=1)
    tail = (1 - confidence) / 2
    bounds = {}
    for percent in percents:
        rank = reached[:, -1:] * percent / 100
        found = np.exp(((reached >= rank).argmax(axis=1) + first + 0.5) * _STEP)
        low, high = np.quantile(found, [tail, 1 - tail])
        bounds[percent] = (float(low), float(high))
    return bounds


def mean(values: Floats) -> Floats:
    """The mean along the last axis, in the shape that `bootstrap` takes."""
    return np.asarray(values.mean(axis=-1))


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

WARM_UP_RULE = (
    "Warm-up ends where MSER (White 1997) puts it: at the window that makes the standard error of the "
    f"rest smallest, searched in the first half. What remains is steady when its Theil–Sen slope changes "
    f"it by at most {MOST_DRIFT * 100:.0f} % of its median. Fewer than {MINIMUM_SERIES} windows are too "
    "few to tell: then nothing is excluded."
)


def steady(series: Sequence[float] | Floats) -> Steady:
    """Find the warm-up in a series of windows by `WARM_UP_RULE`."""
    values = np.asarray(series, dtype=np.float64)
    if len(values) < MINIMUM_SERIES or not np.isfinite(values).all():
        return Steady(0, False, f"has {len(values)} windows, too few to tell a warm-up")
    half = len(values) // 2
    errors = [float(values[d:].var()) / (len(values) - d) for d in range(half + 1)]
    first = int(np.argmin(errors))
    rest = values[first:]
    if first == half:
        return Steady(0, False, "does not settle in its first half")
    middle = float(np.median(rest))
    drift = theil_sen(rest) * (len(rest) - 1)
    if abs(drift) > MOST_DRIFT * abs(middle):
        return Steady(0, False, f"drifts by {drift / middle * 100:+.0f} %" if middle else "drifts")
    return Steady(first, True, "")


def theil_sen(values: Floats) -> float:
    """The median of the slopes between all pairs of a series, per step (Sen 1968)."""
    if len(values) > 600:  # all pairs of 600 values are enough, and 180,000 are quick
        values = values[:: math.ceil(len(values) / 600)] / math.ceil(len(values) / 600)
    low, high = np.triu_indices(len(values), k=1)
    if not len(low):
        return 0.0
    return float(np.median((values[high] - values[low]) / (high - low)))


def mann_whitney(left: Floats, right: Floats) -> float:
    """The two-sided p value of Mann and Whitney's U test (1947) that neither side tends to be larger.

    Exact where no value occurs twice and there are at most `_EXACT` pairs; else the normal
    approximation with the correction for ties and for continuity. 1.0 where all values are equal.
    """
    m, n = len(left), len(right)
    pairs = np.sign(right[None, :] - left[:, None])
    u = float((pairs > 0).sum() + (pairs == 0).sum() / 2)
    counts = np.unique(np.concatenate([left, right]), return_counts=True)[1]
    if m * n <= _EXACT and counts.max() == 1:
        ways = _ways(m, n)
        smaller = int(min(u, m * n - u))
        return min(1.0, 2 * float(ways[: smaller + 1].sum() / ways.sum()))
    total = m + n
    spread = m * n / 12 * (total + 1 - float((counts**3 - counts).sum()) / (total * (total - 1)))
    if spread <= 0:
        return 1.0
    z = max(0.0, abs(u - m * n / 2) - 0.5) / math.sqrt(spread)
    return math.erfc(z / math.sqrt(2))


_EXACT = 400


def _ways(m: int, n: int) -> Floats:
    """In how many orders of m and n distinct values U takes each of its values 0 … m·n.

    The coefficients of the Gaussian binomial: the product over i of (1 − q^(n+i)) / (1 − q^i).
    """
    ways = np.zeros(m * n + 1)
    ways[0] = 1
    for i in range(1, m + 1):
        ways[n + i :] -= ways[: -(n + i)].copy() if n + i <= m * n else 0
        for k in range(i, m * n + 1):
            ways[k] += ways[k - i]
    return ways


def cliffs_delta(left: Floats, right: Floats) -> float:
    """How much more often a value of `right` is the larger than the smaller: −1 to 1 (Cliff 1993)."""
    return float(np.sign(right[None, :] - left[:, None]).mean())


def relative_difference(left: Floats, right: Floats, *, seed: int, rounds: int = 4000) -> Interval:
    """median(right) / median(left) − 1, with bootstrap bounds: both sides are drawn anew, apart."""
    rng = np.random.default_rng(seed)
    estimate = float(np.median(right) / np.median(left) - 1)
    drawn = [
        np.median(side[rng.integers(0, len(side), size=(rounds, len(side)))], axis=1)
        for side in (left, right)
    ]
    low, high = np.quantile(drawn[1] / drawn[0] - 1, [0.025, 0.975])
    return Interval(estimate, float(low), float(high))
