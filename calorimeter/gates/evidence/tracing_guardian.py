"""The guardian of tracing: a process that outlives a killed suite, to switch tracing off again.

RabbitMQ traces per node: a node's own management API switches it on and off, for the clients of that node.
`python -m calorimeter.gates.evidence.tracing_guardian` reads a JSON list of `TracingOrder`s, one for each
node, from standard input (one line), switches tracing on, prints a JSON list of `SwitchedNode`s, waits
until standard input is closed, and switches it off. If no node could be switched on, it ends at once.

Runs of the suite on one machine that trace the same vhost share it: each holds a lock on its own file,
which the kernel releases when the process dies, and the last one switches tracing off. The file `ours`
records that this suite switched tracing on, and at which node, even if all processes crash.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
    """A node, the vhost to trace, and how to reach it.

    It contains a password and is never written to a file.
    """

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


class SwitchedNode(NamedTuple):
    """The node that answered at `url`, and why its tracing is not on (empty: it is)."""

    url: str
    node: str
    why: str = ""


class TracingClaim:
    """One run's use of tracing at one node; `name` is unique among the runs of this machine."""

    def __init__(self, order: TracingOrder, name: str) -> None:
        self._order = order
        self._file = order.folder / f"user-{name}"
        self._held: BinaryIO | None = None

    def take(self) -> str:
        """Switch tracing on if it is off; the node's name. Raises `EvidenceUnavailable` if that fails."""
        with self._alone(), self._order.api() as api:
            node = api.overview().node
            if not api.tracing():
                # Before the switch: a crash in between may leave a needless file, but never a missing one.
                about = f"{self._order.url} {self._order.vhost}\n{node}\n"
                files.write(self._ours, about, mode=files.PRIVATE)
                api.set_tracing(True)
            self._held = files.append(self._file)
            fcntl.flock(self._held, fcntl.LOCK_EX)
        return node

    def was_taken(self) -> bool:
        """Whether runs of this suite have switched tracing on, as far as they have left a file."""
        return self._ours.exists()

    def release(self) -> bool:
        """Switch tracing off if this suite switched it on and no other run uses it; whether it did.

        Raises `EvidenceUnavailable` if the node does not answer, or another one answers at its URL, as
        behind a load balancer.
        """
        with self._alone():
            if self._held is not None:
                self._held.close()
            files.remove(self._file)
            if not self.was_taken() or self._others():
                return False
            with self._order.api() as api:
                there = api.overview().node
                if self.node not in ("", there):
                    why = f"answers for {there}, and tracing was left on at {self.node}"
                    raise EvidenceUnavailable(api.where, why)
                was_on = api.tracing()
                if was_on:
                    api.set_tracing(False)
            files.remove(self._ours)
            return was_on

    @property
    def node(self) -> str:
        """The node at which this suite switched tracing on; empty if it did not, or an older suite did."""
        about = files.read_text(self._ours).splitlines() if self.was_taken() else []
        return about[1] if len(about) > 1 else ""

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
    if files.is_locked(path):
        return True
    path.unlink(missing_ok=True)  # its run and guardian were killed together
    return False


def _take(claim: TracingClaim, url: str) -> SwitchedNode:
    """Take a claim; what became of it."""
    try:
        return SwitchedNode(url, claim.take())
    except (EvidenceUnavailable, InputError) as problem:
        why = problem.why if isinstance(problem, EvidenceUnavailable) else str(problem)
        return SwitchedNode(url, "", why)


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
    """Run the guardian; exit status 0 if tracing is as before at every node, else 1."""
    guardian.ignore_signals()
    line = sys.stdin.readline()
    if not line:
        return 0
    orders = [TracingOrder(**each) for each in json.loads(line)]
    claims = [TracingClaim(order, str(os.getpid())) for order in orders]
    with ThreadPoolExecutor(len(claims)) as pool:  # a node that hangs delays no other
        switched = list(pool.map(_take, claims, (order.url for order in orders)))
        on = any(not each.why for each in switched)
        guardian.reply(json.dumps([each._asdict() for each in switched]))
        if on:
            guardian.wait_for_dismissal()
        # A claim that was not taken may have been left by a killed run.
        tries = [OFF_TRIES if on and not each.why else 1 for each in switched]
        statuses = list(pool.map(_release, claims, tries))
    if not on:
        return max(statuses)
    return max(status for status, each in zip(statuses, switched, strict=True) if not each.why)


if __name__ == "__main__":
    sys.exit(main())
