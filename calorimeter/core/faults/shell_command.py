"""One shell command of a deployment file, run to its end."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

COMMAND_S = 150.0
"""Time limit of one command. The slowest ones start an API and wait until it serves."""

_AT = re.compile(r"\bat_ns=(\d{19}|now)\b")


class CommandFailed(Exception):  # noqa: N818 - an event, not a defect
    """A command did not end in time, or ended with a status other than 0."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """A command that succeeded. Times are ns since the epoch.

    `at_ns` is the moment it took effect, if it printed that moment: `at_ns=…`, or `at_ns=now`, which stands
    for the moment at which the line was read, for another machine has another clock. If it printed several,
    the effect was between `at_ns`, the first, and `by_ns`, the last. If it printed none, both are None,
    and the effect was between `began_ns` and `ended_ns`.
    """

    began_ns: int
    ended_ns: int
    at_ns: int | None
    by_ns: int | None = None


class _Output:
    """What a command prints: the last line, and the moments of its effect."""

    def __init__(self) -> None:
        self.last = ""
        self.moments: list[int] = []
        self._rest = b""

    def read(self, descriptor: int, until_s: float) -> bool:
        """Read until the command has closed its output; whether it did so by `until_s` (monotonic clock).

        No thread reads it: a suite that is out of memory must still heal.
        """
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        while waiting.poll(max(0.0, until_s - time.monotonic()) * 1e3):
            data = os.read(descriptor, 65536)
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines if data else [self._rest]:
                self._keep(line.decode(errors="replace").strip())
            if not data:
                return True
        return False

    def _keep(self, line: str) -> None:
        self.last = line or self.last
        printed = _AT.search(line)
        if printed:
            self.moments.append(time.time_ns() if printed[1] == "now" else int(printed[1]))


def run(
    command: str, environment: Mapping[str, str] | None = None, within_s: float = COMMAND_S
) -> CommandResult:
    """Run `command` with `sh -c`. Raises CommandFailed.

    The command gets a session of its own, so that Ctrl-C in the suite's terminal does not reach it.
    """
    began = time.time_ns()
    try:
        process = subprocess.Popen(
            ["sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
    except (OSError, ValueError) as problem:  # no descriptor or process is left; a null character
        raise CommandFailed(f"could not be started ({problem})") from problem
    output, until_s = _Output(), time.monotonic() + within_s
    assert process.stdout is not None
    try:
        with process.stdout as stream:
            if not output.read(stream.fileno(), until_s):
                raise subprocess.TimeoutExpired(command, within_s)
        process.wait(max(0.0, until_s - time.monotonic()))
    except BaseException as problem:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(problem, subprocess.TimeoutExpired):
            raise CommandFailed(f"did not end within {within_s:g} s") from None
        raise
    ended = time.time_ns()
    if process.returncode != 0:
        raise CommandFailed(f"ended with status {process.returncode}: {output.last[:300]}")
    # One of another machine's clock says nothing here.
    moments = [moment for moment in output.moments if began <= moment <= ended]
    return CommandResult(began, ended, min(moments, default=None), max(moments, default=None))
