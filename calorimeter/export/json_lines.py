"""The rows of a run's tables as JSON Lines: one object a row, with the names of the columns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pyarrow as pa

from calorimeter.core.recorded import recorded_tables
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.export.request_batches import RequestBatch, request_batches, row_batches


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
    return _text({name: _values(rows.column(name)) for name in rows.schema.names})


def _of_samples(batch: RequestBatch) -> str:
    """Samples in the order of their columns, with both durations; null for what was never sent."""
    columns = {name: _values(batch.rows.column(name)) for name in recorded_tables.SCHEMAS["samples"].names}
    for name, taken in (("response_ns", batch.response_ns), ("service_ns", batch.service_ns)):
        both = zip(taken.tolist(), batch.never.tolist(), strict=True)
        columns[name] = ["null" if never else str(ns) for ns, never in both]
    return _text(columns)


def _values(column: pa.Array) -> list[str]:
    """A column as JSON: names of a dictionary are encoded once, not for each row."""
    if pa.types.is_dictionary(column.type):
        names = list(map(json.dumps, column.dictionary.to_pylist()))
        return [names[code] for code in column.indices.to_pylist()]
    encode = json.dumps if pa.types.is_string(column.type) else str
    return list(map(encode, column.to_pylist()))


def _text(columns: Mapping[str, list[str]]) -> str:
    """A line for each row: all values are JSON already."""
    line = "{" + ",".join(f"{json.dumps(name)}:%s" for name in columns) + "}\n"
    return "".join(line % row for row in zip(*columns.values(), strict=True))
