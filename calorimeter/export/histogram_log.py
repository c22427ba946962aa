"""An HdrHistogram log: a histogram of response and service times for each interval and operation.

The log is made in parts. A first pass over the samples counts the requests of each interval; then each pass
takes as many intervals as it can hold, so that memory does not grow with the run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from calorimeter import __version__
from calorimeter.core.errors import InputError
from calorimeter.core.statistics import Ints
from calorimeter.export import hdr_encoding
from calorimeter.export.request_batches import Flags, RequestBatch, is_error, kinds

COLUMNS = ("api", "operation")

MOST_INTERVALS = 100_000
"""Intervals of a log: 27 hours of seconds."""

HELD = 2_000_000
"""Requests that are held in memory, unless one interval has more."""

MOST_TAGS = 4096

_NO_TAG = re.compile(r"[^\w.:+-]", re.ASCII)
"""What a tag does not hold: readers end it at a comma, and a line at white space."""

LEGEND = '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'


@dataclass
class IntervalCounts:
    """Requests by interval, counted from 1970, and requests that were never sent."""

    requests: dict[int, int] = field(default_factory=dict)
    never: int = 0


def parts(read: Callable[[], Iterable[RequestBatch]], interval_s: int, name: str) -> Iterator[str]:
    """The log of a run, in parts. Each call of `read` gives all samples; `name` is that of the run.

    Raises InputError if the run has more than `MOST_INTERVALS` of that length.
    """
    interval_ns = interval_s * 10**9
    found = _counted(read(), interval_ns, interval_s)
    numbers = sorted(found.requests)
    start = numbers[0] * interval_s if numbers else 0
    yield _head(start, interval_s, name, found.never)
    for held in _held(numbers, found.requests):
        yield from _lines(read(), held, interval_s, start)


def _counted(batches: Iterable[RequestBatch], interval_ns: int, interval_s: int) -> IntervalCounts:
    found = IntervalCounts()
    for batch in batches:
        found.never += int(batch.never.sum())
        numbers, counts = np.unique(batch.due_ns[~batch.never] // interval_ns, return_counts=True)
        for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            found.requests[number] = found.requests.get(number, 0) + count
        if len(found.requests) > MOST_INTERVALS:
            raise InputError(
                "--interval",
                f"{interval_s} s make more than {MOST_INTERVALS:,} intervals of this run",
                "valid: a longer interval",
            )
    return found


def _held(numbers: list[int], requests: dict[int, int]) -> Iterator[tuple[int, int]]:
    """The first and the last interval of each pass."""
    first, total = 0, 0
    for place, number in enumerate(numbers):
        total += requests[number]
        following = requests[numbers[place + 1]] if place + 1 < len(numbers) else HELD
        if total + following > HELD:
            yield numbers[first], number
            first, total = place + 1, 0


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


def _lines(
    batches: Iterable[RequestBatch], held: tuple[int, int], interval_s: int, start_s: int
) -> Iterator[str]:
    cells = CountedCells()
    for batch in batches:
        numbers = batch.due_ns // (interval_s * 10**9)
        chosen = ~batch.never & (numbers >= held[0]) & (numbers <= held[1])
        if chosen.any():
            _count(cells, batch, chosen, numbers - held[0])
    for number, tag, used, counts in cells.histograms():
        at = (held[0] + number) * interval_s - start_s
        most_ms = hdr_encoding.highest_value(int(used[-1])) / 1e6
        text = hdr_encoding.encoded(used, counts)
        yield f"Tag={tag},{at}.000,{interval_s}.000,{most_ms:.3f},{text}\n"


def _count(cells: CountedCells, batch: RequestBatch, chosen: Flags, numbers: Ints) -> None:
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
    """How many values each place of each histogram has: one number, the cell, stands for all three."""

    def __init__(self) -> None:
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
        self._new.append((numbers * MOST_TAGS + known[which]) * hdr_encoding.PLACES + places)
        self._waiting += len(places)
        if self._waiting > 2 * HELD:
            self._merge()

    def _merge(self) -> None:
        counts = np.concatenate([self._counts, np.ones(self._waiting, dtype=np.int64)])
        cells = np.concatenate([self._cells, *self._new])
        self._cells, places = np.unique(cells, return_inverse=True)
        self._counts = np.zeros(len(self._cells), dtype=np.int64)
        np.add.at(self._counts, places, counts)
        self._new, self._waiting = [], 0

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
            yield number, names[tag], used, self._counts[start:end]
