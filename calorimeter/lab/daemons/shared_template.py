"""Templates that all labs of a user share, in the user's cache: each is made by one lab, once."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from calorimeter.core import files, paths
from calorimeter.core.host import ownership
from calorimeter.core.waiting import DeadlineError, until
from calorimeter.lab.daemons.daemon import DaemonError

MAKING_S = 300.0


def folder() -> Path:
    """The folder of the templates. Databases in it are run: nobody else may have put them there."""
    path = paths.cache()
    return ownership.own(files.make_folder(path), path)


def copy(source: Path, target: Path) -> None:
    """Copy a folder to `target`, which is replaced."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True)


@contextmanager
def only_one(part: str, cancel: Event | None) -> Iterator[None]:
    """Hold the lock under which a part's template is made. Raises `DaemonError` and `CancelledError`."""
    with files.append(folder() / f"{part}.lock") as lock:

        def locked() -> bool:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        try:
            until(locked, MAKING_S, every_s=0.2, cancel=cancel)
        except DeadlineError as problem:
            what = f"has waited over {MAKING_S:g} s for another lab to create the template"
            raise DaemonError(part, what, "") from problem
        yield
