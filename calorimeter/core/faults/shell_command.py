"""One shell command of a deployment file, run to its end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

COMMAND_S = 150.0
"""Time limit of one command. The slowest ones start an API and wait until it serves."""

_AT = re.compile(r"\bat_ns=(\d{19})\b")


class CommandFailed(Exception):  # noqa: N818 - an event, not a defect
    """A command did not end in time, or ended with a status other than 0."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """A command that succeeded. Times are ns since the epoch.

    `at_ns` is the moment it took effect, if it printed that moment (`at_ns=…`). Else it is None, and the
    command took effect between `began_ns` and `ended_ns`.
    """

    began_ns: int
    ended_ns: int
    at_ns: int | None


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
            text=True,
            errors="replace",
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
    except (OSError, ValueError) as problem:  # no descriptor or process is left; a null character
        raise CommandFailed(f"could not be started ({problem})") from problem
    try:
        output, _ = process.communicate(timeout=within_s)
    except BaseException as problem:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        if isinstance(problem, subprocess.TimeoutExpired):
            raise CommandFailed(f"did not end within {within_s:g} s") from None
        raise
    ended = time.time_ns()
    if process.returncode != 0:
        last = output.strip().splitlines()[-1:] or [""]
        raise CommandFailed(f"ended with status {process.returncode}: {last[0][:300]}")
    printed = _AT.search(output)
    at = int(printed[1]) if printed else None
    if at is not None and not began <= at <= ended:
        at = None  # another machine's clock
    return CommandResult(began, ended, at)
