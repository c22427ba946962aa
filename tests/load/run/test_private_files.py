"""What a load writes is its owner's alone, whatever the umask; a full disk costs no written sample."""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from calorimeter.core import deployment
from calorimeter.core.errors import InputError
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.toml import Model
from calorimeter.load.http.client import Client, RequestTimeouts
from calorimeter.load.http.connection import Endpoint
from calorimeter.load.recording import recorder
from calorimeter.load.recording.recorder import LedgerRecorder, LedgerRow, SampleRecorder
from calorimeter.load.run.session import Recorders
from calorimeter.load.run.worker_files import ReceivedFiles
from calorimeter.load.run.worker_messages import FilePiece

TEXT = """\
name = "none"
[rest]
url = "http://127.0.0.1:1/v1"
proxy_section = "rest"
backends = [{ name = "rest-1", address = "127.0.0.1:1" }]
"""


class Nothing(Model):
    """Evidence without content."""


@pytest.fixture(params=[0, 0o777], ids=["umask 0", "umask 777"])
def _umask(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:  # the folder comes first
    before = os.umask(request.param)
    yield
    os.umask(before)


def described(folder: Path) -> deployment.Deployment:
    """A deployment that is not there."""
    (folder / "deployment.toml").write_text(TEXT)
    (folder / "deployment.toml").chmod(0o644)
    return deployment.read(folder / "deployment.toml")


def add(samples: SampleRecorder, number: int) -> None:
    """A sample."""
    samples.add("rest", "list", 200, "", "127.0.0.1", 1, b"req", number, "load", 1, 2, 3, 4)


@pytest.mark.usefixtures("_umask")
def test_runs_are_their_owners_alone(tmp_path: Path) -> None:
    """Folders 0700, files 0600: what a run begins with, what it records, what workers send."""
    run = RunDir.create(described(tmp_path), runs=tmp_path / "runs", name="load")
    run.note(more=1)
    run.save_evidence("nothing", Nothing())
    recorders = Recorders(run.path, "worker-00", print)
    for number in range(3):
        add(recorders.samples, number)
        recorders.samples.flush()
    recorders.ledger.add(LedgerRow("id", "name", "rest", "req", 1, 2))
    recorders.close()
    piece = {"kind": "samples", "part": 7, "offset": 0, "data": b"x", "last": False}
    ReceivedFiles(run.path, "worker-01", 1).take(FilePiece.model_validate(piece))
    found = [run.path.parent, *(run.path.parent).rglob("*")]
    assert {each.stat().st_mode & 0o777 for each in found if each.is_dir()} == {0o700}
    modes = {each.name: each.stat().st_mode & 0o777 for each in found if each.is_file()}
    assert set(modes.values()) == {0o600}
    assert {"run.json", "deployment.toml", "nothing.json", "worker-00.parquet"} <= modes.keys()


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "A", "a\n", "a" * 61, "<b>", "\x1b[2J"])
def test_the_name_of_a_run_is_part_of_no_other_path(tmp_path: Path, name: str) -> None:
    """A name that is not letters, digits and hyphens is one line, and nothing is made."""
    with pytest.raises(InputError, match="no run can be called"):
        RunDir.create(described(tmp_path), runs=tmp_path / "runs", name=name)
    assert not (tmp_path / "runs").exists()


def test_a_full_disk_costs_no_earlier_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with the reason; earlier segments stay, the unfinished one gives its space back."""
    lines: list[str] = []
    samples = SampleRecorder(tmp_path, "worker-00", lines.append)
    add(samples, 1)
    samples.flush()
    samples._waiting.put(None)
    samples._writer.join()

    def full(self: Any, *_: Any) -> None:
        raise OSError(errno.ENOSPC, "Error writing bytes to file. Detail: …")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    for _ in range(3):
        samples.segments.write(lambda: recorder._ledger_table([], recorder.LEDGER))
    samples.segments.close()
    assert lines == [f"{tmp_path}/worker-00-00002.parquet: cannot be written (No space left on device)"]
    assert [file.name for file in tmp_path.iterdir()] == ["worker-00-00001.parquet"]
    with pq.ParquetFile(tmp_path / "worker-00-00001.parquet") as kept:
        assert kept.read()["user"].to_pylist() == [1]


def test_segments_that_cannot_be_joined_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No space for the joined file: the run has not failed, because its segments are complete."""
    lines: list[str] = []
    ledger = LedgerRecorder(tmp_path, "worker-00", lines.append)
    for number in (1, 2):
        row = LedgerRow(f"id-{number}", "name", "rest", "req", 1, 2)
        ledger.segments.write(lambda row=row: recorder._ledger_table([row], recorder.LEDGER))  # type: ignore[misc]

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(recorder, "_concatenated", full)
    ledger.close()
    assert lines == []
    found = sorted(file.name for file in tmp_path.iterdir())
    assert found == ["worker-00-00001.parquet", "worker-00-00002.parquet"]


def test_without_descriptors_a_request_fails_and_the_recording_does_not() -> None:
    """The last descriptors are for the recorder: a connection that would take one is a failed request."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open("/dev/null", os.O_RDONLY)]
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(taken) + 20, hard))
            taken += [os.open("/dev/null", os.O_RDONLY) for _ in range(6)]
            place = server.getsockname()
            to = Endpoint(*place, socket.AF_INET, place)
            answer = Client(to, None, RequestTimeouts()).send(b"GET / HTTP/1.1\r\n\r\n")
            assert (answer.error, answer.detail) == ("connect", "[Errno 24] Too many open files")
            with Path("/dev/null").open():
                pass
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)
