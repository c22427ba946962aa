"""The watch process: it records the proxy's and the broker's counters during a run."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from calorimeter.core import files
from calorimeter.core.errors import InputError
from calorimeter.core.waiting import DeadlineError, until
from calorimeter.load.run import live_tab

log = logging.getLogger(__name__)

BEGIN_S = 10.0
"""The longest that a load waits for the first record."""

END_S = 15.0
"""The time for the process to end after its standard input closes; then it is killed."""


NICENESS = -5
"""Of a watch that runs first: it polls once a second, and a late poll is of another second."""


class WatchProcess:
    """`calorimeter watch RUN` as a child process. It ends when its standard input closes."""

    def __init__(self, run: Path, deployment: Path, web_ui: Any = None, first: bool = False) -> None:
        """Start it. With Locust's page it also keeps the figures of the moment, which that page shows.

        `first`: before other processes of this machine, where that is permitted.
        """
        self._folder = run / "watch"
        self._log = self._folder / "watch.log"
        command = [sys.executable, "-m", "calorimeter", "watch", str(run), "--deployment", str(deployment)]
        if web_ui is not None:
            command.append("--live")
            live_tab.show(web_ui, run)
        with files.create(self._log) as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,  # Ctrl-C ends the load; the watch ends after it
            )
        if first:
            with contextlib.suppress(OSError):  # not permitted, or ended
                os.setpriority(os.PRIO_PROCESS, self._process.pid, NICENESS)

    def await_first(self) -> None:
        """Wait until the first record is written, the process has ended, or BEGIN_S has passed."""
        with contextlib.suppress(DeadlineError):
            until(
                lambda: (
                    self._process.poll() is not None
                    or any(file.stat().st_size for file in self._folder.glob("*.jsonl"))
                ),
                BEGIN_S,
            )

    def close(self) -> None:
        """End the process, and warn if it failed. The load's own records do not depend on it."""
        status = self._process.poll()
        early = status is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        if status is None:
            try:
                status = self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()  # SIGTERM would not end a process that is stopped
                status = self._process.wait()
                log.warning("watch: did not end within %g s", END_S)
        last = ""
        with contextlib.suppress(InputError):
            for line in files.read_lines(self._log):
                last = line.decode(errors="replace").strip() or last
        if status != 0 or early:
            log.warning(
                "watch: the proxy's and the broker's counters are incomplete (status %s) %s", status, last
            )
