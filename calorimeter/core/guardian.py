"""Guardians: processes that outlive a killed suite, and set right what it had changed.

The suite holds a guardian's standard input open. The kernel closes that pipe for a suite that was killed,
too, so the way back after a crash is the usual way back. Above are the suite's calls, below the guardian's.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress

Guardian = subprocess.Popen[bytes]


def start(module: str, *arguments: str, order: str = "", mute: bool = False) -> Guardian:
    """Start `python -m module arguments`, and write it a line, `order`, where there is one.

    A secret belongs into the order, which goes through the pipe: an argument could be seen by everybody.
    `mute` is for one that has nothing to say on standard error, which may be gone before it is.
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
        with suppress(OSError):  # one that died is noticed by its answer
            guard.stdin.write(order.encode() + b"\n")
            guard.stdin.flush()
    return guard


def answer(guard: Guardian, within_s: float) -> str | None:
    """Its first line (empty: it died); None where there is none in time. One line is written at once."""
    assert guard.stdout is not None
    ready, _, _ = select.select([guard.stdout], [], [], within_s)
    return guard.stdout.readline().decode().strip() if ready else None


def dismiss(guard: Guardian, within_s: float) -> int:
    """Let it set right what is left, and end; one that does not end in time is killed. Its exit status."""
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


def outlive() -> None:
    """Of a guardian: end with the suite, not before, whatever signal comes."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)


def say(line: str) -> None:
    """Of a guardian: answer the suite, which may be gone already."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        sys.stdout = None  # nothing is to be flushed at exit


def await_the_end() -> None:
    """Of a guardian: wait until the suite dismisses it, or has died."""
    sys.stdin.read()
