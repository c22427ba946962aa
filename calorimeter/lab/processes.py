"""The lab's processes, found by marks in their environment.

Marks survive changes of parent, session and process group, and every child inherits them. So the processes
of a lab are found and ended even if the command that started them was killed.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from calorimeter.core import files
from calorimeter.core.errors import InputError
from calorimeter.core.host import environment_marks
from calorimeter.core.waiting import DeadlineError, until

LAB = "CALORIMETER_LAB"
PART = "CALORIMETER_PART"

NICENESS = 5
"""Nice value of the lab: the load generator and the watch share its cores and must not wait for it."""


@dataclass(frozen=True, slots=True)
class LabProcess:
    """A running process of a lab: `name` is its command name, `state` the kernel's letter (T: stopped).

    `started_ticks` is when it started, in clock ticks since the machine did: a step of the system's clock
    does not change it, unlike psutil's `create_time`.
    """

    pid: int
    name: str
    session: int
    part: str
    state: str
    started_ticks: int


def marks(folder: Path, part: str) -> dict[str, str]:
    """Environment variables that mark a process, and all its children, as part of a lab.

    SPT_NOENV keeps setproctitle from overwriting the environment of daemons that use it.
    """
    return {LAB: str(folder), PART: part, "SPT_NOENV": "1"}


def running(folder: Path, part: str | None = None) -> list[LabProcess]:
    """The running processes of the lab in `folder`, or of one part; zombies are left out."""
    found = [_process(pid) for pid in environment_marks.marked(_mark(folder))]
    return [each for each in found if each is not None and part in (None, each.part)]


def not_running(part: str) -> InputError:
    """The error of a fault for a part, or a host of a lab, that does not run."""
    return InputError(f"lab part {part}", "is not running", f"`calorimeter lab part {part} start` first")


def _mark(folder: Path) -> str:
    return f"{LAB}={folder}"


def _process(pid: int) -> LabProcess | None:
    try:
        # The command name may hold spaces and brackets; after it: state, parent, group, session.
        before, _, after = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")
    except OSError:  # it ended
        return None
    prefix, environment = f"{PART}=".encode(), environment_marks.environment(pid)
    part = next((v.removeprefix(prefix).decode() for v in environment if v.startswith(prefix)), "")
    fields = after.split()
    name = before.partition("(")[2]
    if fields[0] in "ZX":
        return None
    return LabProcess(pid, name, int(fields[3]), part, fields[0], started_ticks=int(fields[19]))


def send(processes: Iterable[LabProcess], folder: Path, signum: signal.Signals) -> None:
    """Send a signal to those processes that still belong to the lab."""
    for process in processes:
        environment_marks.send(process.pid, _mark(folder), signum)


def kill(folder: Path, part: str | None = None, deadline_s: float = 10.0) -> None:
    """End processes with SIGKILL, and the children they start until then. Raises `DeadlineError`."""

    def none_left() -> bool:
        left = running(folder, part)
        send(left, folder, signal.SIGKILL)
        return not left

    until(none_left, deadline_s, every_s=0.02)


def terminate(folder: Path, part: str | None = None, grace_s: float = 2.0) -> None:
    """Send SIGTERM to processes, and SIGKILL to those that remain after `grace_s`."""
    before = running(folder, part)
    send(before, folder, signal.SIGTERM)
    send(before, folder, signal.SIGCONT)
    with suppress(DeadlineError):
        until(lambda: not running(folder, part), grace_s, every_s=0.05)
    kill(folder, part)


DESCRIPTORS = 20_000
"""Enough for every daemon of a lab; some programs look at each descriptor that they might have."""


def spawn(
    argv: list[str], environment: Mapping[str, str], log: Path, cwd: Path, group: int | None = None
) -> subprocess.Popen[bytes]:
    """Start a process in its own session with its output appended to `log` (`group`: root only)."""
    _raise_limits()
    with files.append(log) as output:
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


def _raise_limits() -> None:
    """Let a daemon have the descriptors and the memory that the system allows.

    A suite that has run out of either heals a fault all the same, and what it starts inherits its limits.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
