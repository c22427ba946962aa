"""Tables of a load over time: rates, lateness of the generator; and whether the load was steady."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from calorimeter.core import statistics
from calorimeter.core.recorded.measured_part import Span
from calorimeter.core.recorded.sample_stream import SampleBlock
from calorimeter.core.statistics import DurationRanks, Ints
from calorimeter.report.time_axis import TimeAxis


class LoadCounts:
    """How many requests were due, sent and ended in each slice of a run.

    By when they were due: `due`, `ok_due`, `failed_due` (sent, but not ok) and `dropped_due`; by when they
    were sent: `sent`; by when they ended: `ended`, `ok_ended` and `failed_ended`. What was dropped is
    neither sent nor ended.
    """

    def __init__(self, slices: TimeAxis) -> None:
        self.slices = slices
        names = ("due", "ok_due", "dropped_due", "sent", "ended", "ok_ended")
        self._of = {name: np.zeros(slices.bins, dtype=np.int64) for name in names}

    def add(self, block: SampleBlock) -> Ints:
        """Count a block; returns the slice that each of its requests was due in."""
        ok, sent = block.ok, ~block.dropped
        done_ns = block.due_ns + block.response_ns
        due, ended = self.slices.of(block.due_ns), self.slices.of(done_ns)
        for name, where in (
            ("due", due),
            ("ok_due", due[ok]),
            ("dropped_due", due[~sent]),
            ("sent", self.slices.of(done_ns - block.service_ns)[sent]),
            ("ended", ended[sent]),
            ("ok_ended", ended[ok]),
        ):
            self._of[name] += np.bincount(where + 1, minlength=self.slices.bins + 1)[1:]
        return due

    def per_bin(self, name: str, time: TimeAxis) -> Ints:
        """The requests of each bin of a wider axis."""
        if name.startswith("failed_"):
            others = ["ok_due", "dropped_due"] if name == "failed_due" else ["ok_ended"]
            every = self.per_bin(name.removeprefix("failed_"), time)
            return every - np.sum([self.per_bin(other, time) for other in others], axis=0, dtype=np.int64)
        return time.merged(self._of[name], self.slices)


def rates(counts: LoadCounts, time: TimeAxis) -> pd.DataFrame:
    """What was offered and what was answered, one row for each bin.

    Columns: `t_s`, then per second `offered`, `achieved` (answers as expected), `errors` and
    `dropped`; `in_flight` at the end of the bin. Offered and dropped count by when a request was
    due, the others by when it ended.
    """
    return pd.DataFrame(
        {
            "t_s": time.middles_s,
            "offered": counts.per_bin("due", time) / time.bin_s,
            "achieved": counts.per_bin("ok_ended", time) / time.bin_s,
            "errors": counts.per_bin("failed_ended", time) / time.bin_s,
            "dropped": counts.per_bin("dropped_due", time) / time.bin_s,
            "in_flight": counts.per_bin("sent", time).cumsum() - counts.per_bin("ended", time).cumsum(),
        }
    )


LAG_PERCENTS = (50.0, 99.0, 100.0)


def lateness(block: SampleBlock, slices: Ints) -> tuple[Ints, Ints]:
    """How late the requests of a block were sent, in ns, and the slice of each; −1 if it never was sent."""
    return np.maximum(block.response_ns - block.service_ns, 0), np.where(block.dropped, -1, slices)


def generator(lags: DurationRanks, slices: TimeAxis, time: TimeAxis) -> pd.DataFrame:
    """How late requests were sent: `t_s`, `n`, `lag_p50`, `lag_p99` (if n allows), `lag_max`, in s."""
    ranges = time.ranges(slices)
    found = lags.percentiles(ranges, LAG_PERCENTS) / 1e9
    return pd.DataFrame(
        {
            "t_s": time.middles_s,
            "n": [lags.total(each) for each in ranges],
            **dict(zip(("lag_p50", "lag_p99", "lag_max"), found.T, strict=True)),
        }
    )


@dataclass(frozen=True, slots=True)
class Steadiness:
    """Where the measured part of a run is steady: `steady_part`, all of it if nothing else is known.

    `found` is whether a steady state was found; `why` says in a sentence what was found.
    """

    steady_part: Span
    found: bool
    why: str


def steadiness(counts: LoadCounts, responses: DurationRanks, time: TimeAxis, measured: Span) -> Steadiness:
    """Find the steady part of the measured part by `statistics.WARM_UP_RULE`.

    Both the achieved rate and the median response time have to be steady; the later of the two
    beginnings counts. `responses` are the response times of successes by the slices of `counts`; their
    `middles` in the bins of `time` are used however few a bin holds: they find the warm-up, and are never
    shown.
    """
    bins = time.within(measured)
    bins = slice(bins.start, max(bins.stop, 1))
    series = {
        "the achieved rate": rates(counts, time)["achieved"].to_numpy(),
        "the median response time": responses.middles(time.ranges(counts.slices)),
    }
    settled = 0
    for name, values in series.items():
        found = statistics.steady(values[bins])
        if not found.settled:
            return Steadiness(measured, False, f"No steady state was found: {name} {found.reason}.")
        settled = max(settled, found.first)
    if not settled:
        return Steadiness(measured, True, "The measured part is steady from its beginning.")
    first_ns = time.start_ns + (bins.start + settled) * time.bin_s * 1_000_000_000
    why = f"The measured part is steady after its first {(first_ns - measured.first_ns) / 1e9:.0f} s."
    return Steadiness(Span(first_ns, measured.last_ns), True, why)
