"""Percentiles, intervals, steady state and differences: numbers in, numbers out. Nothing here prints.

Gates and reports share these functions, so that their figures agree.
"""

from calorimeter.core.statistics.arrays import Floats, Ints
from calorimeter.core.statistics.change_points import CHANGE_RULE, ChangePoint, change_points
from calorimeter.core.statistics.differences import (
    ALPHA,
    MINIMUM_SIDE,
    RULE,
    Difference,
    cliffs_delta,
    difference,
    mann_whitney,
    relative_shift,
)
from calorimeter.core.statistics.duration_ranks import DurationRanks
from calorimeter.core.statistics.intervals import MINIMUM_WINDOWS, Interval, bootstrap, mean, pooled_bounds
from calorimeter.core.statistics.percentiles import (
    CELLS,
    SHOWN_BEYOND,
    WindowHistograms,
    percentile,
    samples_needed,
)
from calorimeter.core.statistics.steadiness import WARM_UP_RULE, Steady, kendall, steady, theil_sen

__all__ = [
    "ALPHA", "CELLS", "CHANGE_RULE", "MINIMUM_SIDE", "MINIMUM_WINDOWS", "RULE", "SHOWN_BEYOND",
    "WARM_UP_RULE", "ChangePoint", "Difference", "DurationRanks", "Floats", "Interval", "Ints", "Steady",
    "WindowHistograms", "bootstrap", "change_points", "cliffs_delta", "difference", "kendall",
    "mann_whitney", "mean", "percentile", "pooled_bounds", "relative_shift", "samples_needed", "steady",
    "theil_sen",
]  # fmt: skip
