"""Whatever strikes the suite or its guardian while a fault is open, the fault is healed."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.faults.journal import Journal, heal_leftovers
from calorimeter.core.waiting import until
from tests.core.faults.test_healing import cloud, state, suite

__all__ = ["cloud", "state"]

pytestmark = pytest.mark.slow


def _no_descriptors(process: psutil.Process) -> None:
    used = max(int(entry.name) for entry in Path(f"/proc/{process.pid}/fd").iterdir()) + 1
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (used, used))


def _no_memory(process: psutil.Process) -> None:
    used = process.memory_info().vms
    resource.prlimit(process.pid, resource.RLIMIT_AS, (used, used))


def _no_file_growth(process: psutil.Process) -> None:
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, 0))


@pytest.mark.parametrize("starve", [_no_descriptors, _no_memory, _no_file_growth])
def test_what_a_starved_suite_cannot_heal_its_guardian_does(
    cloud: Deployment, tmp_path: Path, starve: Callable[[psutil.Process], None]
) -> None:
    """Without descriptors, memory or disk of its own, the suite leaves the healing to its guardian."""
    process = suite(cloud, "kill")
    assert process.stdout is not None and process.stdout.readline() == "broken\n"
    starve(psutil.Process(process.pid))
    process.terminate()
    process.wait(60)
    process.stdout.close()
    until(lambda: not (tmp_path / "a.broken").exists() and not Journal.of(cloud).path.exists(), 30)


@pytest.mark.parametrize("then", [signal.SIGCONT, signal.SIGKILL])
def test_a_stopped_guardian_holds_nothing_up(
    cloud: Deployment, tmp_path: Path, then: signal.Signals
) -> None:
    """The suite heals by itself, and does not wait for a guardian that is stopped."""
    process = suite(cloud, "kill")
    assert process.stdout is not None and process.stdout.readline() == "broken\n"
    (guardian,) = psutil.Process(process.pid).children()
    guardian.send_signal(signal.SIGSTOP)
    process.terminate()
    process.wait(30)
    process.stdout.close()
    assert not (tmp_path / "a.broken").exists() and not Journal.of(cloud).path.exists()
    until(lambda: not guardian.is_running(), 10)


def test_a_healer_that_is_stopped_is_named(
    cloud: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command does not pass over faults in silence because the process that heals them stands still."""
    process = suite(cloud, "kill")
    assert process.stdout is not None and process.stdout.readline() == "broken\n"
    (guardian,) = psutil.Process(process.pid).children()
    guardian.kill()
    process.kill()
    process.wait(20)
    process.stdout.close()
    journal = Journal.of(cloud)
    with (
        journal.held("healing", 0) as locked,
        pytest.raises(InputError, match=f"is still being healed by process {os.getpid()}; wait for it"),
    ):
        assert locked
        heal_leftovers(cloud.path, 0.1)
    heal_leftovers(cloud.path)
    assert not (tmp_path / "a.broken").exists()
