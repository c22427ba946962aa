"""What labs share in the user's cache: one process makes it, others wait for it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import BinaryIO

from calorimeter.core import files, paths
from calorimeter.core.errors import InputError
from calorimeter.core.host import ownership
from calorimeter.core.waiting import DeadlineError, until


def folder() -> Path:
    """The user's cache. Programs and databases of it are run: nobody else may have put them there."""
    path = paths.cache()
    return ownership.own(files.make_folder(path), path)


@contextmanager
def only_one(what: str, wait_s: float, cancel: Event | None = None) -> Iterator[BinaryIO]:
    """Hold the lock under which `what` is made; yields its file, which a child process may keep open.

    The kernel releases the lock when all who have the file open have ended. Raises `InputError` if others
    still hold it after `wait_s` seconds, and `CancelledError`.
    """
    path = folder() / f"{what}.lock"
    with files.append(path) as lock:

        def locked() -> bool:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        try:
            until(locked, wait_s, every_s=0.2, cancel=cancel)
        except DeadlineError as problem:
            raise InputError(
                str(path), f"another lab has held it for over {wait_s:g} s", "end that lab's command"
            ) from problem
        yield lock
