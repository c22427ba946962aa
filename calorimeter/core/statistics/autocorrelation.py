"""How much less a series of dependent values says than one of independent values."""

from __future__ import annotations

import numpy as np

from calorimeter.core.statistics.arrays import Floats

MOST_DEPENDENT = 0.9
"""The largest dependence of neighbours that is allowed for: a series with more says next to nothing."""


def dependence(residuals: Floats, fitted: int) -> float:
    """The correlation of neighbours in a series (AR(1)), from 0 to `MOST_DEPENDENT`.

    `residuals` are what is left after a mean (`fitted` 1) or a line (`fitted` 2) was taken off. An estimate
    from a short series is too low, by about (1 + 3ρ)/n after a mean and (2 + 4ρ)/n after a line (Kendall
    1954, Tanaka 1984); this is added again. Values that repel one another count as independent.
    """
    n = len(residuals)
    square = float(residuals @ residuals)
    if n <= 2 + 2 * fitted or square <= 0:
        return 0.0
    raw = float(residuals[1:] @ residuals[:-1]) / square
    return float(np.clip((n * raw + fitted) / (n - 2 - fitted), 0.0, MOST_DEPENDENT))


def inflation(rho: float, n: int) -> float:
    """By how much the variance of a mean of n values exceeds that of independent ones, if they are AR(1).

    1 + 2 · sum of (1 − k/n)·ρ^k: n values say as much as n / inflation independent ones (Bayley and
    Hammersley 1946; for Kendall's statistic, Yue and Wang 2004).
    """
    lags = np.arange(1, n)
    return 1.0 + 2.0 * float(((1 - lags / n) * rho**lags).sum())
