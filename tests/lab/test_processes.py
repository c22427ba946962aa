"""A lab's processes are found by their marks, and only they are ended."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from calorimeter.core.waiting import DeadlineError, until
from calorimeter.lab import processes
from calorimeter.lab.usage import Usage


@pytest.fixture
def family(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A marked shell with a child in its group and one in a session of its own."""
    environment = {"PATH": "/usr/bin:/bin", **processes.marks(tmp_path, "part-1")}
    script = "sleep 60 & setsid sleep 60 & wait"
    process = processes.spawn(["sh", "-c", script], environment, tmp_path / "log", tmp_path)
    until(lambda: len(processes.running(tmp_path)) == 3, 5)
    until(lambda: len({each.session for each in processes.running(tmp_path)}) == 2, 5)
    yield process
    processes.kill(tmp_path)
    process.wait(5)


def test_children_in_other_sessions_are_found(family: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """All that a marked process started is the lab's, with the part's name."""
    found = processes.running(tmp_path)
    assert {process.part for process in found} == {"part-1"}
    assert family.pid in {process.pid for process in found}
    assert len({process.session for process in found}) == 2
    assert processes.running(tmp_path, "part-2") == []


def test_kill_ends_all_of_a_lab_and_nothing_else(family: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """A process without the mark, or with another lab's, lives on."""
    other = tmp_path / "other"
    other.mkdir()
    environment = {"PATH": "/usr/bin:/bin", **processes.marks(other, "part-1")}
    stranger = processes.spawn(["sleep", "60"], environment, tmp_path / "log", tmp_path)
    try:
        processes.kill(tmp_path)
        assert processes.running(tmp_path) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait(5)


def test_frozen_processes_end_too(family: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """`terminate` continues what is stopped, so that it can end."""

    def frozen() -> bool:
        """Whether all are; one in the middle of `exec` has no environment to be found by yet."""
        processes.send(processes.running(tmp_path), tmp_path, signal.SIGSTOP)
        return [process.state for process in processes.running(tmp_path)] == ["T"] * 3

    until(frozen, 5)
    processes.terminate(tmp_path)
    assert processes.running(tmp_path) == []


def test_waiting_ends_at_its_deadline() -> None:
    """A condition that never holds is an error, not a wait for ever."""
    with pytest.raises(DeadlineError, match=r"after 0\.05 s"):
        until(lambda: False, 0.05)


@pytest.mark.slow
def test_usage_only_grows(family: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """Seconds of processor are summed by part, and what a process used stays when it ends."""
    usage = Usage(tmp_path)
    environment = {"PATH": "/usr/bin:/bin", **processes.marks(tmp_path, "part-2")}
    busy = processes.spawn(["sh", "-c", "while :; do :; done"], environment, tmp_path / "log", tmp_path)
    until(lambda: _of(usage, "part-2")["cpu_s"] > 0.05, 5)
    before = _of(usage, "part-2")
    assert before["rss_bytes"] > 0
    processes.kill(tmp_path, "part-2")
    busy.wait(5)
    after = _of(usage, "part-2")
    assert after["cpu_s"] >= before["cpu_s"]
    assert after["rss_bytes"] == 0
    assert _of(usage, "part-1")["cpu_s"] < before["cpu_s"] + 1


@pytest.mark.slow
def test_a_step_of_the_clock_counts_nothing_twice(
    family: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a poll that does not see a process: what it used until then was counted before."""
    usage = Usage(tmp_path)
    environment = {"PATH": "/usr/bin:/bin", **processes.marks(tmp_path, "part-2")}
    busy = processes.spawn(["sh", "-c", "while :; do :; done"], environment, tmp_path / "log", tmp_path)
    until(lambda: _of(usage, "part-2")["cpu_s"] > 1.0, 30)
    processes.send(processes.running(tmp_path, "part-2"), tmp_path, signal.SIGSTOP)  # it uses nothing now
    until(lambda: _of(usage, "part-2")["cpu_s"] == _of(usage, "part-2")["cpu_s"], 5)
    before = _of(usage, "part-2")["cpu_s"]
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: 1.0)
    assert _of(usage, "part-2")["cpu_s"] == before
    with monkeypatch.context() as unseen:
        unseen.setattr(processes, "running", lambda folder: [])
        assert _of(usage, "part-2")["cpu_s"] == before
    assert _of(usage, "part-2")["cpu_s"] == before
    processes.kill(tmp_path, "part-2")
    busy.wait(5)


def _of(usage: Usage, part: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = usage.read()["processes"]
    return next((row for row in rows if row["part"] == part), {"cpu_s": 0.0, "rss_bytes": 0})


def test_a_daemon_does_not_inherit_low_limits(tmp_path: Path) -> None:
    """A suite that has run out of descriptors starts what it heals with as many as the system allows."""
    program = (
        "import resource as r, sys; from pathlib import Path; from calorimeter.lab import processes\n"
        "hard = r.getrlimit(r.RLIMIT_NOFILE)[1]; r.setrlimit(r.RLIMIT_NOFILE, (64, hard))\n"
        "r.setrlimit(r.RLIMIT_AS, (2 << 30, r.getrlimit(r.RLIMIT_AS)[1]))\n"
        "folder = Path(sys.argv[1])\n"
        "argv = ['sh', '-c', 'ulimit -n; ulimit -v']\n"
        "processes.spawn(argv, {'PATH': '/bin:/usr/bin'}, folder / 'log', folder).wait()\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    descriptors, memory = (tmp_path / "log").read_text().split()
    assert int(descriptors) > 64
    assert memory != str(2 << 20)
