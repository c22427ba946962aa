"""The lock of a lab: one command at a time changes it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from calorimeter.core.errors import InputError
from calorimeter.core.waiting import DeadlineError, until


@contextmanager
def held(folder: Path, wait_s: float) -> Iterator[Path]:
    """Hold the lock of the lab in `folder`; yields the lock file.

    The kernel releases the lock when its holder ends, even after SIGKILL. The file is removed with the lab.
    Raises `InputError` if another command still holds the lock after `wait_s` seconds.
    """
    path = folder.with_suffix(".lock")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    taken: list[IO[str]] = []

    def take() -> bool:
        file = path.open("a+")
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # `lab down` removes the file; a lock on a removed file excludes nobody.
            if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                taken.append(file)
                return True
        file.close()
        return False

    try:
        until(take, wait_s)
    except DeadlineError as problem:
        who = holder(folder)
        raise InputError(
            f"lab {folder.name}", f"is being changed by process {who}", "wait for it, or end it"
        ) from problem
    file = taken[0]
    try:
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield path
    finally:
        if not folder.exists():
            path.unlink(missing_ok=True)
        file.close()


def holder(folder: Path) -> int | None:
    """Process id of the lock's holder; None if unknown."""
    try:
        return int(folder.with_suffix(".lock").read_text())
    except (OSError, ValueError):
        return None
