"""The companion of a run: a process that records the proxy's and the broker's counters meanwhile."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
import time
from pathlib import Path

import gevent

log = logging.getLogger(__name__)

BEGIN_S = 10.0
"""The load begins after this long even if nothing was recorded by then."""

END_S = 15.0
"""It ends by itself when its standard input closes; after this long it is ended."""


class Companion:
    """`calorimeter watch RUN` as a child process; it ends with this one, whose end of a pipe it reads."""

    def __init__(self, run: Path, deployment: Path) -> None:
        self._folder = run / "watch"
        self._errors = (self._folder / "watch.log").open("w+", encoding="utf-8")
        command = [sys.executable, "-m", "calorimeter", "watch", str(run), "--deployment", str(deployment)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C is for the load; this one ends after it
        )

    def await_first(self) -> None:
        """Wait until something has been recorded, or it has ended, or long enough."""
        until = time.monotonic() + BEGIN_S
        while time.monotonic() < until and self._process.poll() is None:
            if any(file.stat().st_size for file in self._folder.glob("*.jsonl")):
                return
            gevent.sleep(0.05)

    def close(self) -> None:
        """End it; a warning where it failed. The load's own records do not depend on it."""
        status = self._process.poll()
        early = status is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        if status is None:
            try:
                status = self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.terminate()
                status = self._process.wait(END_S)
                log.warning("watch: did not end by itself within %g s", END_S)
        self._errors.seek(0)
        last = (self._errors.read().strip().splitlines() or [""])[-1]
        self._errors.close()
        if status != 0 or early:
            log.warning(
                "watch: the proxy's and the broker's counters are incomplete (status %s) %s", status, last
            )
