"""An HdrHistogram log: a histogram of response and service times for each interval and operation.

A first pass over the samples finds the intervals; then each pass counts as many of them as it can hold, so
that memory does not grow with the run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

import numpy as np

from calorimeter import __version__
from calorimeter.core.errors import InputError
from calorimeter.core.statistics import Ints
from calorimeter.export import hdr_encoding
from calorimeter.export.request_batches import RequestBatch, is_error, kinds

COLUMNS = ("api", "operation")

MOST_INTERVALS = 100_000
"""Intervals of a log: 27 hours of seconds."""

HELD = 3_000_000
"""Counts that are held in memory, unless one interval has more; a request has two."""

WAITING = 1_000_000
"""Values that wait to be counted together."""

MOST_TAGS = 4096

_NO_TAG = re.compile(r"[^\w.:+-]", re.ASCII)
"""What a tag does not hold: readers end it at a comma, and a line at white space."""

LEGEND = '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'


def parts(read: Callable[[], Iterable[RequestBatch]], interval_s: int, name: str) -> Iterator[str]:
    """The log of a run, in parts. Each call of `read` gives all samples; `name` is that of the run.

    Raises InputError if the run has more than `MOST_INTERVALS` of that length.
    """
    left, never = _intervals(read(), interval_s)
    start_s = left[0] * interval_s if left else 0
    yield _head(start_s, interval_s, name, never)
    while left:
        cells = CountedCells(left[0], left[-1])
        for batch in read():
            _count(cells, batch, interval_s * 10**9)
        yield from _lines(cells, interval_s, start_s)
        left = [number for number in left if number > cells.last]


def _intervals(batches: Iterable[RequestBatch], interval_s: int) -> tuple[list[int], int]:
    """The intervals with requests that were sent, counted from 1970; and how many never were."""
    found: set[int] = set()
    never = 0
    for batch in batches:
        never += int(batch.never.sum())
        found.update(np.unique(batch.due_ns[~batch.never] // (interval_s * 10**9)).tolist())
        if len(found) > MOST_INTERVALS:
            raise InputError(
                "--interval",
                f"{interval_s} s make more than {MOST_INTERVALS:,} intervals of this run",
                "valid: a longer interval",
            )
    return sorted(found), never


def _head(start_s: int, interval_s: int, name: str, never: int) -> str:
    return (
        "#[Histogram log format version 1.3]\n"
        f"#[calorimeter {__version__}: {name}, intervals of {interval_s} s by the time requests were due]\n"
        "#[Values are nanoseconds, Interval_Max milliseconds.]\n"
        "#[Tag=API.OPERATION: response time, from due to the end of the answer, of expected answers]\n"
        "#[Tag=API.OPERATION.service: service time, from sent to the end of the answer, of the same]\n"
        "#[Tag=API.OPERATION.failed: response time of requests that failed]\n"
        f"#[Requests that were due but never sent, and are not counted: {never}]\n"
        f"#[StartTime: {start_s}.000 (seconds since epoch), {datetime.fromtimestamp(start_s, UTC)}]\n"
        f"#[BaseTime: {start_s}.000 (seconds since epoch)]\n{LEGEND}"
    )


def _lines(cells: CountedCells, interval_s: int, start_s: int) -> Iterator[str]:
    for number, tag, used, counts in cells.histograms():
        at_s = number * interval_s - start_s
        most_ms = hdr_encoding.highest_value(int(used[-1])) / 1e6
        text = hdr_encoding.encoded(used, counts)
        yield f"Tag={tag},{at_s}.000,{interval_s}.000,{most_ms:.3f},{text}\n"


def _count(cells: CountedCells, batch: RequestBatch, interval_ns: int) -> None:
    numbers = batch.due_ns // interval_ns
    chosen = ~batch.never & (numbers >= cells.first) & (numbers <= cells.last)
    names, which = kinds(batch.rows)
    good = chosen & is_error(batch.rows, "")
    bad = chosen & ~good
    for suffix, mask, taken in (
        ("", good, batch.response_ns),
        (".service", good, batch.service_ns),
        (".failed", bad, batch.response_ns),
    ):
        tags = [f"{_NO_TAG.sub('_', name)}{suffix}" for name in names]
        cells.add(tags, numbers[mask], which[mask], hdr_encoding.places(taken[mask]))


class CountedCells:
    """How many values each place of each histogram has: one number, the cell, stands for all three.

    The intervals are those from `first` to `last`. If they have more cells than may be held, the later ones
    are given up, and `last` says so.
    """

    def __init__(self, first: int, last: int) -> None:
        self.first = first
        self.last = last
        self._tags: dict[str, int] = {}
        self._cells = self._counts = np.zeros(0, dtype=np.int64)
        self._new: list[Ints] = []
        self._waiting = 0

    def add(self, tags: list[str], numbers: Ints, which: Ints, places: Ints) -> None:
        """Count values: of each its interval, the place of its tag in `tags`, and its place.

        Raises InputError if there are more than `MOST_TAGS` different tags.
        """
        known = np.zeros(len(tags), dtype=np.int64)
        for place in np.unique(which).tolist():
            known[place] = self._tags.setdefault(tags[place], len(self._tags))
        if len(self._tags) > MOST_TAGS:
            raise InputError("samples", "name too many operations", f"valid: {MOST_TAGS:,} tags or fewer")
        owners = (numbers - self.first) * MOST_TAGS + known[which]
        self._new.append(owners * hdr_encoding.PLACES + places)
        self._waiting += len(places)
        if self._waiting > WAITING:
            self._merge()

    def _merge(self) -> None:
        counts = np.concatenate([self._counts, np.ones(self._waiting, dtype=np.int64)])
        cells = np.concatenate([self._cells, *self._new])
        self._new, self._waiting = [], 0
        self._cells, places = np.unique(cells, return_inverse=True)
        self._counts = np.bincount(places, counts, len(self._cells)).astype(np.int64)
        if len(self._cells) > HELD:
            middle = int(self._cells[HELD // 2]) // hdr_encoding.PLACES // MOST_TAGS
            self.last = self.first + max(0, middle - 1)
        end = (self.last - self.first + 1) * MOST_TAGS * hdr_encoding.PLACES
        kept = int(np.searchsorted(self._cells, end))
        self._cells, self._counts = self._cells[:kept].copy(), self._counts[:kept].copy()

    def histograms(self) -> Iterator[tuple[int, str, Ints, Ints]]:
        """The interval, the tag, the places and their counts of each histogram, in order of intervals."""
        self._merge()
        names = list(self._tags)
        owners = self._cells // hdr_encoding.PLACES
        starts = np.flatnonzero(np.diff(owners, prepend=-1))
        ends = np.append(starts[1:], len(owners))
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            number, tag = divmod(int(owners[start]), MOST_TAGS)
            used = self._cells[start:end] - owners[start] * hdr_encoding.PLACES
            yield self.first + number, names[tag], used, self._counts[start:end]
