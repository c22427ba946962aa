"""Take a lab down: end its processes, verify that its ports are free, remove its folder."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

from calorimeter.core.errors import InputError
from calorimeter.core.faults.journal import Journal
from calorimeter.core.waiting import DeadlineError, until
from calorimeter.lab import lock, part_faults, ports, processes
from calorimeter.lab.daemons import messaging
from calorimeter.lab.hosts import network


def down(folder: Path) -> bool:
    """Take the lab in `folder` down, even while it is coming up. Returns False if there was no lab.

    Raises `InputError` if a process of it could not be ended.
    """
    _end_holder(folder)
    with lock.held(folder, 10):
        existed = folder.exists() or bool(processes.running(folder)) or _has_namespaces(folder)
        clear(folder)
        return existed


def clear(folder: Path) -> None:
    """End the lab's processes, check its ports and remove its folder. The caller holds the lab's lock."""
    reserved = ports.reserved(folder)  # not from lab.json, which another version may have written
    try:
        processes.terminate(folder)
        # Again: a daemon between fork and exec has no mark yet.
        processes.kill(folder)
        until(lambda: not _still_listening(reserved), 5)
    except DeadlineError as problem:
        left = ", ".join(f"{p.part} ({p.pid})" for p in processes.running(folder))
        what = (
            f"has processes that do not end: {left}"
            if left
            else f"has ports still open: {_still_listening(reserved)}"
        )
        raise InputError(f"lab {folder.name}", what, "its folder is kept") from problem
    Journal.at(folder / "deployment.toml").path.unlink(missing_ok=True)  # its faults go with it
    if ports.holds_name(folder):
        part_faults.clear(folder.name)
        network.remove(folder.name)
    messaging.remove_files(folder)
    shutil.rmtree(folder, ignore_errors=True)
    if os.path.lexists(folder):
        raise InputError(str(folder), "cannot be removed", "nothing of the lab runs: remove it yourself")
    ports.release(reserved, folder)


def _has_namespaces(folder: Path) -> bool:
    return ports.holds_name(folder) and bool(network.existing(folder.name))


def _still_listening(reserved: list[int]) -> list[int]:
    return sorted({listener.port for listener in ports.listening()} & set(reserved))


def _end_holder(folder: Path) -> None:
    """End the command that is changing the lab: SIGTERM, and SIGKILL if it has not cleaned up in time."""
    for signum, wait_s in ((signal.SIGTERM, 20), (signal.SIGKILL, 5)):
        try:
            with lock.held(folder, 2 if signum is signal.SIGTERM else 0):
                return
        except InputError:
            _signal_holder(folder, signum)
        with suppress(InputError), lock.held(folder, wait_s):
            return


def _signal_holder(folder: Path, signum: signal.Signals) -> None:
    pid = lock.holder(folder)
    if pid is None or pid == os.getpid():
        return
    with suppress(OSError):
        descriptor = os.pidfd_open(pid)
        try:
            # Again: the process may have ended, and its pid may belong to another process by now.
            if lock.holder(folder) == pid:
                signal.pidfd_send_signal(descriptor, signum)
        finally:
            os.close(descriptor)
