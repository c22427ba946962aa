"""The watch of a run cannot keep the run from ending."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from calorimeter.load.run import watch_process
from calorimeter.load.run.watch_process import WatchProcess


def test_a_watch_that_is_stopped_does_not_keep_the_run_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped process notices neither the end of its input nor SIGTERM; it is killed."""
    started = []

    def popen(_: list[str], **how: Any) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(["cat"], **how))
        return started[-1]

    monkeypatch.setattr(watch_process, "subprocess", _Subprocess(popen))
    monkeypatch.setattr(watch_process, "END_S", 0.2)
    (tmp_path / "watch").mkdir()
    watch = WatchProcess(tmp_path, tmp_path / "deployment.toml")
    started[0].send_signal(signal.SIGSTOP)
    began = time.monotonic()
    watch.close()
    assert started[0].returncode == -signal.SIGKILL
    assert time.monotonic() - began < 5


class _Subprocess:
    """The module `subprocess` with another Popen."""

    PIPE, DEVNULL, TimeoutExpired = subprocess.PIPE, subprocess.DEVNULL, subprocess.TimeoutExpired

    def __init__(self, popen: Any) -> None:
        self.Popen = popen
