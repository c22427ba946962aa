"""Writes every request and every stack to Parquet during the run.

Rows are packed into a buffer of 10,000 rows. When it is full, and after each second, its rows are handed to
a thread that writes them as a segment: `<worker>-00001.parquet` and so on. A segment is written under
another name and then renamed, so after `kill -9` all rows but those of the last second can be read. At the
orderly end of a run, small segments are joined to one `<worker>.parquet`; a reader that finds this file
ignores the worker's segments (`RunDir.parquet`).

A run must stop if rows cannot be written: `on_failure` is called once, with one line for the user.
"""

from __future__ import annotations

import logging
import os
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import gevent
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from gevent.event import Event
from gevent.queue import Empty, Queue
from gevent.threadpool import ThreadPool

from calorimeter.core import files
from calorimeter.core.errors import InputError
from calorimeter.core.recorded.samples import LEDGER, SAMPLE
from calorimeter.load.recording.histogram import Histogram

log = logging.getLogger(__name__)

ROWS = 10_000
FLUSH_S = 1.0
MAX_WAITING = 50
"""The most segments that may wait for the disk (500,000 rows, 64 MB): with more, it is too slow."""

JOIN_BELOW_ROWS = 5_000
"""Segments are joined at the end if they hold fewer rows than this on average."""

_ROW = struct.Struct("=qqqqhhhhiiHh")
_ROW_TYPE = np.dtype(
    [
        *((name, "i8") for name in ("scheduled_ns", "sent_ns", "first_byte_ns", "done_ns")),
        *((name, "i2") for name in ("api", "operation", "status", "error")),
        *(("source", "i4"), ("user", "i4"), ("source_port", "u2"), ("phase", "i2")),
    ]
)
_NAMES = ("api", "operation", "error", "source", "phase")
assert _ROW.size == _ROW_TYPE.itemsize


class DictionaryCodes(dict[str, int]):
    """Names and their codes in a dictionary column, assigned in order of first use."""

    def __missing__(self, name: str) -> int:
        code = self[name] = len(self)
        return code


class SegmentWriter:
    """Writes tables of one worker as numbered files, in a thread, and joins them at the end."""

    def __init__(self, folder: Path, worker: str, on_failure: Callable[[str], None]) -> None:
        self._folder = folder
        self._worker = worker
        self._on_failure = on_failure
        self._written: list[tuple[Path, int]] = []
        self._thread = ThreadPool(1)
        self.failed = False

    def in_thread(self, call: Callable[[], object]) -> None:
        """Call something in the thread that writes, without waiting for it."""
        self._thread.spawn(call)

    def write(self, table: Callable[[], pa.Table]) -> None:
        """Build and write one segment. Only the calling greenlet waits."""
        if self.failed:
            return
        path = self._folder / f"{self._worker}-{len(self._written) + 1:05}.parquet"
        rows, problem = self._thread.apply(_attempt, (partial(_write_segment, path, table),))
        if problem:
            self.fail(f"{path}: cannot be written ({problem})")
        else:
            self._written.append((path, rows))

    def fail(self, line: str) -> None:
        """Report the first failure; nothing is written after it."""
        if not self.failed:
            self.failed = True
            self._on_failure(line)

    def close(self) -> None:
        """Join small segments to one file. Nothing may be written after this call."""
        rows = sum(count for _, count in self._written)
        if not self.failed and len(self._written) > 1 and rows < JOIN_BELOW_ROWS * len(self._written):
            whole = self._folder / f"{self._worker}.parquet"
            parts = [path for path, _ in self._written]
            _, problem = self._thread.apply(_attempt, (partial(_join, whole, parts),))
            if problem:  # nothing is lost
                log.warning("%s: cannot be written (%s): its segments stay", whole, problem)
        self._thread.kill()


class SampleRecorder:
    """Records the samples of one worker (`calorimeter.core.recorded.samples.SAMPLE`)."""

    def __init__(self, folder: Path, worker: str, on_failure: Callable[[str], None]) -> None:
        self.segments = SegmentWriter(folder, worker, on_failure)
        self._codes = {name: DictionaryCodes() for name in _NAMES}
        self._api, self._operation, self._error, self._source, self._phase = self._codes.values()
        self._waiting: Queue[tuple[bytearray, list[bytes]] | None] = Queue()
        self._buffer = bytearray(ROWS * _ROW.size)
        self._offset = 0
        self._end = len(self._buffer)
        self._request_ids: list[bytes] = []
        self.rows = 0
        """The number of rows handed to the writer so far."""
        self.responses = Histogram()
        """Response times of the requests that were sent."""
        self.observe: Callable[[np.ndarray[Any, Any], dict[str, DictionaryCodes]], None] | None = None
        """Gets the rows of each flush (`_ROW_TYPE`), and the codes of their names by column."""
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
        """Record one request. Takes about a microsecond and never waits."""
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
        """Write the remaining rows and join the segments. No rows may be added after this call."""
        self.flush()
        self._waiting.put(None)
        self._writer.join()
        self.segments.close()

    def flush(self) -> None:
        """Hand the buffered rows to the writer. Never waits."""
        if not self._request_ids:
            return
        rows, self._buffer = self._buffer[: self._offset], bytearray(self._end)
        ids, self._request_ids = self._request_ids, []
        self._offset = 0
        self.rows += len(ids)
        records = np.frombuffer(rows, dtype=_ROW_TYPE)
        self._add_responses(records)
        if self.observe is not None:
            self.observe(records, self._codes)
        if self._waiting.qsize() >= MAX_WAITING:
            self.segments.fail(f"samples: the disk is too slow, {MAX_WAITING} segments wait to be written")
        else:
            self._waiting.put((rows, ids))

    def _add_responses(self, records: np.ndarray[Any, Any]) -> None:
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
            self.segments.write(partial(_samples_table, rows, ids, names))


