"""Tracing on a real broker is as before, however the suite ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from calorimeter.core.deployment import Deployment
from calorimeter.core.waiting import poll
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.tracing import tracing
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

pytestmark = pytest.mark.lab

USER = Path(__file__).with_name("tracing_user.py")


@pytest.fixture
def api(lab: Deployment) -> Iterator[BrokerApi]:
    """The broker with tracing off before and after."""
    with BrokerApi.of(lab) as api:
        api.set_tracing(False)
        yield api
        api.set_tracing(False)


def becomes_off(api: BrokerApi, deadline_s: float = 10.0) -> bool:
    """Whether tracing becomes off in time."""
    return poll(lambda: not api.tracing(), deadline_s)


@pytest.fixture
def another(lab: Deployment, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another run of the suite, which traces until it is killed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(USER), str(lab.path), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as run:
        assert run.stdout is not None and run.stdout.readline() == b"on\n"
        yield run
        run.kill()


def guardians() -> list[int]:
    """The pids of all guardians on this machine."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if b"calorimeter.gates.evidence.tracing_guardian" in line:
            found.append(int(folder.name))
    return found


def test_tracing_is_on_inside_and_off_after(lab: Deployment, api: BrokerApi, tmp_path: Path) -> None:
    """Tracing is on while the context is open, and off afterwards."""
    with tracing(lab, state=tmp_path) as traced:
        assert traced.api.tracing() and len(traced.nodes) == 1
        assert traced.gaps() == []
    assert not api.tracing()


def test_an_error_inside_switches_off_too(lab: Deployment, api: BrokerApi, tmp_path: Path) -> None:
    """An error ends tracing, and is raised to the caller."""
    with pytest.raises(ZeroDivisionError), tracing(lab, state=tmp_path):
        _ = 1 / 0
    assert not api.tracing()


def test_tracing_of_others_stays_on(lab: Deployment, api: BrokerApi, tmp_path: Path) -> None:
    """Tracing that somebody else switched on is not switched off."""
    api.set_tracing(True)
    with tracing(lab, state=tmp_path):
        pass
    assert api.tracing()


def test_a_killed_suite_leaves_tracing_off(api: BrokerApi, another: subprocess.Popen[bytes]) -> None:
    """After kill -9 of the suite its guardian switches tracing off."""
    assert api.tracing()
    another.kill()
    assert becomes_off(api)


def test_an_interrupted_suite_leaves_tracing_off(api: BrokerApi, another: subprocess.Popen[bytes]) -> None:
    """Ctrl-C ends the suite normally, and tracing with it."""
    another.send_signal(signal.SIGINT)
    assert becomes_off(api)


def test_one_run_does_not_end_the_tracing_of_another(
    lab: Deployment, api: BrokerApi, another: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """The last of two runs switches tracing off."""
    with tracing(lab, state=tmp_path):
        another.kill()
        another.wait()
        assert not becomes_off(api, deadline_s=1.0)
    assert not api.tracing()


def test_the_first_run_may_end_last(
    lab: Deployment, api: BrokerApi, another: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """A second run that ends first does not switch tracing off."""
    with tracing(lab, state=tmp_path):
        pass
    assert api.tracing()
    another.kill()
    assert becomes_off(api)


def test_the_suite_replaces_a_killed_guardian(lab: Deployment, api: BrokerApi, tmp_path: Path) -> None:
    """If the guardian dies, the suite itself switches tracing off at the end."""
    before = guardians()
    with tracing(lab, state=tmp_path):
        (guardian,) = set(guardians()) - set(before)
        os.kill(guardian, signal.SIGKILL)
    assert not api.tracing()


def test_after_a_crash_of_both_the_next_run_switches_off(
    lab: Deployment, api: BrokerApi, another: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """If suite and guardian are killed together, tracing stays on until the next run ends."""
    (guardian,) = (pid for pid in guardians() if _parent(pid) == another.pid)
    os.kill(guardian, signal.SIGKILL)
    another.kill()
    another.wait()
    assert api.tracing()
    with tracing(lab, state=tmp_path):
        pass
    assert not api.tracing()


def test_the_password_is_in_no_command_line_and_no_file(
    lab: Deployment, api: BrokerApi, another: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """The guardian's arguments and files contain no secret."""
    assert lab.broker is not None
    password = lab.reveal(lab.broker.password).encode()
    lines = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in guardians()]
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert lines and files
    assert not any(password in text for text in lines + files)


def test_a_broker_that_is_away_is_reported(lab: Deployment, tmp_path: Path) -> None:
    """Without a broker tracing fails in one line and within seconds."""
    assert lab.broker is not None
    node = lab.broker.nodes[0].model_copy(update={"management": "http://127.0.0.1:1"})
    away = lab.model_copy(update={"broker": lab.broker.model_copy(update={"nodes": (node,)})})
    away._path = lab.path
    started = time.monotonic()
    with pytest.raises(EvidenceUnavailable, match="cannot be reached"), tracing(away, state=tmp_path):
        pass
    assert time.monotonic() - started < 10


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
