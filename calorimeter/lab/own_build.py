"""Programs that the user built: whether they can run, and their versions, before anything starts."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from calorimeter.core.errors import InputError
from calorimeter.core.shown_text import quoted

ASK_S = 10.0
"""Time in which HAProxy must tell its version; it needs 0.02 s."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that may be the user's own: its option, and what finds its version, None if it is unknown.

    `earliest` is the earliest release that a lab may run; `valid` says what may be given.
    """

    option: str
    find: Callable[[Path], str | None]
    earliest: tuple[int, int]
    valid: str


def _says(path: Path) -> str | None:
    """The version that HAProxy tells: the word after `HAProxy version`."""
    command = [str(path), "-v"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=ASK_S, check=False)
    except (subprocess.TimeoutExpired, OSError):
        return None
    said = done.stdout.decode("utf-8", "replace")
    found = re.match(r"HA-?Proxy version (\S+)", said, re.IGNORECASE)
    return found[1] if found else None


def _of_tree(path: Path) -> str | None:
    """The version of the RabbitMQ that a script belongs to: its plugin `rabbit` has it in its name.

    Its own `rabbitmqctl version` would start an epmd that listens on all addresses. A packaging script,
    such as Debian's /usr/sbin/rabbitmq-server, is not of it: it changes to another user.
    """
    if path.name != "rabbitmq-server":
        return None
    plugins = path.parents[1] / "plugins"
    names = [each.name.removesuffix(".ez") for each in plugins.glob("rabbit-*")]
    return next((name.removeprefix("rabbit-") for name in names), None)


HAPROXY = Program("--haproxy", _says, (2, 2), "a program that says `HAProxy version 2.2` or later")

RABBITMQ = Program("--rabbitmq", _of_tree, (3, 10), "sbin/rabbitmq-server of RabbitMQ 3.10 or later")


def checked(path: Path, program: Program) -> Path:
    """The program's real path. Raises `InputError` if it is none, or too old."""
    version(path, program)
    return _real(path)


def _real(path: Path) -> Path:
    # Path.resolve raises for a link to itself.
    return Path(os.path.realpath(path))


def version(path: Path, program: Program) -> str:
    """The version of a program, such as `3.0.11-1+deb13u4`. Raises `InputError` (see `checked`)."""
    real, given = _real(path), f"{quoted(str(path))} given"
    if not path.is_absolute() or not real.is_file() or not os.access(real, os.X_OK):
        raise InputError(program.option, given, "valid: the absolute path of a program")
    found = program.find(real)
    number = re.match(r"([0-9]{1,4})\.([0-9]{1,4})", found or "")
    if found is None or number is None:
        raise InputError(program.option, f"{given}, whose version is unknown", f"valid: {program.valid}")
    if (int(number[1]), int(number[2])) < program.earliest:
        raise InputError(program.option, f"{given}, of version {quoted(found)}", f"valid: {program.valid}")
    return found
