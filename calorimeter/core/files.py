"""Files that are written whole or not at all, and have their final mode from the first byte on."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from calorimeter.core.errors import InputError

PRIVATE = 0o600


def write(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Replace a file atomically: readers see the old content or the new one, never a part.

    A file that exists keeps its owner, and its mode unless `mode` is PRIVATE. Text for a device or a pipe
    is written to it. Raises InputError if the file cannot be written, or if `path` is a folder, a pipe that
    nobody reads, or a symbolic link that leads out of its own folder.
    """
    try:
        _write(path, text.encode("utf-8", "surrogateescape"), mode)
    except OSError as problem:
        raise InputError(str(path), f"cannot be written ({problem.strerror})") from problem


def _write(path: Path, content: bytes, mode: int) -> None:
    there = path.stat() if path.exists() else None
    if there is not None and stat.S_ISDIR(there.st_mode):
        raise InputError(str(path), "is a folder", "valid: the path of a file")
    if there is not None and not stat.S_ISREG(there.st_mode):
        # Never replaced: others use it. A pipe that nobody reads is an error, not a wait without end.
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        os.set_blocking(descriptor, True)
        with os.fdopen(descriptor, "wb") as device:
            device.write(content)
        return
    target = path.resolve()
    if target.parent != path.absolute().parent.resolve():
        raise InputError(str(path), f"is a symbolic link to {target}", "valid: the path of the file itself")
    # Mode 0600 first: others must not read passwords in the moment before fchmod.
    descriptor, partial = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if there is not None:
                if (there.st_uid, there.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(file.fileno(), there.st_uid, there.st_gid)
                mode = mode if mode == PRIVATE else stat.S_IMODE(there.st_mode)
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(partial).replace(target)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def write_secrets(path: Path, secrets: Mapping[str, str]) -> None:
    """Write a TOML file of secrets that only its owner can read. Raises InputError."""
    lines = [f"{key} = {_string(value)}\n" for key, value in secrets.items()]
    write(path, "# Secrets of the deployment file beside it.\n" + "".join(lines), mode=PRIVATE)


def refuse_existing(*paths: Path, force: bool) -> None:
    """Raise InputError if a file exists and `force` does not allow to replace it."""
    for path in paths:
        if path.exists() and not force:
            raise InputError(str(path), "exists already", "give another path, or --force to replace it")


def _string(text: str) -> str:
    # JSON strings are TOML strings, except that TOML escapes DEL.
    return json.dumps(text, ensure_ascii=True).replace("\x7f", "\\u007f")
