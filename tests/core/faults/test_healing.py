"""However the suite ends, its faults are healed. The "parts" here are files that commands create."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from calorimeter.core import paths
from calorimeter.core.deployment import Deployment, read
from calorimeter.core.errors import InputError
from calorimeter.core.faults.injector import FaultInjector, execute_schedule
from calorimeter.core.faults.journal import Journal, Unhealed, heal_leftovers
from calorimeter.core.faults.schedule import FaultCommands, Schedule, commands, parse, resolve
from calorimeter.core.faults.shell_command import CommandFailed, run
from calorimeter.core.waiting import until

pytestmark = pytest.mark.slow

FILE = """
name = "cloud"
[rest]
url = "http://127.0.0.1:1/v1"
proxy_section = "r"
backends = [{{ name = "a", address = "127.0.0.1:2" }}]
[[parts]]
name = "a"
kind = "rest"
kill = "touch {0}/a.broken; echo at_ns=$(date +%s%N)"
start = "rm -f {0}/a.broken"
freeze = "touch {0}/frozen; sleep 30"
thaw = "rm -f {0}/frozen"
stop = "true"
drain = "touch {0}/drained"
undrain = "echo no way; exit 3"
"""

SUITE = Path(__file__).with_name("suite_with_a_fault.py")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state folder for this test alone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def cloud(tmp_path: Path) -> Deployment:
    """A deployment with commands that work, hang, and fail."""
    file = tmp_path / "cloud.toml"
    file.write_text(FILE.format(tmp_path))
    return read(file)


def of(cloud: Deployment, fault: str) -> FaultCommands:
    """The commands for a fault of the only part."""
    found = commands(cloud.parts[0], fault)
    assert found is not None
    return found


def test_faults_are_healed_on_a_full_disk(
    cloud: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open fault is healed even if the journal cannot be written: healing twice is harmless."""

    def full(*_: object) -> None:
        raise InputError("journal", "cannot be written (No space left on device)")

    with FaultInjector(cloud) as injector:
        injector.inject(of(cloud, "kill"))
        monkeypatch.setattr(Journal, "write", full)
        injector.heal_all()
        monkeypatch.undo()
    assert not (tmp_path / "a.broken").exists()


