"""Tables of response and service time: over time, per operation and as a curve."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from calorimeter.core import statistics
from calorimeter.core.recorded.measured_part import Span
from calorimeter.core.recorded.sample_extent import SampleExtent
from calorimeter.core.recorded.sample_stream import SampleBlock
from calorimeter.core.statistics import DurationRanks, Ints, WindowHistograms
from calorimeter.report.tables.rates import LoadCounts
from calorimeter.report.time_axis import BIN_LADDER_S, TimeAxis, axis

PERCENTS = (50.0, 90.0, 99.0, 99.9)
"""The percentiles of the tables."""

AGAINST_PERCENTS = (50.0, 90.0, 99.0)
"""Those of windows against their load."""

CURVE_PERCENTS = (
    *(float(p) for p in range(1, 90)),
    *(90 + p / 5 for p in range(45)),
    *(99 + p / 50 for p in range(45)),
    *(99.9 + p / 500 for p in range(46)),
)
"""The percentiles of the percentile curve: even steps in each decade towards 99.99."""


def latencies(
    responses: DurationRanks, slices: TimeAxis, time: TimeAxis, percents: tuple[float, ...] = PERCENTS
) -> pd.DataFrame:
    """Response time of successes by when they were due: `t_s`, `n` and a column per percentile, in s.

    `responses` has the response times of each of the slices.
    """
    ranges = time.ranges(slices)
    table = pd.DataFrame({"t_s": time.middles_s, "n": [responses.total(each) for each in ranges]})
    found = responses.percentiles(ranges, percents) / 1e9
    return table.assign(**{column(percent): found[:, n] for n, percent in enumerate(percents)})


def against_load(counts: LoadCounts, responses: DurationRanks, time: TimeAxis, part: Span) -> pd.DataFrame:
    """Answers against the offered load, one row for each bin that lies wholly in a part of the run.

    Columns, per second: `offered`, `achieved`, `errors`, `dropped`, all by when a request was due; then
    `n` successes and their `p50`, `p90`, `p99` in s (NaN if there are too few).
    """
    table = latencies(responses, counts.slices, time, AGAINST_PERCENTS)
    names = {"offered": "due", "achieved": "ok_due", "errors": "failed_due", "dropped": "dropped_due"}
    for name, counted in names.items():
        table[name] = counts.per_bin(counted, time) / time.bin_s
    order = ["t_s", *names, "n", *map(column, AGAINST_PERCENTS)]
    return table.iloc[time.within(part)][order].reset_index(drop=True)


def latency_axis(extent: SampleExtent, counts: LoadCounts, time: TimeAxis, percent: float) -> TimeAxis:
    """Bins wide enough that half of them can show a percentile, but at least ten of them."""
    needed = statistics.samples_needed(percent)
    for width in BIN_LADDER_S:
        if width < time.bin_s:
            continue
        wider = axis(extent, least_s=width)
        if wider.bins < 20 or np.median(counts.per_bin("due", wider)) >= needed:
            return wider
    return time


def column(percent: float) -> str:
    """The column name of a percentile: p50, p99.9."""
    return f"p{percent:g}"


class OperationTally:
    """Counts and times the requests of each operation that were due in a part of the run.

    `kinds` are their names by code. Successes are timed in two passes (`count`, `gather`). `blocks` are the
    windows that bounds are bootstrapped over.
    """

    def __init__(self, kinds: Sequence[str], part: Span, blocks: TimeAxis) -> None:
        self._kinds, self._part, self._blocks = kinds, part, blocks
        self._counts = np.zeros((3, len(kinds)), dtype=np.int64)
        self._times = {name: DurationRanks(len(kinds)) for name in ("response", "service")}
        self._windows = WindowHistograms(blocks.bins)
        self._each = [range(code, code + 1) for code in range(len(kinds))]
        self._all = range(len(kinds))

    def count(self, block: SampleBlock) -> None:
        """First pass."""
        chosen = block.rows(self._part.holds(block.due_ns))
        ok = chosen.rows(chosen.ok)
        never = chosen.kind[chosen.dropped]
        for row, kinds in enumerate((chosen.kind, ok.kind, never)):
            self._counts[row] += np.bincount(kinds, minlength=len(self._kinds))
        self._windows.add(ok.response_ns, ok.kind, self._blocks.of(ok.due_ns))
        self._times["response"].count(ok.response_ns, ok.kind)
        self._times["service"].count(ok.service_ns, ok.kind)

    def want(self) -> None:
        """Between the passes."""
        for times in self._times.values():
            times.want([*self._each, self._all], PERCENTS)
            times.want([self._all], CURVE_PERCENTS)

    def gather(self, block: SampleBlock) -> None:
        """Second pass."""
        ok = block.rows(block.ok & self._part.holds(block.due_ns))
        self._times["response"].gather(ok.response_ns, ok.kind)
        self._times["service"].gather(ok.service_ns, ok.kind)

    def operations(self) -> pd.DataFrame:
        """One row for each operation and one for all of them.

        Columns: `operation`, `n` (all that were due), `ok`, `failed` (sent, but not ok), `dropped`,
        `rate` (ok per second), and of the successes in s: `response_p50` … and `service_p50` …; NaN if
        there are too few samples (`statistics.samples_needed`). `response_p50_low`, `_high` and so on are
        the bootstrap's bounds over the blocks; NaN if there are too few of those.
        """
        merged = np.zeros((self._blocks.bins, statistics.CELLS), dtype=np.int64)
        rows = []
        for code in sorted(self._all, key=self._kinds.__getitem__):
            row = self._operation(self._kinds[code], self._each[code])
            held = self._windows.of(code)
            merged += held
            rows.append(row | _bounds(row, held))
        if len(self._kinds) > 1:
            row = self._operation("all", self._all)
            rows.append(row | _bounds(row, merged))
        return pd.DataFrame([row for row in rows if row["n"]])

    def _operation(self, name: str, kinds: range) -> dict[str, float | str]:
        n, ok, unsent = self._counts[:, kinds.start : kinds.stop].sum(axis=1).tolist()
        length_s = self._part.length_s
        found = {each: times.percentiles([kinds], PERCENTS)[0] / 1e9 for each, times in self._times.items()}
        return {
            **{"operation": name, "n": n, "ok": ok, "failed": n - ok - unsent, "dropped": unsent},
            "rate": ok / length_s if length_s else 0.0,
            **{
                f"{each}_{column(percent)}": float(value)
                for each, values in found.items()
                for percent, value in zip(PERCENTS, values, strict=True)
            },
        }

    def curve(self) -> pd.DataFrame:
        """The percentile curve of successes: `percent`, `response`, `service` in s, as far as n allows."""
        ok = int(self._counts[1].sum())
        shown = [percent for percent in CURVE_PERCENTS if statistics.samples_needed(percent) <= ok]
        table = pd.DataFrame({"percent": shown})
        for name, times in self._times.items():
            table[name] = times.percentiles([self._all], shown)[0] / 1e9
        return table


def _bounds(row: dict[str, float | str], windows: Ints) -> dict[str, float | str]:
    shown = [p for p in PERCENTS if math.isfinite(float(row[f"response_{column(p)}"]))]
    bounds = statistics.pooled_bounds(windows, shown, seed=3)
    return {
        f"response_{column(percent)}_{end}": bound / 1e9
        for percent in PERCENTS
        for end, bound in zip(("low", "high"), bounds.get(percent, (math.nan, math.nan)), strict=True)
    }
