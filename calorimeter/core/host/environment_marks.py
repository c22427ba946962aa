"""Processes found by a mark, `NAME=value`, in their environment.

A mark survives changes of parent, session and process group, and every child inherits it. So the processes
of a command are found and ended even if that command was killed.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from calorimeter.core.bounds import is_digits


def environment(pid: int) -> list[bytes]:
    """The environment of a process as it started; empty if it ended, or is another user's."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return []


def marked(mark: str) -> list[int]:
    """The processes with this mark."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if is_digits(entry.name)]
    return [pid for pid in pids if os.fsencode(mark) in environment(pid)]


def send(pid: int, mark: str, signum: signal.Signals) -> None:
    """Send a signal to a process that still has the mark."""
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            # Read again now that the descriptor pins the process: the pid may have been reused.
            if os.fsencode(mark) in environment(pid):
                signal.pidfd_send_signal(descriptor, signum)
        finally:
            os.close(descriptor)


def kill(mark: str) -> None:
    """Send SIGKILL to all processes with this mark."""
    for pid in marked(mark):
        with suppress(OSError):
            send(pid, mark, signal.SIGKILL)
