"""Every request and every stack to Parquet, while the run lasts.

Rows are packed into a buffer of 10,000. A full buffer, or what is there after a second, is handed to a
thread that writes it as a file of its own, `<worker>-00001.parquet` and so on: written under another name,
then renamed, so that after `kill -9` everything but the last second is readable. When a run ends well,
small segments are joined to one `<worker>.parquet`; a reader that finds it ignores segments of the same
worker (`RunDir.parquet`).

Rows that cannot be written must stop the run: `on_failure` is called once, with one line for the user.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gevent
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from gevent.event import Event
from gevent.queue import Empty, Queue
from gevent.threadpool import ThreadPool

from calorimeter.core.samples import LEDGER, SAMPLE
from calorimeter.load.recording.histogram import Histogram

ROWS = 10_000
FLUSH_S = 1.0
MAX_WAITING = 50
"""Full buffers that may wait for the disk (500,000 rows, 64 MB); more is a disk that cannot keep up."""

JOIN_BELOW_ROWS = 5_000
"""Segments are joined at the end where they hold fewer rows than this on average."""

_ROW = struct.Struct("=qqqqhhhhiiHh")
_ROW_TYPE = np.dtype(
    [
        ("scheduled_ns", "i8"),
        ("sent_ns", "i8"),
        ("first_byte_ns", "i8"),
        ("done_ns", "i8"),
        ("api", "i2"),
        ("operation", "i2"),
        ("status", "i2"),
        ("error", "i2"),
        ("source", "i4"),
        ("user", "i4"),
        ("source_port", "u2"),
        ("phase", "i2"),
    ]
)
_NAMES = ("api", "operation", "error", "source", "phase")
assert _ROW.size == _ROW_TYPE.itemsize


class Codes(dict[str, int]):
    """Names → the numbers that stand for them, given out in order of first use."""

    def __missing__(self, name: str) -> int:
        code = self[name] = len(self)
        return code


class Segments:
    """Writes tables as numbered files of one worker, in order, in a thread, and joins them at the end."""

    def __init__(self, folder: Path, worker: str, on_failure: Callable[[str], None]) -> None:
        self._folder = folder
        self._worker = worker
        self._on_failure = on_failure
        self._written: list[tuple[Path, int]] = []
        self._thread = ThreadPool(1)
        self.failed = False

    def write(self, table: Callable[[], pa.Table]) -> None:
        """Build and write one segment; blocks this greenlet only."""
        if self.failed:
            return
        path = self._folder / f"{self._worker}-{len(self._written) + 1:05}.parquet"
        rows, problem = self._thread.apply(_attempt, (partial(_write_segment, path, table),))
        if problem:
            self.fail(f"{path}: cannot be written ({problem})")
        else:
            self._written.append((path, rows))

    def fail(self, line: str) -> None:
        """Give up, once."""
        if not self.failed:
            self.failed = True
            self._on_failure(line)

    def close(self) -> None:
        """Join small segments to one file. After this nothing may be written."""
        rows = sum(count for _, count in self._written)
        if not self.failed and len(self._written) > 1 and rows < JOIN_BELOW_ROWS * len(self._written):
            whole = self._folder / f"{self._worker}.parquet"
            parts = [path for path, _ in self._written]
            _, problem = self._thread.apply(_attempt, (partial(_join, whole, parts),))
            if problem:
                self.fail(f"{whole}: cannot be written ({problem})")
        self._thread.kill()


class Samples:
    """The samples of one worker (`calorimeter.core.samples.SAMPLE`)."""

    def __init__(self, folder: Path, worker: str, on_failure: Callable[[str], None]) -> None:
        self._segments = Segments(folder, worker, on_failure)
        self._codes = {name: Codes() for name in _NAMES}
        self._api, self._operation, self._error, self._source, self._phase = self._codes.values()
        self._waiting: Queue[tuple[bytearray, list[bytes]] | None] = Queue()
        self._buffer = bytearray(ROWS * _ROW.size)
        self._offset = 0
        self._end = len(self._buffer)
        self._request_ids: list[bytes] = []
        self.rows = 0
        """Rows handed to the writer so far."""
        self.responses = Histogram()
        """Response times of those that were sent."""
        self._writer = gevent.spawn(self._write_until_closed)

    def add(
        self,
        api: str,
        operation: str,
        status: int,
        error: str,
        source: str,
        source_port: int,
        request_id: bytes,
        user: int,
        phase: str,
        scheduled_ns: int,
        sent_ns: int,
        first_byte_ns: int,
        done_ns: int,
    ) -> None:
        """Record one request; takes about a microsecond and never waits."""
        _ROW.pack_into(
            self._buffer,
            self._offset,
            scheduled_ns,
            sent_ns,
            first_byte_ns,
            done_ns,
            self._api[api],
            self._operation[operation],
            status,
            self._error[error],
            self._source[source],
            user,
            source_port,
            self._phase[phase],
        )
        self._request_ids.append(request_id)
        self._offset += _ROW.size
        if self._offset == self._end:
            self.flush()

    def close(self) -> None:
        """Write what is left and join the segments; no rows may come after this."""
        self.flush()
        self._waiting.put(None)
        self._writer.join()
        self._segments.close()

    def flush(self) -> None:
        """Hand what is there to the writer; never waits."""
        if not self._request_ids:
            return
        rows, self._buffer = self._buffer[: self._offset], bytearray(self._end)
        ids, self._request_ids = self._request_ids, []
        self._offset = 0
        self.rows += len(ids)
        self._count(np.frombuffer(rows, dtype=_ROW_TYPE))
        if self._waiting.qsize() >= MAX_WAITING:
            self._segments.fail(f"samples: the disk is too slow, {MAX_WAITING} segments wait to be written")
        else:
            self._waiting.put((rows, ids))

    def _count(self, records: np.ndarray[Any, Any]) -> None:
        dropped = self._error.get("dropped")
        sent = records if dropped is None else records[records["error"] != dropped]
        self.responses.add(sent["done_ns"] - sent["scheduled_ns"])

    def _write_until_closed(self) -> None:
        due = time.monotonic() + FLUSH_S
        while True:
            try:
                batch = self._waiting.get(timeout=max(0.0, due - time.monotonic()))
            except Empty:
                self.flush()
                due = time.monotonic() + FLUSH_S
                continue
            if batch is None:
                return
            rows, ids = batch
            names = {name: list(codes) for name, codes in self._codes.items()}
            self._segments.write(partial(_samples_table, rows, ids, names))


@dataclass(slots=True)
class Entry:
    """One accepted stack: a row of `calorimeter.core.samples.LEDGER` that is still being written."""

    stack_id: str
    name: str
    api: str
    request_id: str
    accepted_ns: int
    user: int
    final_ns: int = 0
    final_state: str = ""
    deleted_ns: int = 0


@dataclass(slots=True)
class Action:
    """What an accepted action on a stack came to: a row of `calorimeter.core.samples.ACTION`."""

    stack_id: str
    api: str
    operation: str
    request_id: str
    accepted_ns: int
    user: int
    final_ns: int = 0
    final_state: str = ""


class Ledger:
    """The stacks of one worker, each when nothing more will happen to it (`core.samples.LEDGER`).

    Or, with that schema, the actions on them (`calorimeter.core.samples.ACTION`).
    """

    def __init__(
        self, folder: Path, worker: str, on_failure: Callable[[str], None], schema: pa.Schema = LEDGER
    ) -> None:
        self._segments = Segments(folder, worker, on_failure)
        self._schema = schema
        self._rows: list[Entry | Action] = []
        self._closed = Event()
        self._writer = gevent.spawn(self._write_until_closed)

    def add(self, row: Entry | Action) -> None:
        """Record one stack, or one action."""
        self._rows.append(row)

    def close(self) -> None:
        """Write what is left and join the segments."""
        self._closed.set()
        self._writer.join()
        self._segments.close()

    def _write_until_closed(self) -> None:
        closed = False
        while not closed:
            closed = self._closed.wait(timeout=FLUSH_S)
            rows, self._rows = self._rows, []
            if rows:
                self._segments.write(partial(_ledger_table, rows, self._schema))


def _samples_table(rows: bytearray, ids: list[bytes], names: dict[str, list[str]]) -> pa.Table:
    records = np.frombuffer(rows, dtype=_ROW_TYPE)
    columns = [
        _strings(ids)
        if field.name == "request_id"
        else _named(records[field.name], names[field.name], field.type)
        if field.name in names
        else _numbers(records[field.name], field.type)
        for field in SAMPLE
    ]
    return pa.Table.from_arrays(columns, schema=SAMPLE)


def _ledger_table(rows: list[Entry | Action], schema: pa.Schema) -> pa.Table:
    columns: list[pa.Array] = []
    for field in schema:
        values = [getattr(row, field.name) for row in rows]
        if pa.types.is_dictionary(field.type):
            codes = Codes()
            numbers = np.array([codes[value] for value in values])
            columns.append(_named(numbers, list(codes), field.type))
        elif pa.types.is_string(field.type):
            columns.append(_strings([value.encode() for value in values]))
        else:
            columns.append(_numbers(np.array(values), field.type))
    return pa.Table.from_arrays(columns, schema=schema)


# From buffers: `pa.array` and `to_pandas_dtype` import pandas, for seconds in the middle of a run.


def _numbers(values: np.ndarray[Any, Any], kind: pa.DataType) -> pa.Array:
    data = np.ascontiguousarray(values, dtype=str(kind))  # `int64` and so on are the same words
    return pa.Array.from_buffers(kind, len(data), [None, pa.py_buffer(data)])


def _strings(values: list[bytes]) -> pa.Array:
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum(np.fromiter(map(len, values), dtype=np.int32, count=len(values)), out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(pa.string(), len(values), buffers)


def _named(codes: np.ndarray[Any, Any], names: list[str], kind: pa.DictionaryType) -> pa.Array:
    dictionary = _strings([name.encode() for name in names])
    return pa.DictionaryArray.from_arrays(_numbers(codes, kind.index_type), dictionary)


def _attempt(work: Callable[[], int]) -> tuple[int, str]:
    """The result, or why there is none: gevent prints what a function raises in its threads."""
    try:
        return work(), ""
    except (OSError, pa.ArrowException) as problem:
        return 0, " ".join(str(problem).split())


def _write_segment(path: Path, table: Callable[[], pa.Table]) -> int:
    built = table()
    unfinished = path.with_suffix(".partial")
    with _writer(unfinished, built.schema) as writer:
        writer.write_table(built)
    unfinished.replace(path)
    return int(built.num_rows)


def _join(whole: Path, parts: Sequence[Path]) -> int:
    unfinished = whole.with_suffix(".partial")
    schema = pq.read_schema(parts[0])
    with _writer(unfinished, schema) as writer:
        gathered: list[pa.Table] = []
        for part in parts:
            with pq.ParquetFile(part) as file:  # `pq.read_table` imports pandas, for seconds
                gathered.append(file.read())
            if sum(table.num_rows for table in gathered) >= ROWS:
                writer.write_table(_one(gathered))
                gathered = []
        if gathered:
            writer.write_table(_one(gathered))
    unfinished.replace(whole)
    for part in parts:
        part.unlink()
    return len(parts)


def _one(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    named = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    text = [field.name for field in schema if pa.types.is_string(field.type)]
    delta = [field.name for field in schema if field.type == pa.int64()]
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=[
            *named,
            *(name for name in ("user", "source_port", "status") if name in schema.names),
        ],
        column_encoding={
            **dict.fromkeys(delta, "DELTA_BINARY_PACKED"),
            **dict.fromkeys(text, "DELTA_BYTE_ARRAY"),
        },
        write_statistics=False,
    )
