"""Time in bins, and the phases of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from calorimeter.core.recorded.measured_part import Span
from calorimeter.core.recorded.sample_extent import SampleExtent
from calorimeter.core.statistics import Floats, Ints

BIN_LADDER_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
"""Bin widths in seconds that a reader can think in."""

MOST_BINS = 300
"""More bins than these cannot be distinguished in a figure."""


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Time in bins of `bin_s` from `start_ns`; the last, incomplete bin is not one of them."""

    start_ns: int
    bin_s: int
    bins: int

    @property
    def middles_s(self) -> Floats:
        """The middle of each bin, in seconds since the start."""
        return np.asarray((np.arange(self.bins) + 0.5) * self.bin_s, dtype=np.float64)

    def of(self, times_ns: Ints) -> Ints:
        """The bin of each time, −1 outside."""
        bins = (times_ns - self.start_ns) // (self.bin_s * 1_000_000_000)
        bins[(bins < 0) | (bins >= self.bins)] = -1
        return bins

    def within(self, part: Span) -> slice:
        """The bins that lie wholly in a part of the run."""
        width = self.bin_s * 1_000_000_000
        first, last = part.first_ns - self.start_ns, part.last_ns - self.start_ns
        return slice(max(0, -(-first // width)), max(0, last // width))

    def counts(self, times_ns: Ints) -> Ints:
        """How many of the times lie in each bin."""
        bins = self.of(times_ns)
        return np.bincount(bins[bins >= 0], minlength=self.bins).astype(np.int64)

    def ranges(self, slices: TimeAxis, first: int = 0) -> list[range]:
        """The slices of each bin. Both axes begin at one time; the first slice has the number `first`."""
        each = self.bin_s // slices.bin_s
        edges = [first + min(number * each, slices.bins) for number in range(self.bins + 1)]
        return [range(start, end) for start, end in pairwise(edges)]

    def merged(self, counts: Ints, slices: TimeAxis) -> Ints:
        """The sum of counts over the slices of each bin."""
        below = np.append(0, counts.cumsum())
        return np.array([below[each.stop] - below[each.start] for each in self.ranges(slices)], np.int64)


def axis(extent: SampleExtent, *, least_s: int = 1, most: int = MOST_BINS) -> TimeAxis:
    """Bins over a run, from the first request due to the last answer, at most `most`."""
    length_s = (extent.end_ns - extent.first_ns) / 1e9
    fits = [width for width in BIN_LADDER_S if width >= least_s and length_s <= width * most]
    width = fits[0] if fits else BIN_LADDER_S[-1]
    return TimeAxis(extent.first_ns, width, max(1, int(length_s // width)))


def slices(start_ns: int, end_ns: int, least_s: int) -> TimeAxis:
    """The parts that all bins of `least_s` and more from `start_ns` are made of, up to `end_ns` or more."""
    width = math.gcd(*(each for each in BIN_LADDER_S if each >= least_s))
    return TimeAxis(start_ns, width, (end_ns - start_ns) // (width * 1_000_000_000) + 1)


def phases(extent: SampleExtent) -> pd.DataFrame:
    """When each phase began and ended, in s since the start, in order: `phase`, `from_s`, `to_s`."""
    ordered = sorted(extent.phases.items(), key=lambda phase: phase[1][::-1])
    ends = np.array([(last - extent.first_ns) / 1e9 for _, (_, last) in ordered])
    begins = np.append(0.0, ends[:-1])  # a phase begins where the one before it ends (see `core.measured`)
    return pd.DataFrame({"phase": [name for name, _ in ordered], "from_s": begins, "to_s": ends})
