"""Runs with several processes or machines: the messages between a master and its workers.

The master sends each worker the run folder. A worker that does not find it (on another machine) records
below its own `--runs`, and at the end sends its files through Locust's connection, so that one folder holds
the whole run. Clocks are compared before the load by the shortest of several round trips (Cristian 1989);
the true offset is within half of it. Offsets are recorded, and arrivals begin at the same moment on all
machines; times in samples are those of the worker's own clock.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gevent

from calorimeter.core.clock import now_ns
from calorimeter.core.errors import InputError
from calorimeter.core.load_generator import clock_is_off
from calorimeter.core.waiting import DeadlineError, until
from calorimeter.load.recording.histogram import Histogram

log = logging.getLogger(__name__)

RUN = "calorimeter_run"
CLOCK = "calorimeter_clock"
BEGIN = "calorimeter_begin"
ABORT = "calorimeter_abort"
FILE = "calorimeter_file"
DONE = "calorimeter_done"

ROUND_TRIPS = 5
CLOCK_S = 3.0
POLL_S = 0.02
CHUNK_BYTES = 256 * 1024
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
    done: dict[str, Any] | None = None
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
        known = self.done or {}
        return {
            "worker": self.name,
            "host": self.host,
            "clock_offset_s": self.offset_ns / 1e9 if self.clock_samples else None,
            "clock_offset_within_s": self.round_trip_ns / 2e9 if self.clock_samples else None,
            "lost": self.lost,
            **known,
        }


def name_of(index: int) -> str:
    """The beginning of the names of a worker's files."""
    return f"worker-{index:02}"


class Master:
    """The master's side of one Locust process."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self._run: Path | None = None
        self._workers: dict[str, Worker] = {}
        self.abandon_workers = False
        """Set to stop waiting for workers."""
        self.responses = Histogram()
        """The responses that all workers have reported so far."""
        runner.register_message(CLOCK, self._clock)
        runner.register_message(FILE, self._file)
        runner.register_message(DONE, self._done)
        runner.environment.events.worker_report.add_listener(self._report)

    def begin(self, run: Path, given: dict[str, Any], scenario: str, templates: dict[str, str]) -> None:
        """Announce a new run to all workers, and compare clocks; `templates` are digests by name."""
        runner = self._runner
        ready = runner.clients.ready
        ids = sorted((client.id for client in ready), key=runner.get_worker_index)
        self._run = run
        self.abandon_workers = False
        self.responses = Histogram()
        self._workers = {client: Worker(index, client) for index, client in enumerate(ids)}
        for worker in self._workers.values():
            about: dict[str, Any] = {
                "run": str(run.absolute()),
                "id": run.name,
                "worker": worker.index,
                "workers": len(ids),
                "given": given,
                "scenario": scenario,
                "templates": templates,
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

    def lost(self) -> list[Worker]:
        """The workers that ended without a last message; valid after `await_done`."""
        return [each for each in self._workers.values() if each.lost]

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
                self._runner.send_message(CLOCK, {"sent_ns": now_ns()}, worker.client_id)
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
        if worker is None:
            return
        round_trip = now - msg.data["sent_ns"]
        if not worker.clock_samples or round_trip < worker.round_trip_ns:
            worker.round_trip_ns = round_trip
            worker.offset_ns = msg.data["now_ns"] - (now + msg.data["sent_ns"]) // 2
        worker.clock_samples += 1

    def _report(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        if client_id in self._workers:
            self.responses.merge_message(data.get("calorimeter_responses", {}))

    def _file(self, msg: Any, **_: Any) -> None:
        """Write a piece of a file from another machine. Its name comes from the network and is checked."""
        worker = self._workers.get(msg.node_id)
        folder, slash, name = str(msg.data["path"]).partition("/")
        named = slash and name and "/" not in name and not name.startswith(".")
        if worker is None or self._run is None or folder not in FOLDERS or not named:
            return
        path = self._run / folder / name
        path.parent.mkdir(exist_ok=True)
        if name.endswith(".jsonl"):  # shared by all workers
            with path.open("ab") as file:
                file.write(msg.data["data"])
            return
        unfinished = path.with_suffix(".partial")
        with unfinished.open("ab" if msg.data["offset"] else "wb") as file:
            file.write(msg.data["data"])
        if msg.data["last"]:
            unfinished.replace(path)

    def _done(self, msg: Any, **_: Any) -> None:
        worker = self._workers.get(msg.node_id)
        if worker is not None:
            worker.done = dict(msg.data)


FOLDERS = ("samples", "ledger", "actions", "watch")


def send_files(runner: Any, run: Path, worker: str) -> int:
    """Send the files of a worker on another machine to its master. Returns the number of bytes."""
    sent = 0
    for path, data, offset, last in _pieces(run, worker):
        runner.send_message(FILE, {"path": path, "data": data, "offset": offset, "last": last})
        sent += len(data)
        gevent.sleep(0)  # lets heartbeats through, which use the same connection
    return sent


def _pieces(run: Path, worker: str) -> Iterator[tuple[str, bytes, int, bool]]:
    for folder in FOLDERS:
        for file in sorted((run / folder).glob("*")):
            path = f"{folder}/{file.name}"
            if file.name == "generator.jsonl":  # shared by a machine's workers: each sends its own lines
                lines = file.read_bytes().splitlines(keepends=True)
                data = b"".join(line for line in lines if _worker_of(line) == worker)
                offset = 0
                while offset < len(data):  # whole lines: pieces of several workers arrive in any order
                    end = data.rfind(b"\n", offset, offset + CHUNK_BYTES) + 1 or len(data)
                    yield path, data[offset:end], offset, end >= len(data)
                    offset = end
            elif file.name.startswith(worker) and file.suffix == ".parquet":
                size = file.stat().st_size
                with file.open("rb") as reader:
                    offset = 0
                    while data := reader.read(CHUNK_BYTES):
                        yield path, data, offset, offset + len(data) >= size
                        offset += len(data)


def _worker_of(line: bytes) -> object:
    """The worker of a line of windows; None if the line was cut."""
    try:
        return json.loads(line)["worker"]
    except (ValueError, KeyError, TypeError):
        return None


def check_same(mine: str | None, masters: str | None, what: str = "scenario") -> None:
    """Raise InputError if a worker's file is not that of its master."""
    if mine != masters:
        raise InputError(what, "this worker's file is not its master's", "use one file on all machines")


def check_templates(mine: Mapping[str, str], masters: Mapping[str, str]) -> None:
    """Raise InputError if a worker's template is not that of its master, by their digests."""
    for name in sorted({*mine, *masters}):
        check_same(mine.get(name), masters.get(name), f"template {name}")