@dataclass(slots=True)
class LedgerRow:
    """One accepted stack: a row of `core.recorded.samples.LEDGER`, filled in during the stack's life."""

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
class ActionRow:
    """One accepted action on a stack: a row of `calorimeter.core.recorded.samples.ACTION`."""

    stack_id: str
    api: str
    operation: str
    request_id: str
    accepted_ns: int
    user: int
    final_ns: int = 0
    final_state: str = ""


class LedgerRecorder:
    """Records the stacks of one worker (LEDGER), or actions on them (ACTION), each when it has ended."""

    def __init__(
        self, folder: Path, worker: str, on_failure: Callable[[str], None], schema: pa.Schema = LEDGER
    ) -> None:
        self.segments = SegmentWriter(folder, worker, on_failure)
        self._schema = schema
        self._rows: list[LedgerRow | ActionRow] = []
        self._closed = Event()
        self._writer = gevent.spawn(self._write_until_closed)

    def add(self, row: LedgerRow | ActionRow) -> None:
        """Record one stack or one action."""
        self._rows.append(row)

    def close(self) -> None:
        """Write the remaining rows and join the segments."""
        self._closed.set()
        self._writer.join()
        self.segments.close()

    def _write_until_closed(self) -> None:
        closed = False
        while not closed:
            closed = self._closed.wait(timeout=FLUSH_S)
            rows, self._rows = self._rows, []
            if rows:
                self.segments.write(partial(_ledger_table, rows, self._schema))


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


def _ledger_table(rows: list[LedgerRow | ActionRow], schema: pa.Schema) -> pa.Table:
    columns: list[pa.Array] = []
    for field in schema:
        values = [getattr(row, field.name) for row in rows]
        if pa.types.is_dictionary(field.type):
            codes = DictionaryCodes()
            numbers = np.array([codes[value] for value in values])
            columns.append(_named(numbers, list(codes), field.type))
        elif pa.types.is_string(field.type):
            columns.append(_strings([value.encode() for value in values]))
        else:
            columns.append(_numbers(np.array(values), field.type))
    return pa.Table.from_arrays(columns, schema=schema)


# Built from buffers: `pa.array` and `to_pandas_dtype` would import pandas, which halts a run for seconds.


def _numbers(values: np.ndarray[Any, Any], kind: pa.DataType) -> pa.Array:
    data = np.ascontiguousarray(values, dtype=str(kind))  # both libraries use the names `int64` and so on
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
    """The result and "", or 0 and the error: gevent would print what a function raises in its thread."""
    try:
        return work(), ""
    except (InputError, OSError, pa.ArrowException) as problem:
        number = getattr(problem.__cause__ or problem, "errno", None)
        return 0, os.strerror(number) if number else " ".join(str(problem).split())


def _write_segment(path: Path, table: Callable[[], pa.Table]) -> int:
    built = table()
    packed = pa.BufferOutputStream()
    with _writer(packed, built.schema) as writer:
        writer.write_table(built)
    with _whole(path) as unfinished:
        files.write_all(unfinished, packed.getvalue())
    return int(built.num_rows)


@contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """A private file of another name to write, which replaces `path` when it is complete."""
    unfinished = path.with_suffix(".partial")
    file = files.create(unfinished)
    try:
        with file:
            yield file
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)  # on a full disk, run.json needs the space
        raise


def _join(whole: Path, parts: Sequence[Path]) -> int:
    schema = pq.read_schema(parts[0])
    with _whole(whole) as unfinished, _writer(unfinished, schema) as writer:
        gathered: list[pa.Table] = []
        for part in parts:
            with pq.ParquetFile(part) as file:  # `pq.read_table` would import pandas, which takes seconds
                gathered.append(file.read())
            if sum(table.num_rows for table in gathered) >= ROWS:
                writer.write_table(_concatenated(gathered))
                gathered = []
        if gathered:
            writer.write_table(_concatenated(gathered))
    for part in parts:
        part.unlink()
    return len(parts)


def _concatenated(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _writer(to: Any, schema: pa.Schema) -> pq.ParquetWriter:
    named = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    text = [field.name for field in schema if pa.types.is_string(field.type)]
    delta = [field.name for field in schema if field.type == pa.int64()]
    return pq.ParquetWriter(
        to,
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
