"""The tables of a load, made in three passes over its samples: when, how many, and how long exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from calorimeter.core import statistics
from calorimeter.core.recorded.measured_part import Span, measured_part
from calorimeter.core.recorded.sample_extent import SampleExtent, extent_of
from calorimeter.core.recorded.sample_stream import EVERYTHING, TAKEN, SampleBlock, SampleStream
from calorimeter.core.statistics import DurationRanks, Interval
from calorimeter.report import time_axis as axes
from calorimeter.report.tables import latency, rates
from calorimeter.report.tables.drawn_requests import DrawnPoints, HeatCells
from calorimeter.report.tables.expected_shares import ConnectionTally
from calorimeter.report.tables.failures import ErrorTally
from calorimeter.report.tables.latency import OperationTally
from calorimeter.report.tables.rates import LoadCounts, Steadiness
from calorimeter.report.time_axis import TimeAxis

MOST_BLOCKS = 60
"""Windows that intervals are bootstrapped over, at most: long ones hardly depend on one another."""


@dataclass(frozen=True, slots=True)
class LoadTables:
    """Tables of a load; their columns are those that the modules in `tables` say.

    `rate`, `operations`, `curve` and `against` are of the measured part (`core.measured`). `all_measured`
    is whether that is the whole run, because no request was due in a measured part.
    """

    count: int
    duration_s: float
    sources: int
    axis: TimeAxis
    blocks: TimeAxis
    measured: Span
    all_measured: bool
    steadiness: Steadiness
    rate: Interval
    rates: pd.DataFrame
    points: pd.DataFrame
    latencies: pd.DataFrame
    latency_bin_s: int
    tails: pd.DataFrame
    tail_bin_s: int
    operations: pd.DataFrame
    errors: pd.DataFrame
    curve: pd.DataFrame
    heat: pd.DataFrame
    against: pd.DataFrame
    against_bin_s: int
    connections: pd.DataFrame
    generator: pd.DataFrame
    phases: pd.DataFrame


def read(samples: SampleStream, about: Mapping[str, Any]) -> LoadTables:
    """Read the samples of a run and make its tables; `about` is run.json. Errors are the stream's."""
    extent = extent_of(samples)
    found = measured_part(extent, about)
    measured = found or Span(extent.first_ns, extent.last_ns)
    tallies = _Tallies(samples, extent, measured)
    for block in samples.blocks(EVERYTHING):
        tallies.count(block)
    tallies.want()
    for block in samples.blocks(TAKEN):
        tallies.gather(block)
    return tallies.tables(all_measured=found is None)


class _Tallies:
    """What is collected from the samples of a run for its tables."""

    def __init__(self, samples: SampleStream, extent: SampleExtent, measured: Span) -> None:
        self._samples, self._extent, self._measured = samples, extent, measured
        self._time, self._blocks = axes.axis(extent), axes.axis(extent, most=MOST_BLOCKS)
        self._slices = axes.slices(extent.first_ns, extent.end_ns, self._time.bin_s)
        self._counts = LoadCounts(self._slices)
        self._responses, self._lags = (DurationRanks(self._slices.bins) for _ in range(2))
        self._operations = OperationTally(samples.kinds, measured, self._blocks)
        self._errors = ErrorTally(len(samples.kinds))
        self._points = DrawnPoints(extent)
        self._heat = HeatCells(extent, self._time)
        self._connections = ConnectionTally(samples)

    def count(self, block: SampleBlock) -> None:
        """The second pass: counts."""
        due = self._counts.add(block)
        self._responses.count(block.response_ns, np.where(block.ok, due, -1))
        self._lags.count(*rates.lateness(block, due))
        self._operations.count(block)
        for tally in (self._errors, self._points, self._heat, self._connections):
            tally.add(block)

    def want(self) -> None:
        """Between: which percentiles the tables show."""
        every = self._time.ranges(self._slices)
        wider, widest = self._wider(90), self._wider(99)
        self._responses.want_middles(every)
        self._responses.want(wider.ranges(self._slices), latency.AGAINST_PERCENTS)
        self._responses.want(widest.ranges(self._slices), (99.0,))
        self._lags.want(every, rates.LAG_PERCENTS)
        self._operations.want()

    def gather(self, block: SampleBlock) -> None:
        """The third pass: durations beside the percentiles."""
        due = self._slices.of(block.due_ns)
        self._responses.gather(block.response_ns, np.where(block.ok, due, -1))
        self._lags.gather(*rates.lateness(block, due))
        self._operations.gather(block)

    def _wider(self, percent: float) -> TimeAxis:
        return latency.latency_axis(self._extent, self._counts, self._time, percent)

    def tables(self, *, all_measured: bool) -> LoadTables:
        """After the passes."""
        time, counts, responses = self._time, self._counts, self._responses
        wider, widest = self._wider(90), self._wider(99)
        operations = self._operations.operations()
        return LoadTables(
            count=self._extent.count,
            duration_s=(self._extent.end_ns - time.start_ns) / 1e9,
            sources=self._connections.sources,
            axis=time,
            blocks=self._blocks,
            measured=self._measured,
            all_measured=all_measured,
            steadiness=rates.steadiness(counts, responses, time, self._measured),
            rate=self._rate(float(operations["rate"].iloc[-1])),
            rates=rates.rates(counts, time),
            points=self._points.table(),
            latencies=latency.latencies(responses, self._slices, wider, (50.0, 90.0)),
            latency_bin_s=wider.bin_s,
            tails=latency.latencies(responses, self._slices, widest, (99.0,)),
            tail_bin_s=widest.bin_s,
            operations=operations,
            errors=self._errors.table(self._samples.kinds),
            curve=self._operations.curve(),
            heat=self._heat.table(),
            against=latency.against_load(counts, responses, wider, self._measured),
            against_bin_s=wider.bin_s,
            connections=self._connections.table(),
            generator=rates.generator(self._lags, self._slices, time),
            phases=axes.phases(self._extent),
        )

    def _rate(self, per_s: float) -> Interval:
        """Successes per second of the measured part, with the bootstrap's bounds over the blocks in it."""
        within = self._blocks.within(self._measured)
        achieved = self._counts.per_bin("ok_due", self._blocks)[within] / self._blocks.bin_s
        return replace(statistics.bootstrap(achieved, statistics.mean, seed=1), estimate=per_s)