def suite(cloud: Deployment, fault: str) -> subprocess.Popen[str]:
    """A process of the suite that injects a fault and stays."""
    process = subprocess.Popen(
        [sys.executable, str(SUITE), str(cloud.path), fault], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    return process


def test_a_fault_has_its_moment_and_is_healed_at_the_end(cloud: Deployment, tmp_path: Path) -> None:
    """`at_ns` is what the command printed; leaving the injector heals and removes the journal."""
    with FaultInjector(cloud) as injector:
        result = injector.inject(of(cloud, "kill"))
        assert (tmp_path / "a.broken").exists()
        assert result.at_ns is not None and result.began_ns <= result.at_ns <= result.ended_ns
        assert Journal.of(cloud).path.exists()
    assert not (tmp_path / "a.broken").exists()
    assert not Journal.of(cloud).path.exists()


def test_a_failure_heals(cloud: Deployment, tmp_path: Path) -> None:
    """An exception that leaves the injector heals what is broken."""
    with pytest.raises(ZeroDivisionError), FaultInjector(cloud) as injector:
        injector.inject(of(cloud, "kill"))
        raise ZeroDivisionError
    assert not (tmp_path / "a.broken").exists()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_heals(cloud: Deployment, tmp_path: Path, signum: signal.Signals) -> None:
    """Ctrl-C, SIGTERM and even kill -9 of the suite: the fault is healed within seconds."""
    process = suite(cloud, "kill")
    assert process.stdout is not None and process.stdout.readline() == "broken\n"
    assert (tmp_path / "a.broken").exists()
    process.send_signal(signum)
    process.wait(20)
    process.stdout.close()
    until(lambda: not (tmp_path / "a.broken").exists() and not Journal.of(cloud).path.exists(), 10)


def test_a_running_command_does_not_break_after_the_healing(cloud: Deployment, tmp_path: Path) -> None:
    """If the suite is killed while its command runs, the command is killed first, then the fault healed."""
    process = suite(cloud, "freeze")
    until((tmp_path / "frozen").exists, 10)
    process.kill()
    process.wait(20)
    assert process.stdout is not None
    process.stdout.close()
    until(lambda: not (tmp_path / "frozen").exists() and not Journal.of(cloud).path.exists(), 10)


def test_the_next_command_heals_if_the_guardian_died_too(
    cloud: Deployment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With suite and guardian dead, the next command heals and says what; one for another file does not."""
    process = suite(cloud, "kill")
    assert process.stdout is not None and process.stdout.readline() == "broken\n"
    guards = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and str(Journal.of(cloud).path).encode() in _cmdline(entry)
    ]
    assert len(guards) == 1
    os.kill(guards[0], signal.SIGKILL)
    process.kill()
    process.wait(20)
    process.stdout.close()
    assert (tmp_path / "a.broken").exists()
    heal_leftovers(tmp_path / "other.toml")
    assert (tmp_path / "a.broken").exists() and capsys.readouterr().err == ""
    heal_leftovers(cloud.path)
    assert not (tmp_path / "a.broken").exists()
    line = f"healed a fault that a killed run left behind: {cloud.path}: a: kill\n"
    assert capsys.readouterr().err == line
    heal_leftovers(cloud.path)
    assert capsys.readouterr().err == ""


def _cmdline(entry: Path) -> bytes:
    try:
        return (entry / "cmdline").read_bytes()
    except OSError:
        return b""


def test_a_living_run_is_left_alone(cloud: Deployment, tmp_path: Path) -> None:
    """Another command heals no fault of a living run, and a second run is refused."""
    with FaultInjector(cloud) as injector:
        injector.inject(of(cloud, "kill"))
        heal_leftovers(cloud.path)
        assert (tmp_path / "a.broken").exists()
        with (
            pytest.raises(InputError, match="another run injects faults into this"),
            FaultInjector(cloud),
        ):
            pass


def test_a_fault_that_cannot_be_healed_is_reported_loudly(
    cloud: Deployment, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """If a healing command fails, the report lists what to type, and the journal stays."""
    with pytest.raises(Unhealed) as problem, FaultInjector(cloud) as injector:
        injector.inject(of(cloud, "drain"))
    assert problem.value.commands == ["echo no way; exit 3"]
    printed = capfd.readouterr().err
    assert "NOT HEALED: cloud is still broken" in printed
    assert "ended with status 3: no way" in printed
    content = Journal.of(cloud).read()
    assert content is not None and [each.fault for each in content.open] == ["drain"]


def test_a_schedule_is_executed_in_time(cloud: Deployment, tmp_path: Path) -> None:
    """A schedule injects each fault at its start, heals it at its end, and announces both."""
    planned = resolve(Schedule(fault=(parse("a:kill@200ms+300ms"),)), cloud)
    lines: list[str] = []
    began = time.monotonic()
    with FaultInjector(cloud) as injector:
        executed = execute_schedule(injector, planned, lines.append)
    assert 0.5 <= time.monotonic() - began < 5
    assert not (tmp_path / "a.broken").exists()
    assert [each.fault.fault for each in executed] == ["kill"]
    assert [line.split("s  ")[1] for line in lines] == ["a: kill", "a: kill healed"]


def test_a_stopped_schedule_heals(cloud: Deployment, tmp_path: Path) -> None:
    """A schedule that is stopped ends at once, and leaving the injector heals."""
    planned = resolve(Schedule(fault=(parse("a:kill@0s+60s"),)), cloud)
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    with FaultInjector(cloud) as injector:
        execute_schedule(injector, planned, lambda _: None, stop)
    assert not (tmp_path / "a.broken").exists()


def test_a_command_that_fails_or_hangs_is_named() -> None:
    """A status other than 0 raises, and so does a command that does not end."""
    with pytest.raises(CommandFailed, match="ended with status 4: bad luck"):
        run("echo bad luck; exit 4")
    with pytest.raises(CommandFailed, match="did not end within 0.2 s"):
        run("sleep 20", within_s=0.2)


def test_a_moment_from_another_clock_is_ignored() -> None:
    """An `at_ns` outside the command's start and end comes from another machine's clock."""
    assert run("echo at_ns=1000000000000000000").at_ns is None


def test_the_journal_is_in_the_state_folder(cloud: Deployment) -> None:
    """Every command on this machine can find it there."""
    assert Journal.of(cloud).path.parent == paths.state() / "faults"
