"""The recorder: rows in are rows out, whatever happens in between."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import gevent
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.recorded.samples import ERRORS, LEDGER, SAMPLE
from calorimeter.load.recording.recorder import LedgerRecorder, LedgerRow, SampleRecorder
from tests.load.programs import command
from tests.places import CLONE

NS = st.integers(0, 2**62)
ROW = st.fixed_dictionaries(
    {
        "api": st.sampled_from(["rest", "cfn"]),
        "operation": st.text(min_size=1, max_size=8),
        "status": st.integers(0, 599),
        "error": st.sampled_from(["", *ERRORS]),
        "source": st.ip_addresses().map(str),
        "source_port": st.integers(0, 65535),
        "request_id": st.text(alphabet="req-0123456789abcdef", max_size=40).map(str.encode),
        "user": st.integers(0, 2**31 - 1),
        "phase": st.sampled_from(["warm_up", "load", "clean_up"]),
        "scheduled_ns": NS,
        "sent_ns": NS,
        "first_byte_ns": NS,
        "done_ns": NS,
    }
)


def fail(line: str) -> None:
    """The `on_failure` of a recorder that must not fail."""
    raise AssertionError(line)


def rows_of(run: Path, kind: str) -> list[dict[str, Any]]:
    """All rows of a run, as its readers find them."""
    return [row for file in RunDir(run).parquet(kind) for row in pq.read_table(file).to_pylist()]


@settings(max_examples=15)
@given(rows=st.lists(ROW, max_size=60), flush_after=st.sets(st.integers(0, 59), max_size=3))
def test_rows_in_are_rows_out(
    rows: list[dict[str, Any]], flush_after: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Every value of every row comes back in order, through any number of segments, in the schema."""
    run = tmp_path_factory.mktemp("run")
    (run / "samples").mkdir()
    samples = SampleRecorder(run / "samples", "worker-00", fail)
    for number, row in enumerate(rows):
        samples.add(**row)
        if number in flush_after:
            samples.flush()
    samples.close()
    expected = [{**row, "request_id": row["request_id"].decode()} for row in rows]
    assert rows_of(run, "samples") == expected
    files = RunDir(run).parquet("samples")
    assert len(files) == (1 if rows else 0)
    assert all(pq.read_schema(file).equals(SAMPLE) for file in files)


def add(samples: SampleRecorder, number: int) -> None:
    """Add a row that is identified by its user's number."""
    samples.add("rest", "list", 200, "", "127.0.0.1", 1, b"req-1", number, "load", 1, 2, 3, 4)


def test_full_buffers_are_written_while_rows_come(tmp_path: Path) -> None:
    """25,000 rows are three segments, and as full ones they are not joined."""
    (tmp_path / "samples").mkdir()
    samples = SampleRecorder(tmp_path / "samples", "worker-00", fail)
    for number in range(25_000):
        add(samples, number)
    samples.close()
    assert [pq.read_metadata(file).num_rows for file in RunDir(tmp_path).parquet("samples")] == [
        10_000,
        10_000,
        5_000,
    ]
    assert [row["user"] for row in rows_of(tmp_path, "samples")] == list(range(25_000))


def test_joined_file_replaces_its_segments(tmp_path: Path) -> None:
    """If a kill left both, the segments of a joined file are ignored; those of other workers are read."""
    (tmp_path / "samples").mkdir()
    for worker, count in (("worker-00", 3), ("worker-01", 2)):
        samples = SampleRecorder(tmp_path / "samples", worker, fail)
        for number in range(count):
            add(samples, number)
            samples.flush()
        samples.close()
    folder = tmp_path / "samples"
    (folder / "worker-00-00001.parquet").write_bytes((folder / "worker-00.parquet").read_bytes())
    (folder / "worker-01.parquet").rename(folder / "worker-01-00001.parquet")
    assert len(rows_of(tmp_path, "samples")) == 5


@pytest.mark.slow
def test_all_but_the_last_second_survives_kill_9(tmp_path: Path) -> None:
    """After kill -9, every file can be read; together they hold all rows but those of the last second."""
    folder = tmp_path / "samples"
    folder.mkdir()
    program = command("endless_recorder", str(folder))
    with subprocess.Popen(program, cwd=CLONE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        recorded = [int(process.stdout.readline()) for _ in range(1200)]  # at least 2.4 s
        killed_ns = time.time_ns()
        os.kill(process.pid, signal.SIGKILL)
        recorded += [int(line) for line in process.stdout if line.strip().isdigit()]
    rows = rows_of(tmp_path, "samples")
    assert [row["user"] for row in rows] == list(range(len(rows)))
    assert len(rows) > 0.4 * len(recorded)
    assert killed_ns - rows[-1]["done_ns"] < 1.5e9


def test_rows_that_cannot_be_written_are_reported_once(tmp_path: Path) -> None:
    """A folder that is gone: one line that names the file, and no second one."""
    lines: list[str] = []
    samples = SampleRecorder(tmp_path / "gone", "worker-00", lines.append)
    for _ in range(3):
        add(samples, 1)
        samples.flush()
        with gevent.Timeout(5):
            while not lines:
                gevent.sleep(0.001)
    samples.close()
    path = tmp_path / "gone" / "worker-00-00001.parquet"
    assert lines == [f"{path}: cannot be written (No such file or directory)"]


def test_disk_that_cannot_keep_up_is_a_failure(tmp_path: Path) -> None:
    """Memory is bounded: more than 50 waiting segments end the recording."""
    (tmp_path / "samples").mkdir()
    lines: list[str] = []
    samples = SampleRecorder(tmp_path / "samples", "worker-00", lines.append)
    for _ in range(52):
        add(samples, 1)
        samples.flush()  # without giving the writer a turn
    samples.close()
    assert lines == ["samples: the disk is too slow, 50 segments wait to be written"]


def test_ledger_rows_come_back(tmp_path: Path) -> None:
    """A stack's row is read back complete, even if its stack never became complete."""
    (tmp_path / "ledger").mkdir()
    ledger = LedgerRecorder(tmp_path / "ledger", "worker-00", fail)
    ledger.add(
        LedgerRow(
            "id-1", "cal-1", "rest", "req-1", 5, 7, final_ns=9, final_state="CREATE_COMPLETE", deleted_ns=11
        )
    )
    ledger.add(LedgerRow("id-2", "cal-2", "cfn", "", 6, 8))
    ledger.close()
    assert pq.read_schema(RunDir(tmp_path).parquet("ledger")[0]).equals(LEDGER)
    first, second = rows_of(tmp_path, "ledger")
    assert first == {
        "stack_id": "id-1",
        "name": "cal-1",
        "api": "rest",
        "request_id": "req-1",
        "accepted_ns": 5,
        "final_ns": 9,
        "final_state": "CREATE_COMPLETE",
        "deleted_ns": 11,
        "user": 7,
    }
    assert (second["final_state"], second["final_ns"], second["deleted_ns"]) == ("", 0, 0)
