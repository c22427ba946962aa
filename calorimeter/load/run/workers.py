"""Runs with several processes or machines: the messages between a master and its workers.

The master sends each worker the name of the run. A worker that does not find this folder below its own
`--runs` (on another machine) makes it, and at the end sends its files through Locust's connection, so that
one folder holds the whole run. A message of another shape than `worker_messages` says is ignored.

Clocks are compared before the load by the shortest of several round trips (Cristian 1989); the true offset
is within half of it. Offsets are recorded, and arrivals begin at the same moment on all machines; times in
samples are those of the worker's own clock.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from calorimeter.core import files
from calorimeter.core.clock import now_ns
from calorimeter.core.errors import InputError
from calorimeter.core.recorded.load_generator import clock_is_off
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.waiting import DeadlineError, until
from calorimeter.load.recording.histogram import Histogram
from calorimeter.load.run import worker_messages
from calorimeter.load.run.objective_watch import ObjectiveWatch
from calorimeter.load.run.worker_files import ReceivedFiles, RefusedError
from calorimeter.load.run.worker_messages import BEGIN, CLOCK, DONE, FILE, RUN, parsed

log = logging.getLogger(__name__)

ROUND_TRIPS = 5
CLOCK_S = 3.0
POLL_S = 0.02
GRACE_S = 60.0
"""The time for a worker to send its files, after the time for the cleanup."""


@dataclass(slots=True, eq=False)
class Worker:
    """One worker of a run, as its master sees it."""

    index: int
    client_id: str
    offset_ns: int = 0
    round_trip_ns: int = 0
    clock_samples: int = 0
    asked_ns: int = 0
    received: ReceivedFiles | None = None
    refused: str = ""
    """Why its files are not taken any more."""
    done: worker_messages.WorkerSummary | None = None
    lost: bool = False

    @property
    def name(self) -> str:
        """The beginning of the names of its files."""
        return name_of(self.index)

    @property
    def host(self) -> str:
        """The host's name, with which Locust's ids begin."""
        return self.client_id.rpartition("_")[0]

    def about(self) -> dict[str, Any]:
        """The worker's entry in run.json."""
        known = self.done.model_dump(exclude_unset=True) if self.done else {}
        return {
            "worker": self.name,
            "host": self.host,
            "clock_offset_s": self.offset_ns / 1e9 if self.clock_samples else None,
            "clock_offset_within_s": self.round_trip_ns / 2e9 if self.clock_samples else None,
            "lost": self.lost,
            **({"refused": self.refused} if self.refused else {}),
            **known,
        }


def name_of(index: int) -> str:
    """The beginning of the names of a worker's files."""
    return f"worker-{index:02}"


