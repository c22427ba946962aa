"""Files of workers on other machines: whole, under the master's names, and bounded."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from calorimeter.core.recorded.rundir import RunDir
from calorimeter.load.recording.recorder import SampleRecorder
from calorimeter.load.run import worker_files
from calorimeter.load.run.worker_files import ReceivedFiles, RefusedError, send_files
from calorimeter.load.run.worker_messages import FilePiece, parsed

WINDOW = {
    "t_ns": 1,
    "length_s": 1.0,
    "cpu_share": 0.1,
    "lag_p50_s": 0.0,
    "lag_p99_s": 0.0,
    "lag_max_s": 0.0,
}
"""A line of `generator.jsonl` without its worker."""


def line(worker: str, **more: Any) -> bytes:
    """A line of `generator.jsonl`."""
    return json.dumps({**WINDOW, "worker": worker, **more}).encode() + b"\n"


def recorded(run: Path, worker: str, rows: int) -> None:
    """Samples of a worker, each with its number as its user."""
    (run / "samples").mkdir(parents=True, exist_ok=True)
    samples = SampleRecorder(run / "samples", worker, print)
    for number in range(rows):
        samples.add("rest", "list", 200, "", "127.0.0.1", 1, b"req-%d" % number, number, "load", 1, 2, 3, 4)
        if number == 1:
            samples.flush()  # a second segment: they are joined
    samples.close()


def piece(**given: Any) -> FilePiece:
    """A piece of the joined samples."""
    usual = {"kind": "samples", "part": None, "offset": 0, "data": b"x", "last": False}
    return FilePiece.model_validate({**usual, **given})


def test_files_of_another_machine_arrive_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files come in pieces and are the same; a worker's windows are added to those of others."""
    monkeypatch.setattr(worker_files, "CHUNK_BYTES", 700)
    there, run = tmp_path / "there", tmp_path / "run"
    recorded(there, "worker-00", 500)
    (there / "samples" / "worker-01.parquet").write_bytes(b"of another worker")
    (there / "samples" / "worker-001.parquet").write_bytes(b"of another worker")
    (there / "watch").mkdir()
    own = [line("worker-00", requests=number) for number in (1, 2)]
    (there / "watch" / "generator.jsonl").write_bytes(own[0] + line("worker-01") + own[1] + b'{"wor')
    (run / "watch").mkdir(parents=True)
    (run / "watch" / "generator.jsonl").write_bytes(line("worker-01"))
    received = ReceivedFiles(run, "worker-00", 10)
    taken = lambda kind, data: received.take(FilePiece.model_validate(data))  # noqa: E731
    sent = send_files(SimpleNamespace(send_message=taken), there, "worker-00")
    (file,) = RunDir(run).parquet("samples")
    assert file.read_bytes() == (there / "samples" / "worker-00.parquet").read_bytes()
    assert sent == file.stat().st_size + len(b"".join(own))
    with pq.ParquetFile(file) as whole:
        assert whole.read()["user"].to_pylist() == list(range(500))
    lines = (run / "watch" / "generator.jsonl").read_text().splitlines()
    assert [(json.loads(each)["worker"], json.loads(each).get("requests")) for each in lines] == [
        ("worker-01", None),
        ("worker-00", 1),
        ("worker-00", 2),
    ]
    assert {each.stat().st_mode & 0o777 for each in (file, file.parent)} == {0o600, 0o700}


@pytest.mark.parametrize(
    "name",
    [
        {"path": "../../etc/x"},
        {"kind": "../x"},
        {"kind": "report"},
        {"part": "../x"},
        {"part": -1},
        {"part": 0},
    ],
)
def test_a_worker_names_no_file(name: dict[str, Any]) -> None:
    """A message with a path, another folder or a part that is no number is none."""
    usual = {"kind": "samples", "part": 1, "offset": 0, "data": b"x", "last": True}
    assert parsed(FilePiece, usual) is not None
    assert parsed(FilePiece, {**usual, **name}) is None
    assert parsed(FilePiece, {**usual, "data": bytes(256 * 1024 + 1)}) is None


