"""Guardians: processes that outlive a killed suite and undo what it had changed.

The suite holds a guardian's standard input open. The kernel also closes that pipe when the suite is killed,
so a crash and an ordinary end reach the guardian in the same way.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress

Guardian = subprocess.Popen[bytes]

# Called by the suite:


def start(module: str, *arguments: str, order: str = "", mute: bool = False) -> Guardian:
    """Start `python -m module arguments`, and write the line `order` to its standard input if given.

    Pass secrets in `order`: arguments are visible to every user of the machine. `mute` discards its
    standard error, for a guardian that may outlive the terminal.
    """
    guard = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if mute else None,
        start_new_session=True,  # Ctrl-C in the suite's terminal is not for the guardian
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert guard.stdin is not None
    if order:
        with suppress(OSError):  # `read_reply` reports a guardian that died
            guard.stdin.write(order.encode() + b"\n")
            guard.stdin.flush()
    return guard


def read_reply(guard: Guardian, within_s: float) -> str | None:
    """The guardian's first line: empty if it died, None if there was no line in time.

    A guardian writes its line at once, so a readable pipe holds a whole line.
    """
    assert guard.stdout is not None
    ready, _, _ = select.select([guard.stdout], [], [], within_s)
    return guard.stdout.readline().decode().strip() if ready else None


def dismiss(guard: Guardian, within_s: float) -> int:
    """Let the guardian undo what is left and end, or kill it after `within_s` s. Returns its status."""
    assert guard.stdin is not None and guard.stdout is not None
    with suppress(OSError):
        guard.stdin.close()
    try:
        guard.wait(within_s)
    except subprocess.TimeoutExpired:
        guard.kill()
        guard.wait()
    finally:
        guard.stdout.close()
    return guard.returncode


# Called by the guardian:


def ignore_signals() -> None:
    """Ignore what ends the suite: the guardian ends after it."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)


def reply(line: str) -> None:
    """Write a line to the suite, which may have died already."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        sys.stdout = None  # otherwise Python flushes it at exit, and fails


def wait_for_dismissal() -> None:
    """Wait until the suite dismisses this guardian, or has died."""
    sys.stdin.read()