class Master:
    """The master's side of one Locust process."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self._workers: dict[str, Worker] = {}
        self.abandon_workers = False
        """Set to stop waiting for workers."""
        self.responses = Histogram()
        """The responses that all workers have reported so far."""
        self.objectives: ObjectiveWatch | None = None
        """Takes what workers report of the objectives of the current run; None if nothing is tested."""
        runner.register_message(CLOCK, self._clock)
        runner.register_message(FILE, self._file)
        runner.register_message(DONE, self._done)
        runner.environment.events.worker_report.add_listener(self._report)

    def begin(
        self, run: Path, given: dict[str, Any], scenario: str, templates: dict[str, str], load_s: float
    ) -> None:
        """Announce a new run of `load_s` to all workers, and compare clocks.

        `scenario` is the file's digest, `templates` are digests by name.
        """
        runner = self._runner
        ready = runner.clients.ready
        ids = sorted((client.id for client in ready), key=runner.get_worker_index)
        self.abandon_workers = False
        self.responses = Histogram()
        self._workers = {client: Worker(index, client) for index, client in enumerate(ids)}
        for worker in self._workers.values():
            worker.received = ReceivedFiles(run, worker.name, load_s)
            about: dict[str, Any] = {
                "id": run.name,
                "worker": worker.index,
                "workers": len(ids),
                "given": given,
                "scenario": scenario,
                "templates": templates,
                "test_objectives": self.objectives is not None,
            }
            runner.send_message(RUN, about, worker.client_id)
        self._compare_clocks()

    def start_arrivals(self, at_ns: int) -> None:
        """Let all workers begin at the same moment, each by its own clock."""
        for worker in self._workers.values():
            self._runner.send_message(BEGIN, {"at_ns": at_ns + worker.offset_ns}, worker.client_id)

    def quit_workers(self) -> None:
        """Ask all workers to end their users, because Locust would not wait for them."""
        for worker in self._workers.values():
            if worker.done is None and not self._missing(worker):
                self._runner.send_message("quit", None, worker.client_id)

    def await_done(self, within_s: float) -> None:
        """Wait until each worker has handed over its records, or is lost."""
        with suppress(DeadlineError):
            until(
                lambda: (
                    self.abandon_workers
                    or all(
                        worker.done is not None or self._missing(worker)
                        for worker in self._workers.values()
                    )
                ),
                within_s + GRACE_S,
                every_s=POLL_S,
            )
        for worker in self._workers.values():
            worker.lost = worker.done is None and not self.abandon_workers

    def incomplete(self) -> list[str]:
        """A line on each worker whose records are not complete; valid after `await_done`."""
        return [
            f"{each.name} on {each.host}: its files are missing, because it {each.refused}"
            if each.refused
            else f"{each.name} on {each.host} was lost: its part of the load ended with it, and its last "
            "samples may be missing"
            for each in self._workers.values()
            if each.lost or each.refused
        ]

    def about(self) -> list[dict[str, Any]]:
        """The entries of all workers in run.json."""
        return [worker.about() for worker in self._workers.values()]

    def _missing(self, worker: Worker) -> bool:
        if worker.done is not None:
            return False
        client = self._runner.clients.get(worker.client_id)
        return client is None or client.state == "missing"

    def _compare_clocks(self) -> None:
        def answered(wanted: dict[Worker, int]) -> bool:
            return all(worker.clock_samples >= count for worker, count in wanted.items())

        for _ in range(ROUND_TRIPS):
            wanted = {worker: worker.clock_samples + 1 for worker in self._workers.values()}
            for worker in wanted:
                worker.asked_ns = now_ns()
                self._runner.send_message(CLOCK, {"sent_ns": worker.asked_ns}, worker.client_id)
            with suppress(DeadlineError):
                until(partial(answered, wanted), CLOCK_S, every_s=0.001)
        for worker in self._workers.values():
            if not worker.clock_samples:
                log.warning("%s on %s does not report its time", worker.name, worker.host)
            elif clock_is_off(worker.offset_ns / 1e9, worker.round_trip_ns / 2e9):
                log.warning(
                    "the clock of %s on %s is %+.3f s off this machine's: so are the times of its samples",
                    worker.name,
                    worker.host,
                    worker.offset_ns / 1e9,
                )

    def _clock(self, msg: Any, **_: Any) -> None:
        now, worker = now_ns(), self._workers.get(msg.node_id)
        answer = parsed(worker_messages.ClockAnswer, msg.data)
        if worker is None or answer is None or answer.sent_ns != worker.asked_ns:
            return
        worker.asked_ns = 0
        round_trip = now - answer.sent_ns
        if not worker.clock_samples or round_trip < worker.round_trip_ns:
            worker.round_trip_ns = round_trip
            worker.offset_ns = answer.now_ns - (now + answer.sent_ns) // 2
        worker.clock_samples += 1

    def _report(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        if client_id in self._workers:
            self.responses.merge_message(data.get("calorimeter_responses"))
            if self.objectives is not None:
                self.objectives.add_message(data.get("calorimeter_objectives"))

    def _file(self, msg: Any, **_: Any) -> None:
        """Take a piece of a file from another machine; after a wrong one, none of this worker any more."""
        worker = self._workers.get(msg.node_id)
        if worker is None or worker.received is None or worker.refused or worker.done is not None:
            return
        try:
            piece = parsed(worker_messages.FilePiece, msg.data)
            if piece is None:
                raise RefusedError("sent what is no piece of a file")
            worker.received.take(piece)
        except (RefusedError, InputError) as problem:
            worker.refused = str(problem)
            where = f"{worker.name} on {worker.host}"
            log.warning("%s: its files are not taken, they stay there: %s", where, problem)

    def _done(self, msg: Any, **_: Any) -> None:
        worker, summary = self._workers.get(msg.node_id), parsed(worker_messages.WorkerSummary, msg.data)
        if worker is not None and summary is not None and summary.worker == worker.name:
            worker.done = worker.done or summary


def digest(text: bytes) -> str:
    """The digest by which the files of a master and its workers are compared."""
    return hashlib.sha256(text).hexdigest()


def check_same(mine: str | None, masters: str | None, what: str = "scenario") -> None:
    """Raise InputError if a worker's file is not that of its master."""
    if mine != masters:
        raise InputError(what, "this worker's file is not its master's", "use one file on all machines")


def check_templates(mine: Mapping[str, str], masters: Mapping[str, str]) -> None:
    """Raise InputError if a worker's template is not that of its master, by their digests."""
    for name in sorted({*mine, *masters}):
        check_same(mine.get(name), masters.get(name), f"template {name}")


def own_folder(runs: Path, run: str) -> tuple[Path, bool]:
    """Where a worker records the run of its master, and whether its master does not find that.

    It is always the folder of this name below the worker's own `runs`: its master cannot choose another.
    Raises InputError if this run has ended already.
    """
    folder = runs / run
    if not (folder / "run.json").is_file():
        return files.make_folder(folder), True
    about = RunDir.open(folder).about
    if about["id"] != run or "ended" in about:
        raise InputError(str(folder), "is a run that has ended", "its master must begin a new one")
    return folder, False
