"""Locust's process, as `calorimeter run` follows it to its end. This module is quick to import."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

BEGUN = "load: begun "
"""The beginning of the line that Locust prints when a load begins; the run folder follows."""

ENDED = "run: "
"""The beginning of the line that Locust prints when a run is complete; the run folder follows."""

EARLY = "ended early: "
"""The beginning of the line that Locust prints when an objective ended the load; a sentence follows."""

PIPE_BYTES = 2**16


@dataclass(frozen=True, slots=True)
class EndedLoad:
    """How Locust ended: its exit status (negative: the signal that killed it), and the signal we received.

    `run` is the folder of its last run, even of one that Locust could not complete; empty if none began.
    `early` says which objective ended it, empty if none did.
    """

    status: int
    run: str = ""
    received: int = 0
    early: str = ""

    @property
    def killed_by(self) -> str:
        """The name of the signal that killed Locust; empty if it ended by itself."""
        return signal.Signals(-self.status).name if self.status < 0 else ""


READY_S = 60
"""Time for all workers to be ready; without it Locust's master waits without end for one that died."""


def with_workers() -> list[str]:
    """Locust's options for a master and its workers: a port that no other run of this machine has."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    place = ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port]
    return [*place, "--expect-workers-max-wait", str(READY_S)]


class BegunLoad(NamedTuple):
    """A load that has begun: its run folder, and how to end it in order before its time."""

    run: Path
    end: Callable[[], None]


def follow(command: list[str], begun: Callable[[BegunLoad], None]) -> EndedLoad:
    """Run Locust to its end. Signals are passed on as Ctrl-C, on which Locust ends in order.

    `begun` is called when a load begins. If this process is killed, the pipe to
    Locust's standard input closes, and Locust ends itself.
    """
    run = early = ""
    received: list[int] = []
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as locust:

        def pass_on(number: int, _: object) -> None:
            received.append(number)
            locust.send_signal(signal.SIGINT)

        before = [(number, signal.signal(number, pass_on)) for number in (signal.SIGINT, signal.SIGTERM)]
        try:
            for line in _lines(locust):
                if line.startswith(BEGUN):
                    run, early = line.removeprefix(BEGUN), ""
                    begun(BegunLoad(Path(run), partial(locust.send_signal, signal.SIGINT)))
                elif line.startswith(ENDED):
                    run = line.removeprefix(ENDED)
                elif line.startswith(EARLY):
                    early = line.removeprefix(EARLY)
            status = locust.wait()
        finally:
            for number, handler in before:
                signal.signal(number, handler)
    return EndedLoad(status, run, received[0] if received else 0, early)


def _lines(locust: subprocess.Popen[bytes]) -> Iterator[str]:
    """The lines that a process prints until it has ended, even if its children hold the pipe open."""
    assert locust.stdout is not None
    out, process = locust.stdout.fileno(), os.pidfd_open(locust.pid)
    os.set_blocking(out, False)
    events, unfinished = select.poll(), b""
    events.register(out, select.POLLIN)
    events.register(process, select.POLLIN)
    try:
        over = False
        while not over:
            over = process in dict(events.poll())
            # Nothing is left to read, or its end is read for the second time.
            with suppress(BlockingIOError, KeyError):
                while data := os.read(out, PIPE_BYTES):
                    *lines, unfinished = (unfinished + data).split(b"\n")
                    yield from map(os.fsdecode, lines)
                events.unregister(out)
    finally:
        os.close(process)
