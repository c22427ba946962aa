"""The lock of a lab: one command at a time changes it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from calorimeter.core import files
from calorimeter.core.errors import InputError
from calorimeter.core.waiting import DeadlineError, until


@contextmanager
def held(folder: Path, wait_s: float, what: str = "") -> Iterator[Path]:
    """Hold the lock of the lab in `folder`, or of `what` else is kept there; yields the lock file.

    The kernel releases the lock when its holder ends, even after SIGKILL. The file is removed with the lab.
    Raises `InputError` if another command still holds the lock after `wait_s` seconds.
    """
    path = folder.with_suffix(".lock")
    files.make_folder(path.parent)
    taken: list[BinaryIO] = []

    def take() -> bool:
        file = files.append(path)
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
            what or f"lab {folder.name}", f"is being changed by process {who}", "wait for it, or end it"
        ) from problem
    file = taken[0]
    try:
        file.truncate(0)
        with suppress(OSError):  # a full disk: the lock counts, not the name of its holder
            file.write(str(os.getpid()).encode())
        yield path
    finally:
        if not folder.exists():
            path.unlink(missing_ok=True)
        file.close()


def holder(folder: Path) -> int | None:
    """Process id of the lock's holder: it has the lock's file open. None if unknown."""
    path = folder.with_suffix(".lock")
    try:
        pid = int(files.read_text(path, limit=100))
        opened = Path(f"/proc/{pid}/fd").iterdir()
        return pid if any(_is_same(each, path) for each in opened) else None
    except (InputError, OSError, ValueError):
        return None


def _is_same(descriptor: Path, path: Path) -> bool:
    with suppress(OSError):  # it was closed meanwhile
        return descriptor.samefile(path)
    return False
