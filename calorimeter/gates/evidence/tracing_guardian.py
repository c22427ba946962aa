"""The guardian of tracing: a process that outlives a killed suite, to switch tracing off again.

`python -m calorimeter.gates.evidence.tracing_guardian` reads one `TracingOrder` (JSON, one line) from
standard input, switches tracing on, prints `on`, waits until standard input is closed, and switches it off.
It prints `{"why": …}` if it cannot switch it on.

Runs of the suite on one machine that trace the same vhost share it: each holds a lock on its own file,
which the kernel releases when the process dies, and the last one switches tracing off. The file `ours`
records that this suite switched tracing on, even if all processes crash.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from calorimeter.core import files
from calorimeter.core.errors import InputError
from calorimeter.core.host import guardian, ownership
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

OFF_TRIES = 20
OFF_PAUSE_S = 1.0


class TracingOrder(NamedTuple):
    """The vhost to trace and how to reach it; contains a password and is never written to a file."""

    url: str
    user: str
    password: str
    vhost: str
    verify: bool | str
    state: str

    def api(self) -> BrokerApi:
        """The management API that the order names."""
        return BrokerApi(self.url, self.user, self.password, self.vhost, verify=self.verify)

    @property
    def folder(self) -> Path:
        """The folder that all runs that trace this vhost share."""
        name = hashlib.sha256(f"{self.url}\n{self.vhost}".encode()).hexdigest()[:16]
        return Path(self.state) / "tracing" / name


class TracingClaim:
    """One run's use of tracing; `name` is unique among the runs of this machine."""

    def __init__(self, order: TracingOrder, name: str) -> None:
        self._order = order
        self._file = order.folder / f"user-{name}"
        self._held: BinaryIO | None = None

    def take(self) -> None:
        """Switch tracing on if it is off. Raises `EvidenceUnavailable` if that fails."""
        with self._alone(), self._order.api() as api:
            if not api.tracing():
                # Before the switch: a crash in between may leave a needless file, but never a missing one.
                files.write(self._ours, f"{self._order.url} {self._order.vhost}\n", mode=files.PRIVATE)
                api.set_tracing(True)
            self._held = files.append(self._file)
            fcntl.flock(self._held, fcntl.LOCK_EX)

    def was_taken(self) -> bool:
        """Whether runs of this suite have switched tracing on, as far as they have left a file."""
        return self._ours.exists()

    def release(self) -> bool:
        """Switch tracing off if this suite switched it on and no other run uses it; whether it did."""
        with self._alone():
            if self._held is not None:
                self._held.close()
            files.remove(self._file)
            if not self.was_taken() or self._others():
                return False
            with self._order.api() as api:
                was_on = api.tracing()
                if was_on:
                    api.set_tracing(False)
            files.remove(self._ours)
            return was_on

    @property
    def _ours(self) -> Path:
        return self._order.folder / "ours"

    def _others(self) -> bool:
        return any(_is_held(path) for path in self._order.folder.glob("user-*"))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        ownership.own(files.make_folder(self._order.folder), Path(self._order.state))
        with files.append(self._order.folder / "lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _is_held(path: Path) -> bool:
    with files.open_to_read(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    path.unlink(missing_ok=True)  # its run and guardian were killed together
    return False


def _release(claim: TracingClaim, tries: int) -> int:
    """Release the claim, in up to `tries` attempts; the exit status."""
    for attempt in range(tries):
        if attempt:
            time.sleep(OFF_PAUSE_S)  # the broker is away; no event announces its return
        try:
            claim.release()
        except (EvidenceUnavailable, InputError):
            continue
        return 0
    return 1


def main() -> int:
    """Run the guardian; exit status 0 if tracing is as before, 1 if it could not be switched."""
    guardian.ignore_signals()
    line = sys.stdin.readline()
    if not line:
        return 0
    order = TracingOrder(**json.loads(line))
    claim = TracingClaim(order, str(os.getpid()))
    try:
        claim.take()
    except (EvidenceUnavailable, InputError) as problem:
        why = problem.why if isinstance(problem, EvidenceUnavailable) else str(problem)
        guardian.reply(json.dumps({"why": why}))
        return _release(claim, tries=1)
    guardian.reply("on")
    guardian.wait_for_dismissal()
    return _release(claim, OFF_TRIES)


if __name__ == "__main__":
    sys.exit(main())
