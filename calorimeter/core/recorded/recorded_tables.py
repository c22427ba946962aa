"""Reads the Parquet of a run folder: samples, ledger and actions, checked before they are used.

A folder may come from anybody. Size, schema and version are judged by the file's own footer, before any of
its pages is unpacked; then each batch: no value is missing, every time and number is one that a run can
have, and every name is short and printable. What these functions return needs no further defence.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from calorimeter.core import files
from calorimeter.core.errors import InputError
from calorimeter.core.recorded.recorded_json import LATEST_NS
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.recorded.samples import ACTION, ERRORS, LEDGER, SAMPLE, SCHEMA_VERSION

SCHEMAS = {"samples": SAMPLE, "ledger": LEDGER, "actions": ACTION}

ROWS = 65_536
"""Rows that are unpacked at a time."""

LARGEST_FOOTER = 64 * 2**20
"""Bytes of a file's footer, which grows with its row groups and columns, not with its rows."""

LEAST_ROW = 1
"""Bytes that a row takes on the disk, at least: its time alone takes more. Below, the file is a bomb."""

LARGEST_ROW = 1024
"""Bytes of a row that is unpacked, at most, on average."""

LARGEST_UNPACKED = 64 * 2**20
"""Bytes of a batch, and of a file however few its rows are."""

MOST_ROWS = 500_000_000
"""Rows of all files together: five times the largest run that the suite is made for."""

MOST_FILES = 100_000
"""Files of one kind. A worker writes one a second, or one for 10,000 rows, and joins them at its end."""

LONGEST_NAME = 512
"""Characters of a name: of an API, an operation, an address, a request, a stack."""

BOUNDS = {"status": (0, 999), "user": (-1, 2**31 - 1)}
"""The least and the greatest value of numbers that are no times (`…_ns`: 1970 to 2100)."""

REMEDY = "move it away to report what the other files hold"


class RecordedRows:
    """All rows of a kind (`samples`, `ledger`, `actions`), to be read as often as needed.

    The files are those that the run has now. `rows` is how many rows they hold. Raises InputError for the
    first file that is truncated, foreign, of another version or schema, or out of the folder.
    """

    def __init__(self, run: RunDir, kind: str) -> None:
        paths = run.parquet(kind)
        self.rows = _refuse_bombs(run, kind, paths)
        self._kind = kind
        self._files = [(path, _state(path)) for path in paths]
        self._checked: set[str] = set()

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """These columns, some thousands of rows at a time, in the order of the files' names.

        Raises InputError for a file that holds what no run can have recorded, or that is no longer what it
        was: what was counted and checked at a first reading is not at a second.
        """
        return (batch for _, batch in self.named_batches(columns))

    def named_batches(self, columns: Sequence[str]) -> Iterator[tuple[str, pa.RecordBatch]]:
        """The same, each batch with the name of its file without `.parquet`: the worker that wrote it."""
        schema = pa.schema([SCHEMAS[self._kind].field(name) for name in columns])
        unchecked = [name for name in columns if name not in self._checked]
        met: dict[str, pa.Array] = {}
        for path, state in self._files:
            if _state(path) != state:
                raise InputError(str(path), "changed while it was read", "valid: a run that has ended")
            for batch in _batches(path, columns):
                for name in unchecked:
                    _check(path, name, batch[name], met)
                yield (
                    path.stem,
                    pa.RecordBatch.from_arrays([batch[name] for name in columns], schema=schema),
                )
        self._checked.update(columns)


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        about = path.stat()
    except OSError:  # it is gone
        return None
    return about.st_ino, about.st_size, about.st_mtime_ns


def table(run: RunDir, kind: str, columns: Sequence[str]) -> pa.Table | None:
    """These columns of all rows of a kind; None without rows. Errors are those of `RecordedRows`."""
    schema = pa.schema([SCHEMAS[kind].field(name) for name in columns])
    found = pa.Table.from_batches(list(RecordedRows(run, kind).batches(columns)), schema)
    try:
        return found.unify_dictionaries() if found.num_rows else None
    except pa.ArrowException as problem:
        raise InputError(str(run.path / kind), "holds too many different names", REMEDY) from problem


