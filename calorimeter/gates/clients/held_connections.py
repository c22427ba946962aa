"""Many TCP connections that are opened and held, with no request on them."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from calorimeter.core.deployment import Api
from calorimeter.core.host import machine
from calorimeter.gates.clients.http_get import connect
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

SPARE_FILES = 200
"""File descriptors beyond those of the held connections."""


@contextmanager
def held(
    apis: Sequence[Api], sources: Sequence[Sequence[str | None]], count: int
) -> Iterator[list[socket.socket]]:
    """Hold `count` connections, in turn to each API and from each of its sources, until the context ends.

    Raises EvidenceUnavailable if this machine allows fewer, or the front address does not accept them.
    """
    allow_files(count + SPARE_FILES)
    opened: list[socket.socket] = []
    try:
        for number in range(count):
            which = number % len(apis)
            front, those = apis[which].front, sources[which]
            try:
                opened.append(connect(front, those[number // len(apis) % len(those)]))
            except OSError as problem:
                reason = problem.strerror or str(problem)
                why = f"connection {number + 1} of {count} could not be opened ({reason})"
                raise EvidenceUnavailable(str(front), why) from problem
        yield opened
    finally:
        for connection in opened:
            connection.close()


def allow_files(wanted: int) -> None:
    """Raise this process's limit of open files. Raises EvidenceUnavailable if the hard limit is lower."""
    hard = machine.open_files()
    if hard is not None and hard < wanted:
        raise EvidenceUnavailable(
            "this machine", f"allows {hard} open files a process (ulimit -Hn), {wanted} are needed"
        )
    machine.allow_open_files(wanted)
