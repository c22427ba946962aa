"""Single requests as figures show them: some as points, all of them as a heat map."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from calorimeter.core.recorded.sample_extent import SampleExtent
from calorimeter.core.recorded.sample_stream import SampleBlock
from calorimeter.core.statistics import Floats, Ints
from calorimeter.report.time_axis import TimeAxis

MOST_POINTS = 4000
"""Successes that are drawn at most, and failures: more points than these become a blot."""


class DrawnPoints:
    """Chooses single requests to draw: every k-th in the order of the files, if there are too many."""

    def __init__(self, extent: SampleExtent) -> None:
        self._start_ns = extent.first_ns
        counts = {True: extent.ok, False: extent.count - extent.ok - extent.dropped}
        self._steps = {ok: max(1, math.ceil(n / MOST_POINTS)) for ok, n in counts.items()}
        self._seen = dict.fromkeys(counts, 0)
        self._kept: dict[bool, list[pd.DataFrame]] = {True: [], False: []}

    def add(self, block: SampleBlock) -> None:
        """Choose from a block."""
        for ok, rows in ((True, block.ok), (False, ~block.ok & ~block.dropped)):
            places = np.flatnonzero(rows)
            step, seen = self._steps[ok], self._seen[ok]
            self._seen[ok] += len(places)
            places = places[-seen % step :: step]
            due_s = (block.due_ns[places] - self._start_ns) / 1e9
            self._kept[ok].append(
                pd.DataFrame({"t_s": due_s, "response": block.response_ns[places] / 1e9, "ok": ok})
            )

    def table(self) -> pd.DataFrame:
        """Successes, then failures: `t_s`, `response` in s, `ok`."""
        return pd.concat([*self._kept[True], *self._kept[False]], ignore_index=True)


class HeatCells:
    """Counts the successes in each cell of time × response time."""

    def __init__(self, extent: SampleExtent, time: TimeAxis, rows: int = 48) -> None:
        self._time, self._rows = time, rows
        self._cells = np.zeros(rows * time.bins, dtype=np.int64)
        self._any = extent.ok > 0
        ends = (extent.quickest_ns, extent.slowest_ns) if self._any else (1, 1)
        quickest, slowest = map(math.log10, _seconds(np.array(ends)).tolist())
        self._low, high = math.floor(quickest * 4) / 4, math.ceil(slowest * 4) / 4
        self._step = max(high - self._low, 0.25) / rows

    def add(self, block: SampleBlock) -> None:
        """Count the successes of a block."""
        bins, ok = self._time.of(block.due_ns), block.ok
        inside = ok & (bins >= 0)
        level = ((np.log10(_seconds(block.response_ns[inside])) - self._low) / self._step).astype(np.int64)
        np.minimum(level, self._rows - 1, out=level)
        self._cells += np.bincount(level * self._time.bins + bins[inside], minlength=len(self._cells))

    def table(self) -> pd.DataFrame:
        """How many successes fell in each cell.

        The index is the lower edge of a row in s, in even steps of the logarithm; the columns are the
        bins' middles in s. The table is empty if nothing succeeded.
        """
        if not self._any:
            return pd.DataFrame()
        edges = 10 ** (self._low + self._step * np.arange(self._rows))
        cells = self._cells.reshape(self._rows, self._time.bins)
        return pd.DataFrame(cells, index=edges, columns=self._time.middles_s)


def _seconds(taken_ns: Ints) -> Floats:
    return np.maximum(taken_ns / 1e9, 1e-6)
