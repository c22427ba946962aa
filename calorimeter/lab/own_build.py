"""Programs that the user built: whether they run, and their versions, asked before anything starts."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from calorimeter.core.errors import InputError
from calorimeter.core.shown_text import quoted

ASK_S = 30.0
"""Time to tell a version. rabbitmqctl starts an Erlang VM for that: 11.6 s on a busy machine."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that may be the user's own: its option, its file name, how its version is asked.

    `asked` is the program that tells it, in the same folder. `earliest` is the earliest release that a lab
    was seen to work with.
    """

    option: str
    name: str
    asked: str
    words: tuple[str, ...]
    says: re.Pattern[str]
    earliest: tuple[int, int]


HAPROXY = Program(
    "--haproxy",
    "",
    "",
    ("-v",),
    re.compile(r"^HA-?Proxy version (([0-9]{1,4})\.([0-9]{1,4})\S*)", re.M | re.I),
    (2, 2),
)

RABBITMQ = Program(
    "--rabbitmq",
    "rabbitmq-server",
    "rabbitmqctl",
    ("version",),
    re.compile(r"^(([0-9]{1,4})\.([0-9]{1,4})\.\S+)$", re.M),
    (3, 8),
)


def checked(path: Path, program: Program) -> Path:
    """The program's real path. Raises `InputError` if it cannot be run, or is too old."""
    version(path, program)
    return path.resolve()


def version(path: Path, program: Program) -> str:
    """The version that a program tells, such as `3.0.11-1+deb13u4`. Raises `InputError` (see `checked`)."""
    real = path.resolve()
    shown = quoted(str(path))
    if not path.is_absolute() or not real.is_file() or not os.access(real, os.X_OK):
        raise InputError(program.option, f"{shown} given", "valid: the absolute path of a program")
    if program.name and real.name != program.name:
        # Debian's /usr/sbin/rabbitmq-server, a packaging script, changes to the user rabbitmq.
        what = f"{shown} given, which is the script {real.name}"
        raise InputError(program.option, what, f"valid: {program.name} in the sbin folder of RabbitMQ")
    said = _said(real, program)
    found = program.says.search(said)
    if found is None:
        last = (said.strip().splitlines() or ["nothing"])[-1]
        what = f"{shown} given, which says {quoted(last[:200])}"
        raise InputError(program.option, what, _valid(program))
    if (int(found[2]), int(found[3])) < program.earliest:
        raise InputError(program.option, f"{shown} given, of version {found[1]}", _valid(program))
    return found[1]


def _valid(program: Program) -> str:
    what = program.option.removeprefix("--")
    return f"valid: a program of {what} {program.earliest[0]}.{program.earliest[1]} or later"


def _said(real: Path, program: Program) -> str:
    """What a program prints when it is asked for its version."""
    command = [str(real.with_name(program.asked) if program.asked else real), *program.words]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=ASK_S,
            check=False,
        )
    except subprocess.TimeoutExpired as problem:
        what = f"{quoted(str(real))} given, which did not tell its version within {ASK_S:g} s"
        raise InputError(program.option, what, _valid(program)) from problem
    except OSError as problem:
        what = f"{quoted(command[0])}: {problem.strerror or problem}"
        raise InputError(program.option, what, _valid(program)) from problem
    return done.stdout.decode("utf-8", "replace")
