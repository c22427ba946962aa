"""Whatever becomes of the suite: what it broke is healed. The "parts" here are files that commands make."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from calorimeter.core import paths
from calorimeter.core.deployment import Deployment, read
from calorimeter.core.errors import InputError
from calorimeter.core.faults.injector import FaultInjector, carry_out
from calorimeter.core.faults.journal import Journal, Unhealed, recover_all
from calorimeter.core.faults.schedule import Commands, Schedule, commands, parse, resolve
from calorimeter.core.faults.shell_command import CommandFailed, run

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

SUITE = """
import sys, time
from pathlib import Path
from calorimeter.core.deployment import read
from calorimeter.core.faults.injector import FaultInjector
from calorimeter.core.faults.schedule import commands

cloud = read(Path(sys.argv[1]))
with FaultInjector(cloud) as injector:
    print("in", flush=True)
    injector.inject(commands(cloud.parts[0], sys.argv[2]))
    print("broken", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def cloud(tmp_path: Path) -> Deployment:
    """A deployment with commands that work, hang, and fail."""
    file = tmp_path / "cloud.toml"
    file.write_text(FILE.format(tmp_path))
    return read(file)


def of(cloud: Deployment, fault: str) -> Commands:
    """The commands for a fault of the only part."""
    found = commands(cloud.parts[0], fault)
    assert found is not None
    return found


def test_a_full_disk_keeps_no_fault_from_being_healed(
    cloud: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is open is ended although that cannot be written down: to be healed twice harms nothing."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with FaultInjector(cloud) as injector:
        injector.inject(of(cloud, "kill"))
        monkeypatch.setattr(Journal, "write", full)
        injector.heal_all()
        monkeypatch.undo()
    assert not (tmp_path / "a.broken").exists()


def soon(condition: Callable[[], bool], within_s: float = 10.0) -> bool:
    """Whether a condition holds before its deadline."""
    deadline = time.monotonic() + within_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def suite(cloud: Deployment, fault: str) -> subprocess.Popen[str]:
    """A process of the suite that breaks something and stays."""
    process = subprocess.Popen(
        [sys.executable, "-c", SUITE, str(cloud.path), fault], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    return process


def test_a_fault_tells_its_moment_and_is_healed_at_the_end(cloud: Deployment, tmp_path: Path) -> None:
    """`at_ns` is the command's own word; leaving the injector heals and leaves no journal."""
    with FaultInjector(cloud) as injector:
        done = injector.inject(of(cloud, "kill"))
        assert (tmp_path / "a.broken").exists()
        assert done.at_ns is not None and done.began_ns <= done.at_ns <= done.ended_ns
        assert Journal.of(cloud).path.exists()
    assert not (tmp_path / "a.broken").exists()
    assert not Journal.of(cloud).path.exists()


def test_a_failure_heals(cloud: Deployment, tmp_path: Path) -> None:
    """An exception while something is broken heals it on its way out."""
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
    assert soon(lambda: not (tmp_path / "a.broken").exists() and not Journal.of(cloud).path.exists())


def test_a_command_under_way_does_not_break_after_the_healing(cloud: Deployment, tmp_path: Path) -> None:
    """A suite killed while its command runs: the command is ended first, then the fault is healed."""
    process = suite(cloud, "freeze")
    assert soon((tmp_path / "frozen").exists)
    process.kill()
    process.wait(20)
    assert process.stdout is not None
    process.stdout.close()
    assert soon(lambda: not (tmp_path / "frozen").exists() and not Journal.of(cloud).path.exists())


def test_the_next_command_heals_where_the_guardian_died_too(cloud: Deployment, tmp_path: Path) -> None:
    """With suite and guardian gone, `recover_all` of the next command heals and says what."""
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
    assert [(name, each.part, each.fault) for name, each in recover_all()] == [("cloud", "a", "kill")]
    assert not (tmp_path / "a.broken").exists()
    assert recover_all() == []


def _cmdline(entry: Path) -> bytes:
    try:
        return (entry / "cmdline").read_bytes()
    except OSError:
        return b""


def test_a_living_run_is_left_alone(cloud: Deployment, tmp_path: Path) -> None:
    """Another command heals nothing of a run that goes on, and a second run is refused."""
    with FaultInjector(cloud) as injector:
        injector.inject(of(cloud, "kill"))
        assert recover_all() == []
        assert (tmp_path / "a.broken").exists()
        with pytest.raises(InputError, match="is being broken by another run"), FaultInjector(cloud):
            pass


def test_what_cannot_be_healed_is_said_loudly(
    cloud: Deployment, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A healing command that fails leaves the commands to type, and the journal for the next command."""
    with pytest.raises(Unhealed) as problem, FaultInjector(cloud) as injector:
        injector.inject(of(cloud, "drain"))
    assert problem.value.commands == ["echo no way; exit 3"]
    told = capfd.readouterr().err
    assert "NOT HEALED: cloud is still broken" in told
    assert "ended with status 3: no way" in told
    record = Journal.of(cloud).read()
    assert record is not None and [each.fault for each in record.open] == ["drain"]


def test_a_schedule_is_carried_out_in_time(cloud: Deployment, tmp_path: Path) -> None:
    """A schedule breaks at its begin, heals at its end, and says both."""
    planned = resolve(Schedule(fault=(parse("a:kill@200ms+300ms"),)), cloud)
    told: list[str] = []
    began = time.monotonic()
    with FaultInjector(cloud) as injector:
        carried = carry_out(injector, planned, told.append)
    assert 0.5 <= time.monotonic() - began < 5
    assert not (tmp_path / "a.broken").exists()
    assert [each.fault.fault for each in carried] == ["kill"]
    assert [line.split("s  ")[1] for line in told] == ["a: kill", "a: kill is over"]


def test_a_stopped_schedule_heals(cloud: Deployment, tmp_path: Path) -> None:
    """A schedule that is stopped under way ends at once, and leaving the injector heals."""
    planned = resolve(Schedule(fault=(parse("a:kill@0s+60s"),)), cloud)
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    with FaultInjector(cloud) as injector:
        carry_out(injector, planned, lambda _: None, stop)
    assert not (tmp_path / "a.broken").exists()


def test_a_command_that_fails_or_hangs_is_named() -> None:
    """A status other than 0 and a command that does not end are failures, not silence."""
    with pytest.raises(CommandFailed, match="ended with status 4: bad luck"):
        run("echo bad luck; exit 4")
    with pytest.raises(CommandFailed, match="did not end within 0.2 s"):
        run("sleep 20", within_s=0.2)


def test_the_moment_of_another_clock_is_not_believed() -> None:
    """An `at_ns` outside the command's own begin and end is another machine's."""
    assert run("echo at_ns=1000000000000000000").at_ns is None


def test_the_journal_lies_in_the_state_folder(cloud: Deployment) -> None:
    """So that every command on this machine finds it."""
    assert Journal.of(cloud).path.parent == paths.state() / "faults"