def test_a_worker_replaces_nothing(tmp_path: Path) -> None:
    """Files that are there, of this worker or of others, are as before; so are links with its names."""
    run, there = tmp_path / "run", tmp_path / "there"
    recorded(there, "worker-00", 3)
    whole = (there / "samples" / "worker-00.parquet").read_bytes()
    (run / "samples").mkdir(parents=True)
    (run / "samples" / "worker-00.parquet").write_bytes(b"mine")
    (tmp_path / "outside").write_bytes(b"foreign")
    (run / "samples" / "worker-00-00002.partial").symlink_to(tmp_path / "outside")
    with pytest.raises(RefusedError, match="sent samples/worker-00.parquet, which is there already"):
        ReceivedFiles(run, "worker-00", 10).take(piece(data=whole, last=True))
    with pytest.raises(Exception, match="cannot be written"):
        ReceivedFiles(run, "worker-00", 10).take(piece(part=2, data=whole, last=True))
    assert (run / "samples" / "worker-00.parquet").read_bytes() == b"mine"
    assert (tmp_path / "outside").read_bytes() == b"foreign"


def test_pieces_come_in_order_and_once(tmp_path: Path) -> None:
    """A piece twice, with a gap, or after the last one is refused; what came until then is not read."""
    recorded(tmp_path, "worker-00", 3)
    whole = (tmp_path / "samples" / "worker-00.parquet").read_bytes()
    run = tmp_path / "run"
    done = ReceivedFiles(run, "worker-01", 10)
    done.take(piece(data=whole[:100]))
    done.take(piece(data=whole[100:], offset=100, last=True))
    for again in (piece(data=whole[:100]), piece(data=b"x", offset=len(whole), last=True)):
        with pytest.raises(RefusedError, match="twice, or out of order"):
            done.take(again)
    with pytest.raises(RefusedError, match="twice, or out of order"):
        ReceivedFiles(run, "worker-02", 10).take(piece(offset=7))
    assert [file.name for file in RunDir(run).parquet("samples")] == ["worker-01.parquet"]


def test_a_worker_sends_no_more_than_its_load_can_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound grows with the length of the load; beyond it nothing is written."""
    monkeypatch.setattr(worker_files, "BYTES_ALWAYS", 1000)
    monkeypatch.setattr(worker_files, "BYTES_PER_S", 100)
    received = ReceivedFiles(tmp_path, "worker-00", 10)
    received.take(piece(data=bytes(1500)))
    with pytest.raises(RefusedError, match="sent more than 0 MiB, more than this load can record"):
        received.take(piece(data=bytes(501), offset=1500))
    assert (tmp_path / "samples" / "worker-00.partial").stat().st_size == 1500


@pytest.mark.parametrize("data", [b"", b"PAR1 no table", b"<script>"])
def test_a_file_that_is_no_table_of_this_kind_does_not_count(tmp_path: Path, data: bytes) -> None:
    """Damaged files, and tables with other columns, are removed again."""
    recorded(tmp_path, "worker-00", 3)
    samples = (tmp_path / "samples" / "worker-00.parquet").read_bytes()
    received = ReceivedFiles(tmp_path / "run", "worker-00", 10)
    with pytest.raises(RefusedError, match="sent a damaged worker-00.parquet"):
        received.take(piece(data=data, last=True))
    with pytest.raises(RefusedError, match="with other columns than a recorder writes"):
        received.take(piece(kind="ledger", data=samples, last=True))
    assert [file for file in (tmp_path / "run").rglob("*") if file.is_file()] == []


@pytest.mark.parametrize(
    "wrong",
    [
        line("worker-01"),
        line("worker-00", lag_p50_s=float("nan")),
        line("worker-00", requests=2**70),
        line("worker-00", more="<script>"),
        b"[]\n",
        b"\xff\n",
        b"x" * 5000,
    ],
)
def test_lines_of_windows_are_the_workers_own(tmp_path: Path, wrong: bytes) -> None:
    """A line of another worker, or that is none, is refused; what was right before it stays."""
    received = ReceivedFiles(tmp_path, "worker-00", 10)
    right = line("worker-00")
    received.take(piece(kind="watch", data=right))
    with pytest.raises(RefusedError):
        received.take(piece(kind="watch", data=wrong, offset=len(right), last=True))
    (kept,) = (tmp_path / "watch" / "generator.jsonl").read_bytes().splitlines()
    assert json.loads(kept)["worker"] == "worker-00"


def test_windows_are_judged_by_the_master(tmp_path: Path) -> None:
    """A worker's text does not reach the run: why a second is invalid follows from its numbers."""
    received = ReceivedFiles(tmp_path, "worker-00", 10)
    received.take(piece(kind="watch", data=line("worker-00", why_invalid="\x1b[2J<b>"), last=True))
    assert "<b>" not in (tmp_path / "watch" / "generator.jsonl").read_text()
