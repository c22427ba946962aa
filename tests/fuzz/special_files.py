"""What may stand where a command expects a plain file: pipes, devices, loops, and files without end."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

UNREADABLE = "unreadable"


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**30)


def _unreadable(path: Path) -> None:
    path.write_bytes(b"x")
    path.chmod(0)


def _long_line(path: Path) -> None:
    path.write_bytes(b"a" * (20 * 2**20))


KINDS: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "socket": _socket,
    "zeros without end": lambda path: path.symlink_to("/dev/zero"),
    "full device": lambda path: path.symlink_to("/dev/full"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "link to nothing": lambda path: path.symlink_to("nothing"),
    "1 GiB": _sparse,
    "long line": _long_line,
    UNREADABLE: _unreadable,
}
"""Kind → makes one at a path."""


def make(path: Path, kind: str) -> None:
    """Make a special file instead of what is there."""
    path.unlink(missing_ok=True)
    KINDS[kind](path)
