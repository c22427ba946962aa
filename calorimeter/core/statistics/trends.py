"""How fast a series grows, with bounds that hold if its values depend on one another."""

from __future__ import annotations

import math

import numpy as np

from calorimeter.core.statistics.arrays import Floats
from calorimeter.core.statistics.autocorrelation import MOST_DEPENDENT, dependence, inflation
from calorimeter.core.statistics.intervals import Interval
from calorimeter.core.statistics.student import quantile

LEAST_VALUES = 10
"""With fewer values a slope has no bounds."""

SLOPE_RULE = (
    "A slope is the median of the slopes of all pairs of windows (Theil 1950, Sen 1968), so a few outliers "
    "do not move it. Neighbouring windows depend on one another, and n of them say as much as a smaller "
    "number of independent ones: the slope's standard error is that of a line with AR(1) residuals, its "
    "square enlarged by π/3 (Sen's efficiency), and its bounds take Student's t with that smaller number "
    "less two degrees of freedom (adjusted standard error and degrees of freedom, Santer et al. 2000). The "
    "correlation of neighbours is that of the residuals, corrected for its bias and taken one standard "
    "error larger. A series with strong dependence thus has wide bounds, not wrong ones."
)


def slope(times: Floats, values: Floats, confidence: float) -> Interval:
    """The slope of values over time by `SLOPE_RULE`, in units of value per unit of time.

    `times` increase in about equal steps; pairs with a value that is not finite are left out. Bounds are
    NaN for fewer than `LEAST_VALUES` values, and infinite if these say as much as three independent ones.
    The caller thins long series: all pairs are computed.
    """
    known = np.isfinite(values)
    at, y = times[known], values[known]
    n = len(y)
    low, high = np.triu_indices(n, k=1)
    if n < 2:
        return Interval(math.nan, math.nan, math.nan, confidence)
    middle = float(np.median((y[high] - y[low]) / (at[high] - at[low])))
    if n < LEAST_VALUES:
        return Interval(middle, math.nan, math.nan, confidence)
    rest = y - middle * at
    rest = rest - rest.mean()
    square = float(rest @ rest) / (n - 2)
    if square <= (_ROUNDING * float(np.abs(y).max())) ** 2:  # a straight line
        return Interval(middle, middle, middle, confidence)
    rho = min(MOST_DEPENDENT, dependence(rest, 2) + 1 / math.sqrt(n))
    freedom = int(n / inflation(rho, n)) - 2
    if freedom < 1:
        return Interval(middle, -math.inf, math.inf, confidence)
    apart = at - at.mean()
    weights = apart / float(apart @ apart)
    places = np.arange(n)
    variance = square * float(weights @ rho ** np.abs(places[:, None] - places) @ weights)
    reach = quantile((1 - confidence) / 2, freedom) * math.sqrt(math.pi / 3 * variance)
    return Interval(middle, middle - reach, middle + reach, confidence)


_ROUNDING = 1e-12
