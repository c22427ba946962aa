"""The lab's processes, found by the marks in their environment.

Marks survive whatever a daemon does to its parent, session and process group, and every child
inherits them; so a lab is found and ended even when the command that started it was killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from calorimeter.core.waiting import DeadlineError, until

LAB = "CALORIMETER_LAB"
PART = "CALORIMETER_PART"

NICENESS = 5
"""Of the lab, beside what loads and watches it on the same cores and must not wait for what it measures."""


@dataclass(frozen=True, slots=True)
class Process:
    """One running process of a lab; `name` is its command's, `state` the kernel's letter (T: stopped)."""

    pid: int
    name: str
    session: int
    part: str
    state: str


def marks(folder: Path, part: str) -> dict[str, str]:
    """The environment that makes a process, and all that it starts, part of a lab.

    setproctitle, where a daemon uses it, writes over its environment unless SPT_NOENV is set.
    """
    return {LAB: str(folder), PART: part, "SPT_NOENV": "1"}


def running(folder: Path, part: str | None = None) -> list[Process]:
    """The processes of the lab in `folder`, or of one part; zombies are not running."""
    mark = f"{LAB}={folder}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        process = _marked(int(entry.name), mark)
        if process is not None and part in (None, process.part):
            found.append(process)
    return found


def _marked(pid: int, mark: bytes) -> Process | None:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if mark not in environment:
            return None
        # After the command's name, which may hold spaces and brackets: state, parent, group, session.
        before, _, after = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    except OSError:  # gone, or another user's
        return None
    prefix = f"{PART}=".encode()
    part = next((v.removeprefix(prefix).decode() for v in environment if v.startswith(prefix)), "")
    fields = after.split()
    name = before.partition("(")[2]
    return None if fields[0] in "ZX" else Process(pid, name, int(fields[3]), part, fields[0])


def send(processes: Iterable[Process], folder: Path, signum: signal.Signals) -> None:
    """Send a signal to those of the processes that still are the lab's."""
    mark = f"{LAB}={folder}".encode()
    for process in processes:
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(process.pid)
            try:
                # Asked again now that the descriptor pins the process: its pid may have been reused.
                if _marked(process.pid, mark) is not None:
                    signal.pidfd_send_signal(descriptor, signum)
            finally:
                os.close(descriptor)


def kill(folder: Path, part: str | None = None, deadline_s: float = 10.0) -> None:
    """End processes with SIGKILL, those included that they start meanwhile; raises `DeadlineError`."""

    def none_left() -> bool:
        left = running(folder, part)
        send(left, folder, signal.SIGKILL)
        return not left

    until(none_left, deadline_s, every_s=0.02)


def terminate(folder: Path, part: str | None = None, grace_s: float = 2.0) -> None:
    """Ask processes to end; those still there after `grace_s` are killed."""
    before = running(folder, part)
    send(before, folder, signal.SIGTERM)
    send(before, folder, signal.SIGCONT)
    with suppress(DeadlineError):
        until(lambda: not running(folder, part), grace_s, every_s=0.05)
    kill(folder, part)


def spawn(
    argv: list[str], environment: Mapping[str, str], log: Path, cwd: Path, group: int | None = None
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, its output appended to `log`, with a group id if root."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv,
            env=dict(environment),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            group=group,
        )
    with suppress(ProcessLookupError):  # it may have ended already
        os.setpriority(os.PRIO_PGRP, process.pid, NICENESS)
    return process
