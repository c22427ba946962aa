"""More than one process or machine: what a master and its workers tell one another about a run.

The master tells each worker the run folder; a worker that does not find it (another machine) records below
its own `--runs` and, at the end, sends its files through Locust's own connection, so that one folder holds
all. Clocks are compared before the load, by the round trip with the shortest way (Cristian 1989): the true
offset is within half of it. Offsets are recorded, and arrivals begin at the same moment; times in samples
stay those of the worker's own clock.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent

from calorimeter.core.clock import now_ns
from calorimeter.core.errors import InputError
from calorimeter.core.generator import clock_is_off
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
"""For a worker to send its files, beyond the time for cleaning up."""


@dataclass(slots=True, eq=False)
class Worker:
    """One worker of a run, as its master sees it."""

    index: int
    client_id: str
    offset_ns: int = 0
    round_trip_ns: int = 0
    looks: int = 0
    done: dict[str, Any] | None = None
    lost: bool = False

    @property
    def name(self) -> str:
        """As its files are called."""
        return name_of(self.index)

    @property
    def host(self) -> str:
        """Locust's ids begin with the host's name."""
        return self.client_id.rpartition("_")[0]

    def about(self) -> dict[str, Any]:
        """For run.json."""
        known = self.done or {}
        return {
            "worker": self.name,
            "host": self.host,
            "clock_offset_s": self.offset_ns / 1e9 if self.looks else None,
            "clock_offset_within_s": self.round_trip_ns / 2e9 if self.looks else None,
            "lost": self.lost,
            **known,
        }


def name_of(index: int) -> str:
    """How the files of a worker are called."""
    return f"worker-{index:02}"


class Master:
    """The master's side of one Locust process."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self._run: Path | None = None
        self._workers: dict[str, Worker] = {}
        self.impatient = False
        """Set where nobody wants to wait for workers any more."""
        self.responses = Histogram()
        """What all workers reported so far."""
        runner.register_message(CLOCK, self._clock)
        runner.register_message(FILE, self._file)
        runner.register_message(DONE, self._done)
        runner.environment.events.worker_report.add_listener(self._report)

    def begin(self, run: Path, given: dict[str, Any], scenario: str, templates: dict[str, str]) -> None:
        """Tell all workers of a new run, and compare clocks; `templates` are digests by name."""
        runner = self._runner
        ready = runner.clients.ready
        ids = sorted((client.id for client in ready), key=runner.get_worker_index)
        self._run = run
        self.impatient = False
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
        """All workers begin at the same moment, each by its own clock."""
        for worker in self._workers.values():
            self._runner.send_message(BEGIN, {"at_ns": at_ns + worker.offset_ns}, worker.client_id)

    def quit_workers(self) -> None:
        """Ask all workers to end their users; Locust would not wait for them."""
        for worker in self._workers.values():
            if worker.done is None and not self._missing(worker):
                self._runner.send_message("quit", None, worker.client_id)

    def await_done(self, within_s: float) -> None:
        """Wait until each worker has handed over what it recorded, or is lost."""
        until = time.monotonic() + within_s + GRACE_S
        while (
            time.monotonic() < until
            and not self.impatient
            and any(worker.done is None and not self._missing(worker) for worker in self._workers.values())
        ):
            gevent.sleep(POLL_S)
        for worker in self._workers.values():
            worker.lost = worker.done is None and not self.impatient

    def lost(self) -> list[Worker]:
        """Workers that went away, once all were awaited."""
        return [each for each in self._workers.values() if each.lost]

    def about(self) -> list[dict[str, Any]]:
        """For run.json."""
        return [worker.about() for worker in self._workers.values()]

    def _missing(self, worker: Worker) -> bool:
        if worker.done is not None:
            return False
        client = self._runner.clients.get(worker.client_id)
        return client is None or client.state == "missing"

    def _compare_clocks(self) -> None:
        for _ in range(ROUND_TRIPS):
            wanted = {worker: worker.looks + 1 for worker in self._workers.values()}
            for worker in wanted:
                self._runner.send_message(CLOCK, {"sent_ns": now_ns()}, worker.client_id)
            until = time.monotonic() + CLOCK_S
            while time.monotonic() < until and any(w.looks < count for w, count in wanted.items()):
                gevent.sleep(0.001)
        for worker in self._workers.values():
            if not worker.looks:
                log.warning("%s on %s does not tell its time", worker.name, worker.host)
            elif clock_is_off(worker.offset_ns / 1e9, worker.round_trip_ns / 2e9):
                log.warning(
                    "the clock of %s on %s is %+.3f s off this machine's: times of its samples are too",
                    worker.name,
                    worker.host,
                    worker.offset_ns / 1e9,
                )

    def _clock(self, msg: Any, **_: Any) -> None:
        now, worker = now_ns(), self._workers.get(msg.node_id)
        if worker is None:
            return
        round_trip = now - msg.data["sent_ns"]
        if not worker.looks or round_trip < worker.round_trip_ns:
            worker.round_trip_ns = round_trip
            worker.offset_ns = msg.data["now_ns"] - (now + msg.data["sent_ns"]) // 2
        worker.looks += 1

    def _report(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        if client_id in self._workers:
            self.responses.merge_message(data.get("calorimeter_responses", {}))

    def _file(self, msg: Any, **_: Any) -> None:
        """A piece of a file of another machine. Its name is checked: it comes from the network."""
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
        partial = path.with_suffix(".partial")
        with partial.open("ab" if msg.data["offset"] else "wb") as file:
            file.write(msg.data["data"])
        if msg.data["last"]:
            partial.replace(path)

    def _done(self, msg: Any, **_: Any) -> None:
        worker = self._workers.get(msg.node_id)
        if worker is not None:
            worker.done = dict(msg.data)


FOLDERS = ("samples", "ledger", "actions", "watch")


def send_files(runner: Any, run: Path, worker: str) -> int:
    """Send what a worker on another machine recorded to its master; how many bytes that was."""
    sent = 0
    for path, data, offset, last in _pieces(run, worker):
        runner.send_message(FILE, {"path": path, "data": data, "offset": offset, "last": last})
        sent += len(data)
        gevent.sleep(0)  # heartbeats go the same way
    return sent


def _pieces(run: Path, worker: str) -> Iterator[tuple[str, bytes, int, bool]]:
    for folder in FOLDERS:
        for file in sorted((run / folder).glob("*")):
            path = f"{folder}/{file.name}"
            if file.name == "generator.jsonl":  # shared by the workers of a machine: each sends its own
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
    """Of which worker a line of windows is; None where it was cut."""
    try:
        return json.loads(line)["worker"]
    except (ValueError, KeyError, TypeError):
        return None


def check_same(mine: str | None, masters: str | None, what: str = "scenario") -> None:
    """Raise `InputError` where a worker would do something else than its master says."""
    if mine != masters:
        raise InputError(what, "this worker's is not its master's", "give the same file on all machines")


def check_templates(mine: Mapping[str, str], masters: Mapping[str, str]) -> None:
    """Raise `InputError` where a template of a worker is not its master's, by their digests."""
    for name in sorted({*mine, *masters}):
        check_same(mine.get(name), masters.get(name), f"template {name}")
