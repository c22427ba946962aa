"""Daemons: start, readiness, and the log of one that fails."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from calorimeter.core import files, paths
from calorimeter.core.errors import InputError
from calorimeter.core.host import netns
from calorimeter.core.waiting import CancelledError, DeadlineError, until
from calorimeter.lab import processes, programs
from calorimeter.lab.lab_state import Lab

LOG_LINES = 25
TAIL_BYTES = 65536


class DaemonError(Exception):
    """A daemon ended or was not ready in time; `tail` is the end of its log."""

    def __init__(self, part: str, what: str, tail: str) -> None:
        self.part = part
        self.what = what
        self.tail = tail
        super().__init__(f"{part} {what}")


@dataclass(frozen=True, slots=True)
class Daemon:
    """How to start a part: `ready` is whether it serves, asked every `every_s` seconds; `forks`: the
    command itself exits; `group` is the group id that identifies its packets (root only); `again`: how
    often it is started again if it ends before it serves; `left`: what an earlier run left, which a launch
    removes."""

    part: str
    argv: tuple[str, ...]
    ready: Callable[[], bool]
    deadline_s: float
    environment: Mapping[str, str] = field(default_factory=dict)
    forks: bool = False
    group: int | None = None
    every_s: float = 0.05
    again: int = 0
    left: tuple[Path, ...] = ()


def environment(lab: Lab, part: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a lab's process: of the user's environment only the program folders."""
    return {
        "PATH": f"{lab.programs.heat_venv / 'bin'}{os.pathsep}{programs.search_path()}",
        "HOME": str(lab.folder),
        # Programs of OpenStack keep the list of their plugins there; to make it takes 0.3 to 0.5 s.
        "XDG_CACHE_HOME": str(paths.cache() / "programs"),
        "LANG": "C.UTF-8",
        "PYTHONWARNINGS": "ignore",
        "PYTHONUNBUFFERED": "1",
        **processes.marks(lab.folder, part),
        **(extra or {}),
    }


def tail(log: Path, lines: int = LOG_LINES) -> str:
    """The last lines of a log; empty if the log is absent."""
    try:
        with files.open_to_read(log) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            return "\n".join(file.read(TAIL_BYTES).decode("utf-8", "replace").splitlines()[-lines:])
    except InputError:
        return ""


def launch(lab: Lab, daemon: Daemon) -> subprocess.Popen[bytes]:
    """Start a daemon without waiting for it to be ready."""
    log = lab.log(daemon.part)
    for path in daemon.left:
        path.unlink(missing_ok=True)
    return processes.spawn(
        list(netns.within(lab.namespace(daemon.part), *daemon.argv)),
        environment(lab, daemon.part, daemon.environment),
        log,
        lab.folder,
        daemon.group,
    )


def await_ready(
    lab: Lab, daemon: Daemon, process: subprocess.Popen[bytes], cancel: Event | None = None
) -> None:
    """Wait until a launched daemon serves. Raises `DaemonError` and `CancelledError`."""
    launched = [process]

    def ready() -> bool:
        status = launched[-1].poll()
        if status is not None and not (daemon.forks and status == 0):
            if len(launched) > daemon.again:
                raise DaemonError(daemon.part, f"ended with status {status}", tail(lab.log(daemon.part)))
            launched.append(launch(lab, daemon))
        return daemon.ready()

    try:
        until(ready, daemon.deadline_s, every_s=daemon.every_s, cancel=cancel)
    except DeadlineError as problem:
        what = f"was not ready after {daemon.deadline_s:g} s"
        raise DaemonError(daemon.part, what, tail(lab.log(daemon.part))) from problem


def start(lab: Lab, daemon: Daemon, cancel: Event | None = None) -> None:
    """Start a daemon and wait until it serves. Raises `DaemonError` and `CancelledError`."""
    if cancel is not None and cancel.is_set():
        raise CancelledError
    await_ready(lab, daemon, launch(lab, daemon), cancel)


def run(
    lab: Lab,
    part: str,
    argv: list[str],
    deadline_s: float,
    *,
    extra: Mapping[str, str] | None = None,
    cancel: Event | None = None,
) -> None:
    """Run a command of a part to its end. Raises `DaemonError` if it fails or takes too long."""
    log = lab.log(part)
    command = list(netns.within(lab.namespace(part), *argv))
    process = processes.spawn(command, environment(lab, part, extra), log, lab.folder)
    name = Path(argv[0]).name
    try:
        until(lambda: process.poll() is not None, deadline_s, cancel=cancel)
    except DeadlineError as problem:
        process.kill()
        raise DaemonError(part, f"{name} took over {deadline_s:g} s", tail(log)) from problem
    if process.returncode != 0:
        raise DaemonError(part, f"{name} ended with status {process.returncode}", tail(log))
