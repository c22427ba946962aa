"""Estimates with bootstrap bounds. Windows or runs are resampled as a whole, never single requests."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from calorimeter.core.statistics.arrays import Floats, Ints
from calorimeter.core.statistics.percentiles import STEP


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its bounds at `confidence`."""

    estimate: float
    low: float
    high: float
    confidence: float = 0.95

    @property
    def known(self) -> bool:
        """Whether there are bounds: there were enough windows."""
        return math.isfinite(self.low) and math.isfinite(self.high)


MINIMUM_WINDOWS = 8
"""With fewer windows an estimate has no bounds."""


def bootstrap(
    values: Sequence[float] | Floats,
    statistic: Callable[[Floats], Floats],
    *,
    seed: int,
    rounds: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """Percentile bootstrap (Efron 1979) of `statistic` over windows or runs.

    Consecutive requests are not independent; windows of a second or more nearly are. `statistic` reduces
    the last axis. Values that are not finite are ignored. The bounds are NaN below `MINIMUM_WINDOWS`.
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


def pooled_bounds(
    windows: Ints, percents: Sequence[float], *, seed: int, rounds: int = 1000, confidence: float = 0.95
) -> dict[float, tuple[float, float]]:
    """Bootstrap bounds of percentiles in ns: percent → (low, high).

    `windows` has one histogram per row (see `WindowHistograms`). Whole windows are resampled, because
    requests of one window are not independent (block bootstrap, Künsch 1989). Histograms are added, never
    averaged. The bounds are as coarse as the histogram's cells. Empty if fewer than `MINIMUM_WINDOWS`
    windows have values.
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
        found = np.exp(((reached >= rank).argmax(axis=1) + first + 0.5) * STEP)
        low, high = np.quantile(found, [tail, 1 - tail])
        bounds[percent] = (float(low), float(high))
    return bounds


def mean(values: Floats) -> Floats:
    """The mean along the last axis, in the shape that `bootstrap` takes."""
    return np.asarray(values.mean(axis=-1))
