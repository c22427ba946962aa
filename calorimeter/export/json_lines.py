"""The rows of a run's tables as JSON Lines: one object a row, with the names of the columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa

from calorimeter.core.recorded import recorded_tables
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.export.request_batches import RequestBatch, request_batches, row_batches

TABLES = tuple(recorded_tables.SCHEMAS)
"""`samples`, `ledger` and `actions`."""


def lines(run: RunDir, table: str) -> Iterator[str]:
    """The text of all rows, some thousands at a time; a ledger or actions without rows are no lines.

    Raises InputError for a run without samples, and for a table that is damaged, when it is met.
    """
    columns = recorded_tables.SCHEMAS[table].names
    if table == "samples":
        yield from map(_of_samples, request_batches(run, columns))
    else:
        yield from map(_of_rows, row_batches(run, table, columns))


def _of_rows(rows: pa.RecordBatch) -> str:
    return _text(rows.to_pylist())


def _of_samples(batch: RequestBatch) -> str:
    """Samples in the order of their columns, with both durations; null for what was never sent."""
    names = recorded_tables.SCHEMAS["samples"].names
    columns = [batch.rows.column(name).to_pylist() for name in names]
    columns += [
        [None if no else ns for ns, no in zip(taken.tolist(), batch.never.tolist(), strict=True)]
        for taken in (batch.response_ns, batch.service_ns)
    ]
    keys = (*names, "response_ns", "service_ns")
    return _text(dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True))


def _text(rows: Iterable[Mapping[str, object]]) -> str:
    return "".join(f"{json.dumps(row, separators=(',', ':'))}\n" for row in rows)
