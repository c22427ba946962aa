"""Exact percentiles of durations in groups, from two passes over them: they are never held all at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from calorimeter.core.statistics.arrays import Floats, Ints
from calorimeter.core.statistics.percentiles import VALUE_BITS, place, samples_needed

MOST_GROUPS = 1 << (63 - VALUE_BITS)
"""Group and duration share an integer of 63 bits."""

_CELLS = 1 << 21
"""Cells of all groups together (16 MB): the fewer groups, the finer their cells."""

_OCTAVES = VALUE_BITS + 1

_FLOAT_BITS, _FLOAT_BIAS = 52, 1023

Groups = npt.NDArray[np.integer]


class DurationRanks:
    """Percentiles of the durations of each of some groups, and of ranges of neighbouring groups.

    A first pass (`count`) counts durations in cells. A cell is an octave, or an equal part of one. Then it
    is known in which cells the percentiles lie that are wanted (`want`), and a second pass over the same
    durations (`gather`) keeps those of these cells alone: some percent of all, unless most durations are
    alike. Percentiles are those of all durations sorted, to the last bit.

    Cells are those of the duration plus 1 ns, so that 0 has one of its own: most requests may be on time.
    """

    def __init__(self, groups: int) -> None:
        if groups > MOST_GROUPS:
            raise ValueError(f"{groups:,} groups are more than {MOST_GROUPS:,}")
        self._bits = max(0, (_CELLS // (max(1, groups) * _OCTAVES)).bit_length() - 1)
        self._counts = np.zeros((groups, _OCTAVES << self._bits), dtype=np.int64)
        self._wanted = np.zeros(self._counts.shape, dtype=np.bool_)
        self._kept: list[Ints] = []
        self._keys = np.zeros(0, dtype=np.int64)
        self._below: dict[range, Ints] = {}
        self._last: tuple[range, int, Ints] | None = None

    def count(self, durations_ns: Ints, groups: Groups) -> None:
        """First pass: durations (ns), and the group of each; those of a negative group are left out.

        Raises ValueError for a duration that is negative or of more than `VALUE_BITS`.
        """
        durations_ns, groups = _inside(durations_ns, groups)
        if len(durations_ns) and (int(durations_ns.min()) < 0 or int(durations_ns.max()) >> VALUE_BITS):
            raise ValueError("a duration is negative or longer than 2**44 ns")
        flat = self._counts.reshape(-1)
        flat += np.bincount(self._cells(durations_ns, groups), minlength=len(flat))

    def total(self, groups: range) -> int:
        """How many durations a range of groups has."""
        return int(self._counts[groups.start : groups.stop].sum())

    def want(self, ranges: Iterable[range], percents: Sequence[float]) -> None:
        """Between the passes: these percentiles will be asked for."""
        for groups in ranges:
            if total := self.total(groups):
                for percent in percents:
                    self._mark(groups, place(total, percent)[:2])

    def want_middles(self, ranges: Iterable[range]) -> None:
        """Between the passes: `middles` will be asked for."""
        for groups in ranges:
            if total := self.total(groups):
                self._mark(groups, (total // 2,))

    def gather(self, durations_ns: Ints, groups: Groups) -> None:
        """Second pass: the same durations again."""
        durations_ns, groups = _inside(durations_ns, groups)
        chosen = self._wanted.reshape(-1)[self._cells(durations_ns, groups)]
        self._kept.append((groups[chosen].astype(np.int64) << VALUE_BITS) | durations_ns[chosen])

    def percentiles(
        self, ranges: Sequence[range], percents: Sequence[float], *, however_few: bool = False
    ) -> Floats:
        """Percentiles in ns, of shape (ranges, percents), interpolated as `statistics.percentile` does.

        NaN where a range has no durations, or fewer than `samples_needed` and `however_few` is false.
        """
        found = np.full((len(ranges), len(percents)), math.nan)
        for row, groups in enumerate(ranges):
            total = self.total(groups)
            for column, percent in enumerate(percents):
                if total and (however_few or total >= samples_needed(percent)):
                    low, high, part = place(total, percent)
                    start, end = float(self._at(groups, low)), float(self._at(groups, high))
                    found[row, column] = start + (end - start) * part
        return found

    def middles(self, ranges: Sequence[range]) -> Floats:
        """The duration in the middle of each range (the higher one of two), NaN for an empty range."""
        totals = [(groups, self.total(groups)) for groups in ranges]
        return np.array([self._at(groups, n // 2) if n else math.nan for groups, n in totals], np.float64)

    def _cells(self, durations_ns: Ints, groups: Groups) -> Ints:
        # A float's exponent is its octave, and the high bits of its fraction are an equal part of it.
        cells = (durations_ns + 1).astype(np.float64).view(np.int64)
        cells >>= _FLOAT_BITS - self._bits
        cells -= _FLOAT_BIAS << self._bits
        cells += groups.astype(np.int64) * self._counts.shape[1]
        return cells

    def _least(self, cell: int) -> int:
        """The shortest duration of a cell."""
        edge = np.int64((cell + (_FLOAT_BIAS << self._bits)) << (_FLOAT_BITS - self._bits))
        return math.ceil(edge.view(np.float64)) - 1

    def _same(self, cell: int) -> bool:
        """Whether a cell has room for one duration only: nothing of it needs to be kept."""
        return self._least(cell + 1) - self._least(cell) <= 1

    def _cumulated(self, groups: range) -> Ints:
        if groups not in self._below:
            self._below[groups] = self._counts[groups.start : groups.stop].sum(axis=0).cumsum()
        return self._below[groups]

    def _mark(self, groups: range, ranks: Iterable[int]) -> None:
        for rank in ranks:
            cell = int(np.searchsorted(self._cumulated(groups), rank, side="right"))
            self._wanted[groups.start : groups.stop, cell] = not self._same(cell)

    def _at(self, groups: range, rank: int) -> int:
        below = self._cumulated(groups)
        cell = int(np.searchsorted(below, rank, side="right"))
        if self._same(cell):
            return self._least(cell)
        values = self._of_cell(groups, cell)
        return int(values[rank - (int(below[cell - 1]) if cell else 0)])

    def _of_cell(self, groups: range, cell: int) -> Ints:
        """The durations of a range that lie in a cell, in ascending order."""
        if self._last is None or self._last[:2] != (groups, cell):
            values = np.concatenate(list(self._slices(groups, cell)))
            values.sort()
            self._last = groups, cell, values
        return self._last[2]

    def _slices(self, groups: range, cell: int) -> Iterator[Ints]:
        keys = self._sorted()
        begins = np.arange(groups.start, groups.stop, dtype=np.int64) << VALUE_BITS
        least, end = self._least(cell), min(self._least(cell + 1), 1 << VALUE_BITS)
        edges = (keys.searchsorted(begins + each) for each in (least, end))
        for start, end in zip(*edges, strict=True):
            yield keys[start:end] & ((1 << VALUE_BITS) - 1)

    def _sorted(self) -> Ints:
        if self._kept:
            self._keys = np.concatenate([self._keys, *self._kept])
            self._kept.clear()
            self._keys.sort()
        return self._keys


def _inside(durations_ns: Ints, groups: Groups) -> tuple[Ints, Groups]:
    wanted = groups >= 0
    return (durations_ns, groups) if wanted.all() else (durations_ns[wanted], groups[wanted])
