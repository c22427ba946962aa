"""What tests of every room share: the real lab, brought up once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import hypothesis
import pytest

from calorimeter.core import deployment as deployments
from calorimeter.core import paths
from calorimeter.core.deployment import Deployment
from calorimeter.lab import lab_state

# A deadline would make a timed test of each: a busy machine is no fault.
hypothesis.settings.register_profile("calorimeter", deadline=None)
hypothesis.settings.register_profile("quick", deadline=None, max_examples=20)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "calorimeter"))


def pytest_configure() -> None:
    """Let Ctrl-C be Ctrl-C: a shell has it ignored for what it starts in its background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def lab_command(*words: str, timeout_s: float = 400) -> subprocess.CompletedProcess[str]:
    """Run `calorimeter lab …` as a user does."""
    command = [sys.executable, "-m", "calorimeter", "lab", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


def _clear_abandoned() -> None:
    """Take down the labs of test sessions that were killed."""
    for name in lab_state.names():
        prefix, _, pid = name.rpartition("-")
        if prefix == "test" and pid.isdigit() and not Path(f"/proc/{pid}").exists():
            lab_command("down", "--name", name)


@pytest.fixture(scope="session")
def scipy_stats() -> ModuleType:
    """What statistics are compared with, in slow tests: its import takes a second."""
    from scipy import stats

    return stats


@pytest.fixture(scope="session")
def lab() -> Iterator[Deployment]:
    """A real lab of 2 REST, 2 CFN and 3 engines behind the checked proxy.

    `$CALORIMETER_TEST_LAB` names one that is already up; it is used and left up. A test that breaks
    something mends it.
    """
    if running := os.environ.get("CALORIMETER_TEST_LAB"):
        yield deployments.read(paths.lab(running) / "deployment.toml")
        return
    _clear_abandoned()
    with temporary_lab(f"test-{os.getpid()}") as made:
        yield made


@contextmanager
def temporary_lab(name: str, *shape: str) -> Iterator[Deployment]:
    """A lab of its own; `shape` are options of `lab up`."""
    up = lab_command("up", "--name", name, *shape)
    if up.returncode != 0:
        pytest.fail(f"the lab did not come up:\n{up.stderr}", pytrace=False)
    try:
        yield deployments.read(paths.lab(name) / "deployment.toml")
    finally:
        down = lab_command("down", "--name", name)
    assert down.returncode == 0, down.stderr
