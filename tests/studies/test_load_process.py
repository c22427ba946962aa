"""Loads that a killed study left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from calorimeter.studies import load_process


def test_only_loads_of_this_folder_are_ended(tmp_path: Path) -> None:
    """By the words of their command, relative to their own folder; never by a part of them."""
    (tmp_path / "runs").mkdir()

    def started(*words: str) -> subprocess.Popen[bytes]:
        waits = [sys.executable, "-c", "import sys; sys.stdin.read()", *words]
        return subprocess.Popen(waits, stdin=subprocess.PIPE, cwd=tmp_path)

    ours = started("-m", "calorimeter", "run", "s.toml", "--runs", "runs")
    others = [
        started("-m", "calorimeter", "run", "s.toml", "--runs", "runs-2"),
        started("-m", "calorimeter", "watch", "run", "--runs", "runs"),
        started("-m", "calorimeter", "run"),
    ]
    try:
        assert load_process.end_orphans(tmp_path / "runs") == 1
        assert ours.poll() is not None  # else it still waits for its input
        assert [other.poll() for other in others] == [None, None, None]
    finally:
        for each in (ours, *others):
            each.communicate(timeout=10)
