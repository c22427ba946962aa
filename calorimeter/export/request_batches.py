"""The samples of a run, some thousands at a time, as columns that the writers share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from calorimeter.core.errors import InputError
from calorimeter.core.recorded import recorded_tables
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.recorded.sample_stream import MOST_NAMES, RequestTimes, taken_ns
from calorimeter.core.statistics import Ints

TIMES = ("scheduled_ns", "sent_ns", "done_ns", "error")


Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class RequestBatch:
    """Samples of one file, with the durations that all formats have in common.

    `rows` has the columns that were asked for. `response_ns` counts from the moment a request was due,
    `service_ns` from the moment it was sent; neither is negative, and both are 0 for a request that was
    `never` sent. `file` is the name of the samples' file: the worker, or the worker and a number.
    """

    rows: pa.RecordBatch
    due_ns: Ints
    response_ns: Ints
    service_ns: Ints
    never: Flags
    file: str = ""


def request_batches(run: RunDir, columns: Sequence[str] = ()) -> Iterator[RequestBatch]:
    """All samples of a run in the order of its files, with `TIMES` and the columns given.

    Raises InputError if the run has none, or holds times that no request has.
    """
    times = RequestTimes(str(run.path / "samples"))
    batch = None
    wanted = tuple(dict.fromkeys((*TIMES, *columns)))
    for file, rows in recorded_tables.RecordedRows(run, "samples").named_batches(wanted):
        if not len(rows):
            continue
        batch = _timed(rows, file)
        times.check(batch.due_ns, batch.response_ns, batch.service_ns)
        yield batch
    if batch is None:
        raise InputError(str(run.path), "holds no samples", "valid: a folder that `calorimeter run` wrote")


def row_batches(run: RunDir, kind: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Rows of `samples`, `ledger` or `actions`, some thousands at a time; none of the batches is empty."""
    return (rows for rows in recorded_tables.RecordedRows(run, kind).batches(columns) if len(rows))


def _timed(rows: pa.RecordBatch, file: str) -> RequestBatch:
    due, sent, done = (_ints(rows.column(name)) for name in TIMES[:3])
    never = is_error(rows, "dropped")
    return RequestBatch(rows, due, taken_ns(done, due, never), taken_ns(done, sent, never), never, file)


def is_error(rows: pa.RecordBatch, error: str) -> Flags:
    """Which rows have this kind of error; the empty one is an answer as expected."""
    column = rows.column("error")
    names = column.dictionary.to_pylist()
    codes = np.array([number for number, name in enumerate(names) if name == error], dtype=np.int64)
    return np.isin(_ints(column.indices), codes)


def kinds(rows: pa.RecordBatch) -> tuple[list[str], Ints]:
    """The kinds of a batch's rows (`rest.create`), and the place in that list of each row's."""
    api, operation = rows.column("api"), rows.column("operation")
    names, others = api.dictionary.to_pylist(), operation.dictionary.to_pylist()
    both = _ints(api.indices) * max(1, len(others)) + _ints(operation.indices)
    used, places = np.unique(both, return_inverse=True)
    if len(used) > MOST_NAMES["kind"]:
        raise InputError("samples", f"name {len(used):,} operations", f"valid: {MOST_NAMES['kind']:,}")
    found = [f"{names[code // len(others)]}.{others[code % len(others)]}" for code in used.tolist()]
    return found, np.asarray(places, dtype=np.int64)


def _ints(column: pa.Array) -> Ints:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.int64)
