"""Time in bins, the phases of a run, and which samples are which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from calorimeter.core.statistics import Floats, Ints

BIN_LADDER_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
"""Bin widths in seconds that a reader can think in."""

MOST_BINS = 300
"""More bins than these cannot be told apart in a figure."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Axis:
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

    def counts(self, times_ns: Ints) -> Ints:
        """How many of the times lie in each bin."""
        bins = self.of(times_ns)
        return np.bincount(bins[bins >= 0], minlength=self.bins).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a run that its tables are made from: [`first_ns`, `last_ns`], and why."""

    first_ns: int
    last_ns: int
    steady: bool
    why: str

    @property
    def length_s(self) -> float:
        """Its length, at least a millisecond."""
        return max((self.last_ns - self.first_ns) / 1e9, 1e-3)


def axis(samples: pd.DataFrame, *, least_s: int = 1, most: int = MOST_BINS) -> Axis:
    """Bins over a run, from the first request due to the last answer, at most `most`."""
    start = int(samples["scheduled_ns"].min())
    length_s = (int((samples["scheduled_ns"] + samples["response_ns"]).max()) - start) / 1e9
    fits = [width for width in BIN_LADDER_S if width >= least_s and length_s <= width * most]
    width = fits[0] if fits else BIN_LADDER_S[-1]
    return Axis(start, width, max(1, int(length_s // width)))


def succeeded(samples: pd.DataFrame) -> Mask:
    """Which requests got the answer that their operation expects."""
    return _is(samples["error"], "")


def dropped(samples: pd.DataFrame) -> Mask:
    """Which requests were due but never sent, because too many were in flight."""
    return _is(samples["error"], "dropped")


def _is(column: pd.Series, name: str) -> Mask:
    names = list(column.cat.categories)
    if name not in names:
        return np.zeros(len(column), dtype=np.bool_)
    return np.asarray(column.cat.codes.to_numpy() == names.index(name))


def ns(table: pd.DataFrame, name: str) -> Ints:
    """A column of times or durations in ns, as an array."""
    return table[name].to_numpy(dtype=np.int64)


NOT_MEASURED = ("warm_up", "clean_up")
"""Phases that a scenario itself sets apart, before and after what it measures."""


def measured(samples: pd.DataFrame) -> tuple[int, int]:
    """When the first and the last request of the measured phases were due, in ns; of all, where none is.

    By when they were due, not by their label: a request that is due before a phase ends and answered
    after it may carry either name, and to leave out the slow ones would flatter the rest.
    """
    scheduled = ns(samples, "scheduled_ns")
    warming, cleaning = (_is(samples["phase"], phase) for phase in NOT_MEASURED)
    kept = scheduled[~warming & ~cleaning]
    if not len(kept):
        return int(scheduled.min()), int(scheduled.max())
    warmed = scheduled[warming]
    begins = max(int(kept.min()), int(warmed.max()) + 1) if len(warmed) else int(kept.min())
    return min(begins, int(kept.max())), int(kept.max())


def phases(samples: pd.DataFrame, start_ns: int) -> pd.DataFrame:
    """When each phase began and ended, in s since the start, in order: `phase`, `from_s`, `to_s`."""
    grouped = samples.groupby("phase", observed=True)["scheduled_ns"].agg(["min", "max"])
    grouped = grouped.sort_values(["max", "min"], kind="stable")
    ends = (grouped["max"].to_numpy() - start_ns) / 1e9
    begins = np.append(0.0, ends[:-1])  # a phase begins where the one before it ends (see `measured`)
    return pd.DataFrame({"phase": grouped.index.astype(str), "from_s": begins, "to_s": ends})


def within(samples: pd.DataFrame, part: Window) -> pd.DataFrame:
    """The samples that were due in a window; the same table where that is all of them."""
    scheduled = ns(samples, "scheduled_ns")
    inside = (scheduled >= part.first_ns) & (scheduled <= part.last_ns)
    return samples if inside.all() else samples[inside]
