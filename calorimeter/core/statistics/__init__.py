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
from calorimeter.core.statistics.sequential import (
    LEAST_BATCHES,
    SEQUENTIAL_RULE,
    ProvenExcess,
    SequentialRatio,
    looks_within,
)
from calorimeter.core.statistics.steadiness import WARM_UP_RULE, Steady, kendall, steady, theil_sen
from calorimeter.core.statistics.trends import LEAST_VALUES, SLOPE_RULE, slope

__all__ = [
    "ALPHA", "CELLS", "CHANGE_RULE", "LEAST_BATCHES", "LEAST_VALUES", "MINIMUM_SIDE", "MINIMUM_WINDOWS",
    "RULE", "SEQUENTIAL_RULE", "SHOWN_BEYOND", "SLOPE_RULE", "WARM_UP_RULE", "ChangePoint", "Difference",
    "DurationRanks", "Floats", "Interval", "Ints", "ProvenExcess", "SequentialRatio", "Steady",
    "WindowHistograms", "bootstrap", "change_points", "cliffs_delta", "difference", "kendall",
    "looks_within", "mann_whitney", "mean", "percentile", "pooled_bounds", "relative_shift",
    "samples_needed", "slope", "steady", "theil_sen",
]  # fmt: skip
