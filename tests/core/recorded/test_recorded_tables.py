"""Parquet of a run from anybody: what no run can have recorded is one line, before it takes memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from calorimeter.core.errors import InputError
from calorimeter.core.recorded import recorded_tables
from calorimeter.core.recorded.recorded_tables import RecordedRows
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.recorded.sample_stream import EVERYTHING, SampleStream
from tests.report.run_builder import Builder, one


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of two samples in a run folder."""
    rows = [one("rest list", request_id=f"req-{number}") for number in range(2)]
    Builder(tmp_path / "run").about().samples({name: [row[name] for row in rows] for name in rows[0]})
    return tmp_path / "run" / "samples" / "w0-0.parquet"


def stream_all(run: RunDir) -> int:
    """Read all samples; how many there are."""
    return sum(len(block) for block in SampleStream(run).blocks(EVERYTHING))


def refused(file: Path) -> str:
    """The one line about a file's run, by both ways to read it."""
    run = RunDir(file.parent.parent)
    with pytest.raises(InputError) as tables:
        stream_all(run)
    with pytest.raises(InputError) as rows:
        list(RecordedRows(run, "samples").batches(recorded_tables.SCHEMAS["samples"].names))
    assert str(tables.value) == str(rows.value)
    assert "\n" not in str(tables.value)
    return str(tables.value)


def changed(file: Path, name: str, values: list[Any], kind: pa.DataType | None = None) -> None:
    """Give a column other values, of its own type or of another one."""
    table = pq.read_table(file)
    at = table.schema.get_field_index(name)
    kind = kind or table.schema.field(at).type
    pq.write_table(table.set_column(at, pa.field(name, kind), pa.array(values, kind)), file)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("done_ns", [2**63 - 1, 1], "holds times that no request has (done_ns)"),
        ("sent_ns", [-1, 1], "holds times that no request has (sent_ns)"),
        ("status", [-1, 200], "holds values that no request has (status)"),
        ("scheduled_ns", [None, 1], "has rows without scheduled_ns"),
        ("api", [None, "rest"], "has rows without api"),
        ("operation", ["x" * 600, "list"], "holds names of more than 512 characters (operation)"),
        ("error", ["", "sad"], "holds an unknown error 'sad'; valid: connect, closed"),
        ("source", ["\x1b[31m", ""], "holds names that cannot be printed (source)"),
    ],
)
def test_what_no_run_recorded_is_refused(file: Path, name: str, values: list[Any], message: str) -> None:
    """Times, numbers and names are checked while they are read, so that no table defends itself."""
    changed(file, name, values)
    assert message in refused(file)


def test_another_type_or_a_missing_column_is_refused(file: Path) -> None:
    """By the schema, before any row is read; a column that is there twice is none."""
    whole = pq.read_table(file)
    changed(file, "sent_ns", [1.5, 2.5], pa.float64())
    assert "has no column sent_ns of type int64" in refused(file)
    for table in (whole.drop_columns(["user"]), whole.append_column("user", whole["user"])):
        pq.write_table(table, file)
        assert "has no column user of type int32" in refused(file)


def test_names_that_are_not_utf_8(file: Path) -> None:
    """A file may be called so; a column may not."""
    strange = file.with_name("w\udcff.parquet")
    file.rename(strange)
    assert stream_all(RunDir(file.parent.parent)) == 2
    strange.write_bytes(strange.read_bytes().replace(b"first_byte_ns", b"first_b\x8ete_ns"))
    assert "is truncated or not a Parquet file" in refused(strange)


def test_a_bomb_is_refused_by_its_footer(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred thousand rows in some KB, and a row of some MB: none of them is unpacked."""
    row = pq.read_table(file).slice(0, 1)
    bomb = pa.concat_tables([row] * 1000).combine_chunks()
    with pq.ParquetWriter(file, bomb.schema, compression="zstd") as writer:
        writer.write_table(pa.concat_tables([bomb] * 100).combine_chunks())
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *_, **__: pytest.fail("was unpacked"))
    assert "claims 100,000 rows in" in refused(file)
    monkeypatch.setattr(recorded_tables, "LARGEST_UNPACKED", 2**20)
    changed_row = row.set_column(
        row.schema.get_field_index("request_id"), "request_id", pa.array(["x" * (2 * 2**20)])
    )
    pq.write_table(changed_row, file, compression="zstd", use_dictionary=False)
    assert "bytes for 1 rows" in refused(file)


def test_too_many_names_are_refused(tmp_path: Path) -> None:
    """Each operation has its rows in every table: ten thousand of them are no load."""
    rows = [one(f"rest o{number}") for number in range(1001)]
    builder = Builder(tmp_path / "run").about()
    builder.samples({name: [row[name] for row in rows] for name in rows[0]})
    with pytest.raises(InputError, match="names 1,001 of kind; valid: 1,000"):
        stream_all(builder.run)


@pytest.mark.parametrize("change", [Path.unlink, lambda file: file.write_bytes(b""), os.utime])
def test_a_file_that_changes_between_two_readings_is_refused(
    file: Path, change: Callable[[Path], Any]
) -> None:
    """What a first pass counted is there in the second, or the run is still being written."""
    rows = RecordedRows(RunDir(file.parent.parent), "samples")
    assert sum(map(len, rows.batches(("status",)))) == rows.rows == 2
    change(file)
    with pytest.raises(InputError, match="changed while it was read"):
        list(rows.batches(("status",)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkfifo, "is a pipe"),
        (lambda path: path.symlink_to("/dev/zero"), "is a symbolic link out of"),
        (lambda path: path.symlink_to("/etc/passwd"), "is a symbolic link out of"),
        (lambda path: path.symlink_to(path.name), "cannot be read"),
        (lambda path: path.mkdir(), "is a folder"),
    ],
)
def test_what_is_no_file_of_the_run_is_refused(
    file: Path, make: Callable[[Path], None], message: str
) -> None:
    """Pipes do not hang, links show nothing of elsewhere."""
    file.unlink()
    make(file)
    assert message in refused(file)


@pytest.mark.parametrize("folder", ["samples", "ledger", "watch", "evidence", "proxy"])
def test_a_folder_that_is_elsewhere_is_refused(file: Path, folder: str) -> None:
    """It would be shown, or written to, as if it were the run's. A link within the run is read."""
    run = file.parent.parent
    if (run / folder).is_dir():
        (run / folder).rename(run / f"{folder}.moved")
    (run / folder).symlink_to("/etc")
    with pytest.raises(InputError, match=f"{folder}: is a symbolic link out of the run"):
        RunDir.open(run)
    (run / folder).unlink()
    (run / folder).symlink_to(".")
    assert RunDir.open(run).parquet("samples") == ([] if folder == "samples" else [file])
