"""A master and its workers: clocks, files of other machines, who was lost."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.core.clock import now_ns
from calorimeter.core.errors import InputError
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.load.run import worker_messages, workers
from calorimeter.load.run.workers import Master
from tests.load.run.any_message import ANYTHING, nearly

SECOND = 10**9


KINDS = (workers.CLOCK, workers.FILE, workers.DONE)
SHAPES = (worker_messages.ClockAnswer, worker_messages.FilePiece, worker_messages.WorkerSummary)


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
    master.begin(tmp_path / "run", {"users": None}, "cd" * 32, {"tiny.yaml": "ab" * 32}, load_s=10)
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
    (line,) = master.incomplete()
    assert line.startswith("worker-01 on beta was lost: its part of the load ended with it")
    assert [(each["lost"], each.get("connections")) for each in master.about()] == [
        (False, 7),
        (True, None),
    ]


def test_workers_get_digests_of_templates_and_refuse_others(tmp_path: Path) -> None:
    """A worker whose template has another text, or which lacks one, is one line that names it."""
    wire, _ = begun(tmp_path, {"alpha_1": 0.0})
    (message,) = [data for kind, data, _ in wire.sent if kind == workers.RUN]
    same = {"tiny.yaml": "ab" * 32}
    assert message["templates"] == same
    workers.check_templates(same, message["templates"])
    for mine in ({"tiny.yaml": "cd"}, {}, {**same, "wide.yaml": "ef"}):
        with pytest.raises(
            InputError, match=r"^template (tiny|wide).yaml: this worker's file is not its master's"
        ):
            workers.check_templates(mine, message["templates"])


def test_no_message_raises_in_the_master(tmp_path: Path) -> None:
    """Whatever a worker sends: nothing raises, run.json stays JSON, files have the master's names."""
    wire, master = begun(tmp_path, {"alpha_1": 0.0})
    (worker,) = master._workers.values()

    @settings(max_examples=60)
    @given(
        data=ANYTHING | nearly(*SHAPES), kind=st.sampled_from([workers.CLOCK, workers.FILE, workers.DONE])
    )
    def check(data: Any, kind: str) -> None:
        worker.refused, worker.done = "", None
        wire.deliver(kind, data, "alpha_1")
        wire.deliver(kind, data, "stranger_9")
        master._report("alpha_1", data={"calorimeter_responses": data})
        (about,) = master.about()
        json.dumps(about, allow_nan=False)
        assert about["worker"] == "worker-00"
        assert abs(about["clock_offset_s"]) < 1

    check()
    written = [file.name for file in tmp_path.rglob("*") if file.is_file()]
    assert all(re.fullmatch(r"worker-00(-\d{5})?\.partial|generator.jsonl", name) for name in written)


def test_only_the_answer_to_the_masters_question_sets_a_clock(tmp_path: Path) -> None:
    """A clock message that nobody asked for is ignored: it cannot shift a worker's samples."""
    wire, master = begun(tmp_path, {"alpha_1": 0.0})
    before = master.about()
    wire.deliver(workers.CLOCK, {"sent_ns": now_ns(), "now_ns": 5}, "alpha_1")
    assert master.about() == before


def test_worker_reports_its_end_once_and_under_its_own_name(tmp_path: Path) -> None:
    """The entry in run.json is the worker's own first one, with known numbers only."""
    wire, master = begun(tmp_path, {"alpha_1": 0.0, "beta_2": 0.0})
    for data in ({"worker": "worker-01"}, {"worker": "worker-00", "lost": False}, {"worker": "worker-00"}):
        wire.deliver(workers.DONE, data, "alpha_1")
    wire.deliver(workers.DONE, {"worker": "worker-00", "users": 9}, "alpha_1")
    assert ["users" in each for each in master.about()] == [False, False]
    wire.clients["beta_2"].state = "missing"
    master.await_done(0)
    (line,) = master.incomplete()
    assert line.startswith("worker-01 on beta was lost: its part of the load ended with it")


def test_worker_that_sends_what_it_must_not_is_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its files are not taken any more, its entry says why, and the run has failed."""
    wire, master = begun(tmp_path, {"alpha_1": 0.0})
    for _ in range(3):
        wire.deliver(workers.FILE, {"path": "../../etc/x", "data": b"x"}, "alpha_1")
    wire.deliver(workers.DONE, {"worker": "worker-00"}, "alpha_1")
    assert [record.getMessage() for record in caplog.records] == [
        "worker-00 on alpha: its files are not taken, they stay there: sent what is no piece of a file"
    ]
    assert master.about()[0]["refused"] == "sent what is no piece of a file"
    (line,) = master.incomplete()
    assert line == ("worker-00 on alpha: its files are missing, because it sent what is no piece of a file")
    assert list(tmp_path.rglob("*")) == [tmp_path / "run"]


def test_a_worker_records_below_its_own_folder_of_runs(tmp_path: Path) -> None:
    """The folder is the master's if it is there; else it is made; a run that has ended stays as it is."""
    name = "20261130T010203Z-step-ab12"
    assert workers.own_folder(tmp_path, name) == (tmp_path / name, True)
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o700
    about = {"schema_version": 1, "id": name, "started": "", "deployment": "", "commands": []}
    file = tmp_path / name / "run.json"
    file.write_text(json.dumps({**about, "environment": {}}))
    assert workers.own_folder(tmp_path, name) == (tmp_path / name, False)
    RunDir(tmp_path / name).note(ended="now")
    with pytest.raises(InputError, match="is a run that has ended; its master must begin a new one"):
        workers.own_folder(tmp_path, name)
