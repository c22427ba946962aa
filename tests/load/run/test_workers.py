"""A master and its workers: clocks, files of other machines, who was lost."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from calorimeter.core.clock import now_ns
from calorimeter.core.errors import InputError
from calorimeter.core.rundir import RunDir
from calorimeter.load.recording.recorder import SampleRecorder
from calorimeter.load.run import workers
from calorimeter.load.run.workers import Master, send_files

SECOND = 10**9


class Clients(dict[str, SimpleNamespace]):
    """The workers that Locust's master knows."""

    @property
    def ready(self) -> list[SimpleNamespace]:
        """The workers that are ready."""
        return [client for client in self.values() if client.state == "ready"]


class Wire:
    """Locust's messages between a master and workers in one process; `answer` plays the workers."""

    def __init__(self, *ids: str) -> None:
        self.clients = Clients({each: SimpleNamespace(id=each, state="ready") for each in ids})
        reports = SimpleNamespace(add_listener=lambda listener: None)
        self.environment = SimpleNamespace(events=SimpleNamespace(worker_report=reports))
        self.sent: list[tuple[str, Any, str]] = []
        self.handlers: dict[str, Callable[..., None]] = {}
        self.answer: Callable[[str, Any, str], None] = lambda kind, data, to: None

    def get_worker_index(self, client_id: str) -> int:
        """In order of their ids."""
        return sorted(self.clients).index(client_id)

    def register_message(self, kind: str, handler: Callable[..., None]) -> None:
        """Keep the master's handler of a message."""
        self.handlers[kind] = handler

    def send_message(self, kind: str, data: Any, to: str) -> None:
        """From the master to a worker."""
        self.sent.append((kind, data, to))
        self.answer(kind, data, to)

    def deliver(self, kind: str, data: Any, of: str) -> None:
        """From a worker to the master."""
        self.handlers[kind](msg=SimpleNamespace(data=data, node_id=of))


def begun(tmp_path: Path, offsets_s: dict[str, float]) -> tuple[Wire, Master]:
    """A master with workers whose clocks are off by so much, and a run that has begun."""
    wire = Wire(*offsets_s)

    def answer(kind: str, data: Any, to: str) -> None:
        if kind == workers.CLOCK:
            answer = {**data, "now_ns": now_ns() + int(offsets_s[to] * SECOND)}
            wire.deliver(workers.CLOCK, answer, to)

    wire.answer = answer
    master = Master(wire)
    (tmp_path / "run").mkdir()
    master.begin(tmp_path / "run", {"users": None}, "text", {"tiny.yaml": "ab"})
    return wire, master


def test_clocks_are_compared_and_a_wrong_one_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Offsets are measured, the large one is reported, and arrivals begin at the same moment."""
    with caplog.at_level(logging.WARNING):
        wire, master = begun(tmp_path, {"alpha_1": 0.0, "beta_2": 3.2})
    about = master.about()
    assert [each["worker"] for each in about] == ["worker-00", "worker-01"]
    assert about[0]["clock_offset_s"] == pytest.approx(0, abs=0.01)
    assert about[1]["clock_offset_s"] == pytest.approx(3.2, abs=0.01)
    assert [record.getMessage() for record in caplog.records] == [
        "the clock of worker-01 on beta is +3.200 s off this machine's: so are the times of its samples"
    ]
    master.start_arrivals(10 * SECOND)
    begins = {to: data["at_ns"] for kind, data, to in wire.sent if kind == workers.BEGIN}
    assert begins["beta_2"] - begins["alpha_1"] == pytest.approx(3.2 * SECOND, abs=SECOND / 50)


def test_worker_that_goes_is_lost_and_one_that_is_done_is_not(tmp_path: Path) -> None:
    """A worker that Locust misses is lost; waiting ends when the others are done."""
    wire, master = begun(tmp_path, {"alpha_1": 0.0, "beta_2": 0.0})
    wire.deliver(workers.DONE, {"worker": "worker-00", "connections": 7}, "alpha_1")
    wire.clients["beta_2"].state = "missing"
    master.await_done(0)
    assert [worker.name for worker in master.lost()] == ["worker-01"]
    assert [(each["lost"], each.get("connections")) for each in master.about()] == [
        (False, 7),
        (True, None),
    ]


def test_files_of_another_machine_arrive_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files come in pieces and are the same; a worker's windows are added to those of others."""
    monkeypatch.setattr(workers, "CHUNK_BYTES", 700)
    wire, _ = begun(tmp_path, {"alpha_1": 0.0})
    there = tmp_path / "there"
    for folder in ("samples", "watch"):
        (there / folder).mkdir(parents=True)
    samples = SampleRecorder(there / "samples", "worker-00", print)
    for number in range(500):
        samples.add("rest", "list", 200, "", "127.0.0.1", 1, b"req-%d" % number, number, "load", 1, 2, 3, 4)
    samples.close()
    (there / "samples" / "worker-01.parquet").write_bytes(b"of another worker")
    (there / "watch" / "generator.jsonl").write_text(
        '{"worker":"worker-00","n":1}\n{"worker":"worker-01"}\n{"worker":"worker-00","n":2}\n{"wor'
    )
    run = tmp_path / "run"
    (run / "watch").mkdir()
    (run / "watch" / "generator.jsonl").write_text("its\n")
    worker = SimpleNamespace(send_message=lambda kind, data: wire.deliver(kind, data, "alpha_1"))
    send_files(worker, there, "worker-00")
    (file,) = RunDir(run).parquet("samples")
    with pq.ParquetFile(file) as whole:
        assert whole.read()["user"].to_pylist() == list(range(500))
    assert (run / "watch" / "generator.jsonl").read_text() == (
        'its\n{"worker":"worker-00","n":1}\n{"worker":"worker-00","n":2}\n'
    )


@pytest.mark.parametrize("path", ["../../etc/x", "samples/../x", "samples/.x", "report/x", "samples/", "x"])
def test_names_from_the_network_stay_inside(tmp_path: Path, path: str) -> None:
    """A file whose name would lead out of the run's folders is not written."""
    wire, _ = begun(tmp_path, {"alpha_1": 0.0})
    wire.deliver(workers.FILE, {"path": path, "data": b"x", "offset": 0, "last": True}, "alpha_1")
    assert list((tmp_path / "run").rglob("*")) == []
    assert [each.name for each in tmp_path.iterdir()] == ["run"]


def test_workers_get_digests_of_templates_and_refuse_others(tmp_path: Path) -> None:
    """A worker whose template has another text, or which lacks one, is one line that names it."""
    wire, _ = begun(tmp_path, {"alpha_1": 0.0})
    (message,) = [data for kind, data, _ in wire.sent if kind == workers.RUN]
    assert message["templates"] == {"tiny.yaml": "ab"}
    workers.check_templates({"tiny.yaml": "ab"}, message["templates"])
    for mine in ({"tiny.yaml": "cd"}, {}, {"tiny.yaml": "ab", "wide.yaml": "ef"}):
        with pytest.raises(
            InputError, match=r"^template (tiny|wide).yaml: this worker's file is not its master's"
        ):
            workers.check_templates(mine, message["templates"])