def _refuse_bombs(run: RunDir, kind: str, paths: Sequence[Path]) -> int:
    """How many rows the files hold, by their footers."""
    if len(paths) > MOST_FILES:
        raise InputError(
            str(run.path / kind), f"holds {len(paths):,} files", f"valid: {MOST_FILES:,} or fewer"
        )
    every = 0
    for path in paths:
        _refuse_footer(run, path)
        with _parquet(path) as found:
            _recognise(path, kind, found.schema_arrow)
            about = found.metadata
            groups = (about.row_group(n) for n in range(about.num_row_groups))
            rows, unpacked = about.num_rows, sum(group.total_byte_size for group in groups)
        size = path.stat().st_size
        if not 0 <= rows * LEAST_ROW <= size:
            raise InputError(str(path), f"claims {rows:,} rows in {size:,} bytes", REMEDY)
        every += rows
        if every > MOST_ROWS:
            raise InputError(str(run.path / kind), "holds too many rows", f"valid: {MOST_ROWS:,} or fewer")
        if not 0 <= unpacked <= max(LARGEST_UNPACKED, rows * LARGEST_ROW):
            raise InputError(str(path), f"claims {unpacked:,} bytes for {rows:,} rows", REMEDY)
    return every


@contextmanager
def _parquet(path: Path) -> Iterator[pq.ParquetFile]:
    """A Parquet file, opened; what pyarrow cannot read in it is an InputError, here and in the context."""
    try:
        with pa.OSFile(os.fsencode(path)) as source, pq.ParquetFile(source) as found:
            yield found
    except (OSError, UnicodeError, pa.ArrowException) as problem:
        raise _unreadable(path) from problem


def _unreadable(path: Path) -> InputError:
    return InputError(
        str(path), f"is truncated or not a Parquet file ({path.stat().st_size} bytes)", REMEDY
    )


def _refuse_footer(run: RunDir, path: Path) -> None:
    """Raise InputError for what is no file of the run, and for a footer that would fill the memory."""
    real = files.regular(path, within=run.path)
    with files.open_to_read(real) as file:
        file.seek(max(0, real.stat().st_size - 8))
        if int.from_bytes(file.read(4), "little") > LARGEST_FOOTER:
            raise _unreadable(path)


def _recognise(path: Path, kind: str, found: pa.Schema) -> None:
    name, about = kind.removesuffix("s"), found.metadata or {}
    if about.get(b"calorimeter.schema") != name.encode():
        raise InputError(str(path), f"was not written as a {name} file of Calorimeter")
    version = about.get(b"calorimeter.version", b"none").decode(errors="replace")
    if version != str(SCHEMA_VERSION):
        raise InputError(str(path), f"{name} schema version {version:.20}", f"valid: {SCHEMA_VERSION}")
    for field in SCHEMAS[kind]:
        at = found.get_field_index(field.name)  # -1 if it is there twice
        if at < 0 or found.field(at).type != field.type:
            raise InputError(str(path), f"has no column {field.name} of type {field.type}")


def _batches(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with _parquet(path) as found:
        for batch in found.iter_batches(ROWS, columns=list(columns), use_threads=False):
            if batch.nbytes > LARGEST_UNPACKED:
                raise InputError(str(path), f"has {batch.nbytes:,} bytes in {len(batch):,} rows", REMEDY)
            batch.validate(full=True)
            yield batch


def _check(path: Path, name: str, column: pa.Array, met: dict[str, pa.Array]) -> None:
    """Raise InputError for a value that no run has. `met` are the names that were found good last."""
    if column.null_count:
        raise InputError(str(path), f"has rows without {name}", REMEDY)
    if pa.types.is_dictionary(column.type):
        if name not in met or not column.dictionary.equals(met[name]):
            _check(path, name, column.dictionary, met)
            met[name] = column.dictionary
    elif pa.types.is_string(column.type):
        _check_names(path, name, column)
    else:
        least, greatest = (0, LATEST_NS) if name.endswith("_ns") else BOUNDS.get(name, (0, 2**63 - 1))
        values = column.to_numpy()
        if len(values) and not least <= values.min() <= values.max() <= greatest:
            what = "times" if name.endswith("_ns") else "values"
            raise InputError(str(path), f"holds {what} that no request has ({name})", REMEDY)


def _check_names(path: Path, name: str, column: pa.StringArray) -> None:
    if (pc.max(pc.utf8_length(column)).as_py() or 0) > LONGEST_NAME:
        given = f"holds names of more than {LONGEST_NAME} characters ({name})"
        raise InputError(str(path), given, REMEDY)
    if pc.all(pc.utf8_is_printable(column)).as_py() is False:
        raise InputError(str(path), f"holds names that cannot be printed ({name})", REMEDY)
    if name == "error" and (unknown := set(column.to_pylist()) - {"", *ERRORS}):
        valid = f"valid: {', '.join(ERRORS)}"
        raise InputError(str(path), f"holds an unknown error {min(unknown)!r:.40}", valid)
