"""Metrics of a run's requests and stacks, as a meter beside the load would have shown them.

Requests are counted at the end of the interval in which they ended, from the first interval on: the last
point of a series is the whole run. An interval in which a series did not change has no point of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from calorimeter.core.errors import InputError
from calorimeter.core.recorded import load_generator
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.statistics import Ints
from calorimeter.export.otlp_points import BOUNDS_S, DurationCounts, MetricKind, MetricPoint
from calorimeter.export.request_batches import RequestBatch, kinds, request_batches, row_batches

SERVICE = "calorimeter"

RESPONSE = MetricKind(
    "calorimeter.response_time", "s", "From when a request was due to the end of its answer", "histogram"
)
SERVICE_TIME = MetricKind(
    "calorimeter.service_time", "s", "From when a request was sent to the end of its answer", "histogram"
)
DROPPED = MetricKind(
    "calorimeter.requests_dropped", "{request}", "Requests that were due and never sent", "sum"
)
IN_FLIGHT = MetricKind(
    "calorimeter.requests_in_flight", "{request}", "Requests that were sent and had not ended", "gauge"
)
STACKS = MetricKind(
    "calorimeter.stacks_in_progress", "{stack}", "Stacks accepted and not seen in a final state", "gauge"
)
LAG_P99 = MetricKind("calorimeter.lag_p99", "s", "99th percentile of the generator's lag", "gauge")
LAG_MAX = MetricKind("calorimeter.lag_max", "s", "The generator's longest lag", "gauge")
CPU = MetricKind("calorimeter.cpu_share", "1", "Share of one core that the generator used", "gauge")
USERS = MetricKind("calorimeter.users", "{user}", "Simulated users", "gauge")

MOST_CELLS = 200_000
"""Points of histograms of one run; they are held in memory."""

_BOUNDS_NS = np.array([round(bound * 1e9) for bound in BOUNDS_S], dtype=np.int64)
_PLACES = len(BOUNDS_S) + 1

Series = tuple[str, str, str]
"""Worker, kind (`rest.create`), error."""


def points(run: RunDir, interval_s: int) -> Iterator[MetricPoint]:
    """All points of a run, series by series. Raises InputError for damaged samples, or too many points."""
    counted = _CountedRequests(interval_s, _workers(run))
    for batch in request_batches(run, ("api", "operation")):
        counted.add(batch)
    yield from counted.points()
    yield from _stacks(run, interval_s)
    yield from _generator(run)


def _workers(run: RunDir) -> frozenset[str]:
    noted = run.about.get("workers")
    rows = noted if isinstance(noted, list) else []
    return frozenset(str(row.get("worker")) for row in rows if isinstance(row, dict))


class _Histogram:
    """Counts of buckets, and the sum of what was counted, which 64 bits need not hold."""

    __slots__ = ("counts", "sum_ns")

    def __init__(self) -> None:
        self.counts: Ints = np.zeros(_PLACES, dtype=np.int64)
        self.sum_ns = 0

    def add(self, counts: Ints, sum_ns: int) -> None:
        """Count some more."""
        self.counts += counts
        self.sum_ns += sum_ns

    def value(self) -> DurationCounts:
        """What was counted so far."""
        return DurationCounts(tuple(self.counts.tolist()), self.sum_ns)


class _CountedRequests:
    """Counts of requests by series and interval."""

    def __init__(self, interval_s: int, workers: frozenset[str]) -> None:
        self._interval_s, self._workers = interval_s, workers
        self._cells: dict[tuple[Series, int], tuple[_Histogram, _Histogram]] = {}
        self._dropped: defaultdict[tuple[Series, int], int] = defaultdict(int)
        self._changes: defaultdict[str, defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))
        self._first_ns = 2**63 - 1

    def add(self, batch: RequestBatch) -> None:
        """Count the requests of a batch in the intervals in which they ended."""
        worker = self._worker(batch.file)
        names, which = kinds(batch.rows)
        error = batch.rows.column("error")
        errors, codes = error.dictionary.to_pylist(), _ints(error.indices)
        sent = _ints(batch.rows.column("sent_ns"))
        # An end before the beginning is none: durations are never negative.
        ended = np.where(batch.never, batch.due_ns, sent + batch.service_ns)
        at = ended // self._interval_ns
        self._first_ns = min(self._first_ns, int(batch.due_ns.min()))
        owner = (at * len(names) + which) * max(1, len(errors)) + codes
        order = np.argsort(owner, kind="stable")
        used, starts = np.unique(owner[order], return_index=True)
        for own, chosen in zip(used.tolist(), np.split(order, starts[1:]), strict=True):
            rest, code = divmod(own, max(1, len(errors)))
            interval, kind = divmod(rest, len(names))
            key = ((worker, names[kind], errors[code]), interval)
            if errors[code] == "dropped":
                self._dropped[key] += len(chosen)
            else:
                self._count(key, batch.response_ns[chosen], batch.service_ns[chosen])
        for times, step in ((sent[~batch.never], 1), (ended[~batch.never], -1)):
            for interval, count in zip(*_counts(times // self._interval_ns), strict=True):
                self._changes[worker][interval] += step * count

    @property
    def _interval_ns(self) -> int:
        return self._interval_s * 10**9

    def _worker(self, file: str) -> str:
        """Its name: that of a file, without the number that a file has if the worker was killed."""
        name = file.rpartition("-")[0]
        return name if file not in self._workers and name in self._workers else file

    def _count(self, key: tuple[Series, int], response_ns: Ints, service_ns: Ints) -> None:
        cell = self._cells.get(key)
        if cell is None:
            if len(self._cells) >= MOST_CELLS:
                given = f"{self._interval_s} s make more than {MOST_CELLS:,} points of this run"
                raise InputError("--interval", given, "valid: a longer interval")
            cell = self._cells[key] = (_Histogram(), _Histogram())
        for histogram, taken in zip(cell, (response_ns, service_ns), strict=True):
            counts = np.bincount(np.searchsorted(_BOUNDS_NS, taken), minlength=_PLACES)
            histogram.add(counts, int(taken.sum()))

    def points(self) -> Iterator[MetricPoint]:
        """Histograms and counts by series, then the requests in flight by worker."""
        for number, kind in enumerate((RESPONSE, SERVICE_TIME)):
            totals: defaultdict[Series, _Histogram] = defaultdict(_Histogram)
            for series, interval in sorted(self._cells):
                own = self._cells[series, interval][number]
                totals[series].add(own.counts, own.sum_ns)
                yield self._point(kind, series, interval, totals[series].value())
        dropped: defaultdict[Series, int] = defaultdict(int)
        for series, interval in sorted(self._dropped):
            dropped[series] += self._dropped[series, interval]
            yield self._point(DROPPED, series, interval, dropped[series])
        for worker, changes in sorted(self._changes.items()):
            level = 0
            for interval in sorted(changes):
                level += changes[interval]
                yield MetricPoint(SERVICE, worker, IN_FLIGHT, {}, self._end_ns(interval), level)

    def _point(
        self, kind: MetricKind, series: Series, interval: int, value: int | DurationCounts
    ) -> MetricPoint:
        worker, name, error = series
        api, _, operation = name.partition(".")
        about = {"calorimeter.api": api, "calorimeter.operation": operation}
        outcome = {"calorimeter.outcome": error or "ok", **({"error.type": error} if error else {})}
        end_ns = self._end_ns(interval)
        return MetricPoint(SERVICE, worker, kind, about | outcome, end_ns, value, self._first_ns)

    def _end_ns(self, interval: int) -> int:
        return (interval + 1) * self._interval_ns


def _stacks(run: RunDir, interval_s: int) -> Iterator[MetricPoint]:
    """Stacks in progress at the ends of intervals in which their number changed."""
    interval_ns = interval_s * 10**9
    changes: defaultdict[int, int] = defaultdict(int)
    for table in ("ledger", "actions"):
        for rows in row_batches(run, table, ("accepted_ns", "final_ns")):
            accepted, final = (_ints(rows.column(name)) for name in ("accepted_ns", "final_ns"))
            ended = np.maximum(final, accepted)[final > 0]
            for times, step in ((accepted, 1), (ended, -1)):
                for interval, count in zip(*_counts(times // interval_ns), strict=True):
                    changes[interval] += step * count
    level = 0
    for interval in sorted(changes):
        level += changes[interval]
        yield MetricPoint(SERVICE, "", STACKS, {}, (interval + 1) * interval_ns, level)


def _generator(run: RunDir) -> Iterator[MetricPoint]:
    """What each worker measured of itself, window by window."""
    found = load_generator.windows(run.path)
    for kind, name in (
        (LAG_P99, "lag_p99_s"),
        (LAG_MAX, "lag_max_s"),
        (CPU, "cpu_share"),
        (USERS, "users"),
    ):
        for window in found:
            yield MetricPoint(SERVICE, window.worker, kind, {}, window.t_ns, getattr(window, name))


def _counts(intervals: Ints) -> tuple[Sequence[int], Sequence[int]]:
    used, counts = np.unique(intervals, return_counts=True)
    return used.tolist(), counts.tolist()


def _ints(column: pa.Array) -> Ints:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.int64)
