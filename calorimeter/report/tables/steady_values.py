"""What a comparison takes from the steady part of a run: medians and rates, of all of it and of windows."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from calorimeter.core import statistics
from calorimeter.core.recorded.measured_part import Span
from calorimeter.core.recorded.sample_stream import TAKEN, SampleBlock, SampleStream
from calorimeter.core.statistics import DurationRanks, Ints
from calorimeter.report import time_axis as axes
from calorimeter.report.time_axis import BIN_LADDER_S, TimeAxis

RESPONSE = "median response (s)"
ACHIEVED = "achieved (1/s)"

MOST_WINDOWS = 60
"""Windows that a run is cut into at most."""

COLUMNS = ("operation", "measure", "value")


class SteadyValues:
    """Reads the samples that were due in a part of a run, in two passes.

    Of `count` requests `failed` were not answered as expected; `operations` are their kinds.
    """

    def __init__(self, samples: SampleStream, part: Span) -> None:
        self._part, self._kinds = part, samples.kinds
        least_s = next((w for w in BIN_LADDER_S if part.length_s // w <= MOST_WINDOWS), BIN_LADDER_S[-1])
        self._slices = axes.slices(part.first_ns, part.last_ns, least_s)
        self._taken = DurationRanks(len(self._kinds) * self._slices.bins)
        due = np.zeros(len(self._kinds), dtype=np.int64)
        for block in samples.blocks(TAKEN):
            chosen = block.rows(part.holds(block.due_ns))
            due += np.bincount(chosen.kind, minlength=len(due))
            self._taken.count(*self._timed(chosen))
        self.operations = tuple(self._kinds[code] for code in np.flatnonzero(due))
        self.count = int(due.sum())
        self.failed = self.count - sum(map(self._ok, range(len(due))))
        self._windows = [self._windows_of(code) for code in range(len(due))]
        self._taken.want([self._whole(code) for code in range(len(due))], (50.0,))
        for code, time in enumerate(self._windows):
            self._taken.want(self._ranges(code, time), (50.0,))
        for block in samples.blocks(TAKEN):
            self._taken.gather(*self._timed(block.rows(part.holds(block.due_ns))))

    def _timed(self, block: SampleBlock) -> tuple[Ints, Ints]:
        ok = block.rows(block.ok)
        return ok.response_ns, ok.kind * self._slices.bins + self._slices.of(ok.due_ns)

    def _whole(self, code: int) -> range:
        return range(code * self._slices.bins, (code + 1) * self._slices.bins)

    def _ok(self, code: int) -> int:
        return self._taken.total(self._whole(code))

    def _ranges(self, code: int, time: TimeAxis | None) -> list[range]:
        return time.ranges(self._slices, code * self._slices.bins) if time else []

    def of_run(self) -> pd.DataFrame:
        """One row for each operation and measure of the part: `operation`, `measure`, `value`."""
        length_s = self._part.length_s
        rows = [("all", ACHIEVED, (self.count - self.failed) / length_s if length_s else math.nan)]
        for code in self._in_order():
            middle = float(self._taken.percentiles([self._whole(code)], (50.0,))[0, 0]) / 1e9
            rows.append((self._kinds[code], RESPONSE, middle))
        return pd.DataFrame(rows, columns=list(COLUMNS)).dropna()

    def of_windows(self) -> pd.DataFrame:
        """One row for each operation, measure and window."""
        rows: list[tuple[str, str, float]] = []
        time = self._fitting(range(len(self._kinds)), least=1)
        if time is not None:
            rows += [("all", ACHIEVED, float(n) / time.bin_s) for n in self._counts(time)]
        for code in self._in_order():
            ranges = self._ranges(code, self._windows[code])
            values = self._taken.percentiles(ranges, (50.0,))[:, 0] / 1e9
            rows += [(self._kinds[code], RESPONSE, float(value)) for value in values[np.isfinite(values)]]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def _in_order(self) -> list[int]:
        return sorted(filter(self._ok, range(len(self._kinds))), key=self._kinds.__getitem__)

    def _windows_of(self, code: int) -> TimeAxis | None:
        return self._fitting(range(code, code + 1), least=statistics.samples_needed(50))

    def _fitting(self, codes: range, *, least: int) -> TimeAxis | None:
        """At most `MOST_WINDOWS` windows, half of which hold `least` successes or more; None if too few."""
        for width in BIN_LADDER_S:
            bins = int(self._part.length_s // width)
            if bins < statistics.MINIMUM_WINDOWS:
                return None
            time = TimeAxis(self._part.first_ns, width, bins)
            if bins <= MOST_WINDOWS and np.median(self._counts(time, codes)) >= least:
                return time
        return None

    def _counts(self, time: TimeAxis, codes: range | None = None) -> Ints:
        """Successes of some operations (None: of all) in each window."""
        codes = codes or range(len(self._kinds))
        each = [[self._taken.total(one) for one in self._ranges(code, time)] for code in codes]
        found: Ints = np.array(each, dtype=np.int64).sum(axis=0)
        return found
